"""Leaf certificates on disk: issued, reused, rotated in one atomic step, removed.

The directory of a leaf is mounted into its Envoy, which reloads when a link in it is moved. The
files are links through ``..data``, and only that one link is ever moved: two renames would give
Envoy a certificate with another's key, and after one bad pair it skips the old pair and ignores
later changes of the CA. For the same reason a pair is read back and checked before it is moved.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.private_files import unreadable
from iac_wrapper.identity.certificate_authority import (
    CertificateAuthority,
    ensure_ca,
    key_pem,
    locked,
)
from iac_wrapper.identity.issue import LEAF_LIFETIME, Issuer
from iac_wrapper.identity.issuers import existing_issuer
from iac_wrapper.identity.leaf_check import inspect_leaf, leaf_fault, pair_fault, unread_fault
from iac_wrapper.identity.ownership import Give, chown
from iac_wrapper.model.certificate import CONTROL_PLANE, Leaf, LeafFault

__all__ = [
    "CertificateAuthority",
    "due",
    "ensure_ca",
    "ensure_leaf",
    "inspect_leaf",
    "note_refusals",
    "own_fault",
    "prune",
    "refusals",
    "remove_project",
]

_CURRENT = "..data"
_FILES = ("tls.crt", "tls.key", "ca.crt")
_REFUSALS = "refusals"


def ensure_leaf(  # noqa: PLR0913 - each is a fact of its own, all by keyword
    issuer: Issuer,
    directory: Path,
    *,
    name: str,
    trust_domain: str,
    owner_uid: int,
    lifetime: timedelta = LEAF_LIFETIME,
    give: Give = chown,
    force: bool = False,
    make: bool = True,
) -> Leaf:
    """The leaf in `directory`; issued only when the one there will not do (`leaf_fault`).

    Args:
        issuer: what issues, and says what peers trust.
        directory: mounted into the service's Envoy; made if missing.
        name: DNS SAN and last part of the URI SAN.
        trust_domain: host part of the URI SAN.
        owner_uid: who may read the key: Envoy's uid.
        lifetime: of a leaf that is issued now, at most.
        give: makes the key that user's, if it is another than ours.
        force: issue in any case (rotation by hand, or after Envoy refused a pair).
        make: whether a directory that is missing is made; else that is an error.

    Raises:
        CertificateError: the directory or its files cannot be used by this user, or what was
            issued will not do; the old pair stays then.
    """
    with locked(directory, make=make):
        try:
            fault = leaf_fault(
                issuer,
                directory,
                name=name,
                trust_domain=trust_domain,
                owner_uid=owner_uid,
                lifetime=lifetime,
            )
            if not (fault or force):
                return inspect_leaf(directory)
            chain, key = issuer.issue(name, trust_domain, lifetime=lifetime)
            # Envoy may skip a file of authorities that it has seen before a failure.
            remark = f"# for the certificate {secrets.token_hex(8)}\n".encode()
            files = (chain, key_pem(key), remark + issuer.trusted)
            _install(directory, files, (name, trust_domain), (owner_uid, give))
        except OSError as error:
            raise unreadable(directory, error) from None
        return replace(inspect_leaf(directory), issued=True)


def due(  # noqa: PLR0913 - as `ensure_leaf`
    secrets_dir: Path,
    directory: Path,
    *,
    name: str,
    trust_domain: str,
    owner_uid: int,
    lifetime: timedelta = LEAF_LIFETIME,
    command: str = "",
) -> LeafFault | None:
    """Why `ensure_leaf` would issue a leaf, None if it would not; nothing is made or changed, not
    even a CA.

    Raises:
        CertificateError: what issues by `secrets_dir` and `command` cannot be used.
    """
    issuer = existing_issuer(secrets_dir, command)
    if issuer is None:
        return LeafFault("authority", "there is no authority yet")
    return leaf_fault(
        issuer,
        directory,
        name=name,
        trust_domain=trust_domain,
        owner_uid=owner_uid,
        lifetime=lifetime,
    )


def own_fault(
    directory: Path, name: str, trust_domain: str, *, reader: int | None = None
) -> LeafFault | None:
    """Why Envoy or its peers would refuse the leaf in `directory`, None if they take it.

    A key that this user cannot read is taken for the right one.

    Args:
        reader: the uid of its Envoy, None: not known.
    """
    try:
        with_key = os.geteuid() in (0, (directory / "tls.key").stat().st_uid)
    except OSError:
        with_key = True  # which says that it is not there
    fault = pair_fault(directory, name, trust_domain, with_key=with_key)
    return fault or (None if reader is None else unread_fault(directory, reader))


def refusals(directory: Path, run: str) -> int:
    """How many pairs its Envoy had refused when the leaf in `directory` was proven; 0: none, or
    that was in another `run` of it: each counts anew."""
    try:
        text = (directory / _CURRENT / _REFUSALS).read_text(encoding="ascii")
        number, _, noted = text.rstrip("\n").partition(" ")
        return int(number) if noted == run else 0
    except (OSError, ValueError):
        return 0


def note_refusals(directory: Path, run: str, number: int) -> None:
    """Remember `number` for as long as this leaf is the current one. Envoy sees moves alone, in the
    directory itself, so it does not notice.

    Raises:
        CertificateError: this user may not write there.
    """
    try:
        text = f"{number} {run}\n"
        (directory / _CURRENT / _REFUSALS).write_text(text, encoding="ascii")
    except OSError as error:
        raise unreadable(directory, error) from None


def remove_project(secrets_dir: Path, project: str) -> None:
    """Remove every leaf of `project`; the CA stays. Nothing there is fine.

    Raises:
        CertificateError: this user may not remove them.
        ValueError: `project` is not the name of a direct subfolder.
    """
    if project in ("", ".", "..") or "/" in project:
        raise ValueError(f"not a project name: {project!r}")
    prune(secrets_dir / project, (), control_plane=False)
    try:
        shutil.rmtree(secrets_dir / project)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(secrets_dir / project, error) from None


def prune(directory: Path, keep: Collection[str], *, control_plane: bool = True) -> list[str]:
    """Remove the leaf directories of services that are no more.

    Args:
        directory: ``secrets/<project>``; nothing there is fine.
        keep: the services that stay.
        control_plane: whether it stays as well.

    Returns:
        The names that are gone now, sorted. What is no leaf directory is left alone.

    Raises:
        CertificateError: this user may not remove one.
    """
    stays = {*keep, *([CONTROL_PLANE] if control_plane else [])}
    try:
        dropped = sorted(
            path for path in directory.iterdir() if path.name not in stays and _is_leaf(path)
        )
        for path in dropped:
            with locked(path, make=False):  # who renews it writes there
                shutil.rmtree(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(directory, error) from None
    return [path.name for path in dropped]


def _is_leaf(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and (path / _CURRENT).is_symlink()


def _install(
    directory: Path,
    files: tuple[bytes, bytes, bytes],
    whose: tuple[str, str],
    owner: tuple[int, Give],
) -> None:
    """Write a new generation, check it as it lies on disk, then make it the current one."""
    generation = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    try:
        for name, data in zip(_FILES, files, strict=True):
            write_bytes(generation / name, data, mode=0o600)
        _check(generation, whose)
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


def _check(generation: Path, whose: tuple[str, str]) -> None:
    if fault := pair_fault(generation, *whose):
        raise CertificateError(
            f"the new certificate of {whose[0]} cannot be used",
            where=str(generation.parent),
            found=fault.text,
            expected="certificate, key and authority that belong together; the old ones stay",
            next_step="iac certs shows what is served now",
        )


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
