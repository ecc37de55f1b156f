"""Who issues leaves now: the authority of a folder, a command, or two that take turns.

While one authority takes the place of another, the new one lies in ``secrets/ca.next``, and its
file ``phase`` says how far that has come:

- ``trust``: the old one issues, and peers accept leaves of both;
- ``issue``: the new one issues, and peers accept leaves of both;
- ``drop``: the new one issues, and peers accept its leaves alone.

Each step is one rename, and every leaf is issued by what the folder says at that moment: a process
that ends, or two at once, cannot mix them up. It must not know who has leaves.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.private_files import private_directory, private_file
from iac_wrapper.identity.certificate_authority import (
    NAME,
    CertificateAuthority,
    ensure_ca,
    load_authority,
    load_certificates,
    locked,
)
from iac_wrapper.identity.command_issuer import CommandIssuer
from iac_wrapper.identity.issue import Issuer
from iac_wrapper.identity.unsigned import PrivateKey

Phase = Literal["trust", "issue", "drop"]

PHASES: tuple[Phase, ...] = ("trust", "issue", "drop")

NEXT = "ca.next"
"""The folder of the authority to come. No project can have this name."""

_FILES = ("ca.pem", "ca.key", "ca-chain.pem")


@dataclass(frozen=True)
class Turns:
    """An issuer that takes turns with another: `by` issues, peers accept `trusted`."""

    by: Issuer
    trusted: bytes

    @property
    def bounded(self) -> bool:
        """As `Issuer`."""
        return self.by.bounded

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta, serves: bool = True
    ) -> tuple[bytes, PrivateKey]:
        """As `Issuer`."""
        return self.by.issue(name, trust_domain, lifetime=lifetime, serves=serves)

    def issued(self, chain: Sequence[x509.Certificate]) -> bool:
        """As `Issuer`."""
        return self.by.issued(chain)


@dataclass(frozen=True)
class StoredIssuer:
    """The issuer that `secrets` names at the moment of each question.

    Args:
        secrets: the folder of the authority.
        command: `IAC_CERT_COMMAND`, which issues where there is no ``ca.key``.
    """

    secrets: Path
    command: str = ""

    @property
    def trusted(self) -> bytes:
        """As `Issuer`."""
        return self.now().trusted

    @property
    def bounded(self) -> bool:
        """As `Issuer`."""
        return self.now().bounded

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta, serves: bool = True
    ) -> tuple[bytes, PrivateKey]:
        """As `Issuer`."""
        return self.now().issue(name, trust_domain, lifetime=lifetime, serves=serves)

    def issued(self, chain: Sequence[x509.Certificate]) -> bool:
        """As `Issuer`."""
        return self.now().issued(chain)

    @property
    def phase(self) -> Phase | None:
        """How far the new authority has come; None: there is none.

        Raises:
            CertificateError: the folder cannot be read, or says what no version of ours wrote.
        """
        path = self.secrets / NEXT / "phase"
        try:
            said = path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None
        if said in PHASES:
            return said
        raise CertificateError(
            "the state of the authority's change cannot be read",
            where=str(path),
            found=repr(said[:40]),
            expected=", ".join(PHASES),
            next_step="write trust there: all steps are taken again; then iac certs rotate-ca",
        )

    def now(self) -> Issuer:
        """What issues at this moment.

        Raises:
            CertificateError: it cannot be used.
        """
        with locked(self.secrets, make=False):
            phase = self.phase
            if phase is None:
                self._refuse_both()
                return self.old()
            new = self.new()
            if phase == "drop":
                return new
            old = self.old()
            by = old if phase == "trust" else new
            # The new one first: that is what Envoy's admin page shows.
            return Turns(by, new.trusted + _without(old.trusted, new.trusted))

    def old(self) -> Issuer:
        """The authority that is, or was until now."""
        return self._load(self.secrets)

    def new(self) -> Issuer:
        """The authority to come."""
        return self._load(self.secrets / NEXT)

    def roots(self) -> dict[str, x509.Certificate]:
        """The certificate of each authority that counts now: ``old``, and ``new`` in a change."""
        folders = {"old": self.secrets, "new": self.secrets / NEXT}
        if self.phase is None:
            del folders["new"]
        return {each: load_certificates(at / "ca.pem")[0] for each, at in folders.items()}

    def begin(self) -> Phase:
        """Start a change, or go on with one; the phase that holds.

        The new authority is the one that lies in `NEXT`, or made there in place of one of ours.

        Raises:
            CertificateError: the old or the new one cannot be used, or there is no new one.
        """
        with locked(self.secrets):
            if (phase := self.phase) is not None:
                return phase
            old, folder = self.old(), self.secrets / NEXT
            if _same(folder / "ca.pem", self.secrets / "ca.pem"):
                shutil.rmtree(folder)  # all but the last act of the change before was done
            if not any((folder / name).exists() for name in _FILES):
                self._refuse_strange(old)
                self._make_new()
            private_directory(folder)
            if (folder / "ca.key").exists():
                private_file(folder / "ca.key")
            self.new()
            self._enter("trust")
            return "trust"

    def enter(self, phase: Phase) -> None:
        """Go on to `phase`."""
        with locked(self.secrets):
            self._enter(phase)

    def finish(self) -> None:
        """Put the new authority in the place of the old one, whose key is removed with it."""
        with locked(self.secrets):
            folder = self.secrets / NEXT
            for name in _FILES:
                if (folder / name).exists():
                    write_bytes(self.secrets / name, (folder / name).read_bytes(), mode=0o600)
                else:
                    (self.secrets / name).unlink(missing_ok=True)
            (folder / "phase").unlink()
            shutil.rmtree(folder)

    def _make_new(self) -> None:
        """A whole authority in `NEXT`, or none."""
        made = self.secrets / f"{NEXT}-new"
        shutil.rmtree(made, ignore_errors=True)  # of a process that died
        ensure_ca(made)
        made.replace(self.secrets / NEXT)  # which may be there, but is empty

    def _enter(self, phase: Phase) -> None:
        write_bytes(self.secrets / NEXT / "phase", f"{phase}\n".encode(), mode=0o600)

    def _load(self, folder: Path) -> Issuer:
        if self.command and not (folder / "ca.key").exists():
            return CommandIssuer.of(self.command, folder / "ca.pem")
        return load_authority(folder)

    def _refuse_both(self) -> None:
        if self.command and (self.secrets / "ca.key").exists():
            raise CertificateError(
                "two issue certificates: a command and the CA's key",
                where=f"IAC_CERT_COMMAND and {self.secrets / 'ca.key'}",
                expected="one of them",
                next_step="if the key is to issue, unset IAC_CERT_COMMAND; if the command is:"
                " before the first deploy, put its root in ca.pem and remove ca.key; later, put it"
                f" in {self.secrets / NEXT}/ca.pem, then iac certs rotate-ca",
            )

    def _refuse_strange(self, old: Issuer) -> None:
        made = isinstance(old, CertificateAuthority) and old.certificate.subject == NAME
        if not made:
            raise CertificateError(
                "there is no new authority to change to",
                where=str(self.secrets / NEXT),
                expected="ca.pem, its ca.key unless a command issues, and ca-chain.pem if ca.pem is"
                " an intermediate; iac makes one only in place of one that it made",
                next_step=f"put them in {self.secrets / NEXT}, then iac certs rotate-ca",
            )


def ensure_issuer(secrets: Path, command: str = "") -> StoredIssuer:
    """What issues for the projects of `secrets`; an authority is made there when there is none.

    Raises:
        CertificateError: it cannot be used.
    """
    stored = StoredIssuer(secrets, command)
    private_directory(secrets)
    if stored.phase is None and not command:
        ensure_ca(secrets)
    for key in (secrets / "ca.key", secrets / NEXT / "ca.key"):
        if key.exists():
            private_file(key)
    stored.now()
    return stored


def existing_issuer(secrets: Path, command: str = "") -> StoredIssuer | None:
    """`ensure_issuer`, None instead of making an authority."""
    if not any((secrets / name).exists() for name in ("ca.pem", "ca.key", f"{NEXT}/phase")):
        return None
    stored = StoredIssuer(secrets, command)
    stored.now()
    return stored


def deployed_issuer(secrets: Path, command: str = "") -> StoredIssuer:
    """What issued in the last deploy.

    Raises:
        CertificateError: there is nothing, or it cannot be used.
    """
    stored = existing_issuer(secrets, command)
    if stored is None:
        raise CertificateError(
            "there is no CA to issue certificates",
            where=str(secrets),
            expected="ca.pem and ca.key of the deploy",
            next_step="restore them from a backup; `iac deploy` makes a new CA and all leaves anew",
        )
    return stored


def _without(trusted: bytes, others: bytes) -> bytes:
    """`trusted` but for the certificates that are in `others`."""
    end = b"-----END CERTIFICATE-----\n"
    parts = (part + end for part in trusted.split(end) if part.strip())
    return b"".join(part for part in parts if part not in others)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()
