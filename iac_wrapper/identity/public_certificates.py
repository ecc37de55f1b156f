"""Certificates of public hosts on disk: ``<host>/<n>/{cert.pem,key.pem}``, ``<host>/current``.

Each certificate has a folder of its own, named by the next number: so the file names in the
ingress's listener change with it, which is what makes Envoy load it. The link ``current`` is moved
to a folder that was checked as it lies on disk; the one before stays until the next, as Envoy may
still be about to open it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_bytes, write_text
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.private_files import unreadable
from iac_wrapper.identity.certificate_authority import load_certificates, load_key
from iac_wrapper.identity.certificate_chain import dns_names, title
from iac_wrapper.identity.certificate_files import Pair
from iac_wrapper.identity.ownership import Give, chown
from iac_wrapper.model.public_host import PublicCertificate

_CURRENT = "current"
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def current(layout: Layout, project: str, host: str) -> PublicCertificate | None:
    """The newest good certificate of `host`; None if there is none.

    Raises:
        CertificateError: this user cannot read it.
    """
    folder = host_folder(layout, project, host)
    try:
        directory = folder / (folder / _CURRENT).readlink()
        (directory / "key.pem").lstat()
        return _facts(host, directory)
    except (FileNotFoundError, ValueError):  # damaged counts as none: the next one replaces it
        return None
    except OSError as error:
        raise unreadable(folder, error) from None


def install(  # noqa: PLR0913 - each is a fact of its own
    layout: Layout, project: str, host: str, pair: Pair, *, owner_uid: int, give: Give = chown
) -> PublicCertificate:
    """Make `pair` the current one. Until it lies on disk, whole and checked, nothing else changes.

    One process at a time may call this for a project.

    Args:
        pair: checked by who brings it, for names and dates.
        owner_uid: who may read the key: the ingress's uid.
        give: makes the key that user's, if it is another than ours.

    Raises:
        CertificateError: the pair does not fit, or this user cannot use the folder.
    """
    folder = host_folder(layout, project, host)
    try:
        _open_for_ingress(folder.parent, folder)
        before = (folder / _CURRENT).readlink().name if (folder / _CURRENT).is_symlink() else ""
        number = str(max((int(path.name) for path in _numbered(folder)), default=0) + 1)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        _write(new, pair)
        _give_key(new, owner_uid, give)
        new.rename(folder / number)
        link = folder / f".{_CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(number)
        link.replace(folder / _CURRENT)
        _remove_others(folder, keep={number, before})
        return _facts(host, folder / number)
    except OSError as error:
        raise unreadable(folder, error) from None


def make_folder(layout: Layout, project: str) -> None:
    """Make the folder that the ingress mounts.

    Raises:
        CertificateError: this user cannot.
    """
    folder = layout.public_certificates(project)
    try:
        _open_for_ingress(folder)
    except OSError as error:
        raise unreadable(folder, error) from None


def ensure_owner(certificate: PublicCertificate, owner_uid: int, give: Give = chown) -> None:
    """Give the key to the ingress, should its uid be another now.

    Raises:
        CertificateError: that is not possible.
    """
    status = certificate.key.stat()
    if status.st_uid != owner_uid:
        give(certificate.key, owner_uid)


def host_folder(layout: Layout, project: str, host: str) -> Path:
    """Where the certificates of `host` lie.

    Raises:
        ValueError: it is no DNS name.
    """
    if not _HOST.fullmatch(host) or ".." in host:
        raise ValueError(f"not a host name: {host!r}")
    return layout.public_certificates(project) / host


def _facts(host: str, directory: Path) -> PublicCertificate:
    leaf = x509.load_pem_x509_certificates((directory / "cert.pem").read_bytes())[0]
    return PublicCertificate(
        host=host,
        directory=directory,
        names=dns_names(leaf),
        issuer=title(leaf.issuer),
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        source=(directory / "source").read_text(encoding="utf-8"),
    )


def _open_for_ingress(*folders: Path) -> None:
    """The ingress reads them as another user; `secrets/` above keeps everybody else out."""
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o755)


def _write(directory: Path, pair: Pair) -> None:
    """Write the files, and read the two of the ingress back as it will."""
    write_bytes(directory / "cert.pem", pair.chain, mode=0o644)
    write_bytes(directory / "key.pem", pair.key, mode=0o600)
    write_text(directory / "source", pair.source)
    leaf = load_certificates(directory / "cert.pem")[0]
    if leaf.public_key() != load_key(directory / "key.pem").public_key():
        shutil.rmtree(directory)
        raise CertificateError(
            "certificate and key do not belong together",
            where=str(directory.parent),
            found="a pair that was not made together; the one before stays",
            next_step="iac renew",
        )


def _give_key(directory: Path, owner_uid: int, give: Give) -> None:
    directory.chmod(0o755)
    if owner_uid != os.geteuid():
        give(directory / "key.pem", owner_uid)


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.isdecimal()]


def _remove_others(folder: Path, keep: set[str]) -> None:
    """Certificates before the last two, and what a process left that died half-way."""
    for path in folder.iterdir():
        if path.name not in {*keep, _CURRENT}:
            shutil.rmtree(path, ignore_errors=True)
