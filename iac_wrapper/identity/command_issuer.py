"""Leaves issued elsewhere: a command gets a request and prints the certificate.

The key is made here and stays here. It must not know what the command talks to.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from iac_wrapper.adapters.process import Command, run_bounded
from iac_wrapper.errors import CertificateError, CommandError
from iac_wrapper.identity.certificate_authority import check_chain, is_root, load_certificates
from iac_wrapper.identity.issue import leads_to, leaf_extensions
from iac_wrapper.identity.leaf_check import chain_fault
from iac_wrapper.identity.unsigned import PrivateKey, common_name
from iac_wrapper.model.certificate import spiffe_id

SECONDS = 60.0
"""How long the command may take for one certificate."""

PRINTED = 1_000_000
"""Bytes that it may print; a chain has about 5,000."""

_SETTING = "IAC_CERT_COMMAND"


@dataclass(frozen=True)
class CommandIssuer:
    """An issuer (`issue.Issuer`) that runs `command`, split as a shell does, without a shell.

    What it prints must lead to one of `roots`, which come from the file `source`.
    """

    command: str
    source: Path
    roots: tuple[x509.Certificate, ...]
    bounded = False

    @classmethod
    def of(cls, command: str, source: Path) -> CommandIssuer:
        """The issuer whose roots are in `source`.

        Raises:
            CertificateError: they cannot be used.
        """
        if not source.exists():
            raise CertificateError(
                "there is no root to trust",
                where=str(source),
                expected=f"the root of what {_SETTING} issues (PEM; several are possible)",
                next_step=f"put it there, or unset {_SETTING}",
            )
        roots = tuple(load_certificates(source))
        for root in roots:
            if not is_root(root):
                raise CertificateError(
                    "not a root",
                    where=str(source),
                    found=f"{root.subject.rfc4514_string()} is not self-signed",
                    expected=f"the roots of what {_SETTING} issues, and nothing else",
                    next_step="put the root there; the command prints what is below it",
                )
            check_chain((root,), source, source)
        return cls(command, source, roots)

    @property
    def trusted(self) -> bytes:
        """PEM of the roots."""
        return b"".join(map(_pem, self.roots))

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta, serves: bool = True
    ) -> tuple[bytes, PrivateKey]:
        """As `Issuer`; the lifetime is a wish.

        Raises:
            CertificateError: the command fails, takes too long, or prints what cannot be used.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(common_name(name))
        for extension in leaf_extensions(name, trust_domain, serves=serves):
            request = request.add_extension(extension, critical=False)
        signed = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        identity = spiffe_id(trust_domain, name)
        told = {
            "IAC_CERT_NAME": name,
            "IAC_CERT_SANS": ",".join([name, identity] if serves else [identity]),
            "IAC_CERT_SECONDS": f"{lifetime.total_seconds():.0f}",
            "IAC_CERT_ROOTS": str(self.source),
        }
        chain = self._without_root(self._chain(name, self._run(name, signed.decode(), told)))
        fault = chain_fault(chain, self.roots, key.public_key(), name, trust_domain, serves=serves)
        if fault:
            expected = f"the request's key, names and uses, and a chain to a root in {self.source}"
            raise self._bad(name, fault.text, expected)
        return b"".join(map(_pem, chain)), key

    def issued(self, chain: Sequence[x509.Certificate]) -> bool:
        """Whether `chain` leads to one of the roots, whoever stands between."""
        return leads_to(chain, self.roots)

    def _run(self, name: str, request: str, told: dict[str, str]) -> str:
        try:
            argv = tuple(shlex.split(self.command))
            command = Command(argv, env={_SETTING: None, **told}, stdin=request)
            done = run_bounded(command, timeout=SECONDS, limit=PRINTED)
            return done.check("the command failed").stdout
        except ValueError as error:  # quotes that do not end
            raise self._bad(name, str(error), "a program and its arguments") from None
        except CommandError as error:
            raise CertificateError(
                f"no certificate for {name}: {error.message}",
                where=_SETTING,
                found=error.found,
                expected=f"exit code 0, and a chain in PEM, within {SECONDS:g} s",
                next_step="correct the command; leaves that are there stay in use",
                detail=error.detail,
            ) from None

    def _chain(self, name: str, printed: str) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(printed.encode())
        except ValueError:
            found = f"{len(printed)} characters that hold none"
            raise self._bad(name, found, "the leaf, then its intermediates, in PEM") from None

    def _without_root(self, chain: list[x509.Certificate]) -> list[x509.Certificate]:
        return chain[:-1] if len(chain) > 1 and is_root(chain[-1]) else chain

    def _bad(self, name: str, found: str, expected: str) -> CertificateError:
        return CertificateError(
            f"what the command gave for {name} cannot be used",
            where=_SETTING,
            found=found,
            expected=expected,
            next_step="correct the command; leaves that are there stay in use",
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
