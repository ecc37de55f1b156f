"""Leaf certificates on disk: issued, reused, rotated in one atomic step, removed.

The directory of a leaf is mounted into its Envoy, which reloads when a link in it is moved. The
files are links through ``..data``, and only that one link is ever moved: two renames would give
Envoy a certificate with another's key, and after one bad pair it skips the old pair and ignores
later changes of the CA. For the same reason a pair is read back and checked before it is moved.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.private_files import unreadable
from iac_wrapper.identity.certificate_authority import (
    CertificateAuthority,
    PrivateKey,
    ensure_ca,
    existing_ca,
    key_pem,
    load_certificates,
    load_key,
    locked,
)
from iac_wrapper.identity.issue import issue
from iac_wrapper.identity.ownership import Give, chown
from iac_wrapper.model.certificate import CONTROL_PLANE, Leaf, spiffe_id

__all__ = [
    "CertificateAuthority",
    "ensure_ca",
    "ensure_leaf",
    "inspect_leaf",
    "is_due",
    "prune",
    "remove_project",
]

_CURRENT = "..data"
_FILES = ("tls.crt", "tls.key", "ca.crt")


def ensure_leaf(  # noqa: PLR0913 - each is a fact of its own, all by keyword
    ca: CertificateAuthority,
    directory: Path,
    *,
    name: str,
    trust_domain: str,
    owner_uid: int,
    give: Give = chown,
    force: bool = False,
) -> Leaf:
    """The leaf in `directory`; issued (P-256, 90 days) only when the one there will not do.

    It will not do when it is missing or damaged, has less than a third of its life left, comes
    from another CA, has other names, or its key has another owner or mode.

    Args:
        ca: what signs.
        directory: mounted into the service's Envoy; made if missing.
        name: DNS SAN and last part of the URI SAN.
        trust_domain: host part of the URI SAN.
        owner_uid: who may read the key: Envoy's uid.
        give: makes the key that user's, if it is another than ours.
        force: issue in any case (rotation by hand, or after Envoy refused a pair).

    Raises:
        CertificateError: the directory or its files cannot be used by this user.
    """
    with locked(directory):
        try:
            if not force and _will_do(ca, directory, name, trust_domain, owner_uid):
                return inspect_leaf(directory)
            _install(ca, directory, *issue(ca, name, trust_domain), (owner_uid, give))
        except OSError as error:
            raise unreadable(directory, error) from None
        return replace(inspect_leaf(directory), issued=True)


def is_due(
    secrets_dir: Path, directory: Path, *, name: str, trust_domain: str, owner_uid: int
) -> bool:
    """Whether `ensure_leaf` would issue a leaf; nothing is made or changed, not even a CA.

    Raises:
        CertificateError: the CA in `secrets_dir` cannot be used.
    """
    ca = existing_ca(secrets_dir)
    return ca is None or not _will_do(ca, directory, name, trust_domain, owner_uid)


def inspect_leaf(directory: Path) -> Leaf:
    """The public facts of the leaf in `directory`.

    Raises:
        CertificateError: there is none, or it cannot be read.
    """
    certificate = load_certificates(directory / "tls.crt")[0]
    names = _names(certificate)
    return Leaf(
        directory=directory,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns_names=tuple(names.get_values_for_type(x509.DNSName)),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )


def remove_project(secrets_dir: Path, project: str) -> None:
    """Remove every leaf of `project`; the CA stays. Nothing there is fine.

    Raises:
        CertificateError: this user may not remove them.
        ValueError: `project` is not the name of a direct subfolder.
    """
    if project in ("", ".", "..") or "/" in project:
        raise ValueError(f"not a project name: {project!r}")
    try:
        shutil.rmtree(secrets_dir / project)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(secrets_dir / project, error) from None


def prune(directory: Path, keep: Collection[str]) -> list[str]:
    """Remove the leaf directories of services that are no more.

    Args:
        directory: ``secrets/<project>``; nothing there is fine.
        keep: the services that stay; the control plane always does.

    Returns:
        The names that are gone now, sorted. What is no leaf directory is left alone.

    Raises:
        CertificateError: this user may not remove one.
    """
    stays = {*keep, CONTROL_PLANE}
    try:
        dropped = sorted(
            path for path in directory.iterdir() if path.name not in stays and _is_leaf(path)
        )
        for path in dropped:
            shutil.rmtree(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(directory, error) from None
    return [path.name for path in dropped]


def _is_leaf(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and (path / _CURRENT).is_symlink()


def _will_do(
    ca: CertificateAuthority, directory: Path, name: str, trust_domain: str, owner_uid: int
) -> bool:
    try:
        leaf = inspect_leaf(directory)
        status = leaf.key.stat()
        # Another user's key cannot be read here; it was checked before that user got it.
        _check_pair(ca, directory, with_key=os.geteuid() in (0, status.st_uid))
    except (CertificateError, FileNotFoundError):
        return False
    return (
        datetime.now(UTC) <= leaf.renew_at
        and (leaf.dns_names, leaf.uris) == ((name,), (spiffe_id(trust_domain, name),))
        and (status.st_uid, status.st_mode & 0o777) == (owner_uid, 0o600)
    )


def _check_pair(ca: CertificateAuthority, directory: Path, *, with_key: bool = True) -> None:
    """Raise CertificateError unless key, leaf, intermediates and root in `directory` agree."""
    leaf, *above = load_certificates(directory / "tls.crt")
    key = load_key(directory / "tls.key").public_key() if with_key else leaf.public_key()
    try:
        leaf.verify_directly_issued_by(ca.certificate)
        agree = (
            leaf.public_key() == key
            and above == list((ca.certificate, *ca.above)[:-1])
            and (directory / "ca.crt").read_bytes() == ca.trusted
        )
    except (InvalidSignature, ValueError, TypeError, OSError) as error:
        raise _bad_pair(directory, str(error)) from None
    if not agree:
        raise _bad_pair(directory, "files that were not issued together")


def _bad_pair(directory: Path, found: str) -> CertificateError:
    return CertificateError(
        "certificate, key and CA do not agree",
        where=str(directory),
        found=found,
        next_step="run the command again, which issues them anew",
    )


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _install(
    ca: CertificateAuthority,
    directory: Path,
    certificate: x509.Certificate,
    key: PrivateKey,
    owner: tuple[int, Give],
) -> None:
    """Write a new generation, check it as it lies on disk, then make it the current one."""
    generation = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    try:
        served = certificate.public_bytes(serialization.Encoding.PEM) + ca.intermediates
        for name, data in zip(_FILES, (served, key_pem(key), ca.trusted), strict=True):
            write_bytes(generation / name, data, mode=0o600)
        _check_pair(ca, generation)
        _hand_over(directory, generation, *owner)
        _move_link(directory / _CURRENT, generation.name)
    except BaseException:
        shutil.rmtree(generation, ignore_errors=True)
        raise
    for name in _FILES:
        link = directory / name
        if not link.is_symlink() or link.readlink() != Path(_CURRENT, name):
            _move_link(link, f"{_CURRENT}/{name}")
    _remove_others(directory, keep=generation.name)


def _hand_over(directory: Path, generation: Path, owner_uid: int, give: Give) -> None:
    """Let another user read the three files, and only that user the key.

    Everything else stays ours, so that who is not root can rotate and remove it. On the host the
    closed folder above (`secrets/`) keeps everybody out; in its container the owner is alone.
    """
    if owner_uid == os.geteuid():
        return
    for path in (directory, generation):
        path.chmod(0o755)
    for name in _FILES:
        (generation / name).chmod(0o600 if name == "tls.key" else 0o644)
    give(generation / "tls.key", owner_uid)


def _move_link(link: Path, target: str) -> None:
    """Point `link` at `target` by one rename; a watcher sees it appear moved, whole."""
    temporary = link.with_name(f"{link.name}_new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def _remove_others(directory: Path, keep: str) -> None:
    """Old generations, and those of a process that died half-way; Envoy holds no file open."""
    for entry in directory.iterdir():
        if entry.name.startswith("..") and entry.name not in (keep, _CURRENT):
            shutil.rmtree(entry, ignore_errors=True)
