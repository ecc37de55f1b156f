"""Folders and files that nobody else may read, whoever made them and with whatever mode."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from iac_wrapper.errors import FREE_SPACE, CertificateError


def private_directory(path: Path) -> None:
    """Make `path` if it is missing, and close it (0700) if it is not.

    Raises:
        CertificateError: this user may not.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unreadable(path, error) from None
    _close(path, 0o700)


def private_file(path: Path) -> None:
    """Close an existing file (0600).

    Raises:
        CertificateError: this user may not.
    """
    _close(path, 0o600)


def unreadable(path: Path, error: OSError) -> CertificateError:
    """The error for a file or directory that this user cannot use."""
    if isinstance(error, FileNotFoundError):
        return CertificateError(
            "a part of the secrets is gone",
            where=str(path),
            next_step="restore it from a backup, or run iac deploy, which issues certificates anew",
        )
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    whose = "run as the user who deployed first, or chown the folder to your own user"
    return CertificateError(
        "cannot use the secrets",
        where=str(path),
        found=error.strerror,
        next_step=FREE_SPACE if full else whose,
    )


def _close(path: Path, mode: int) -> None:
    found = path.stat()
    if found.st_mode & 0o7777 == mode:
        return
    try:
        path.chmod(mode)
        reason = "the file system does not keep modes"
    except OSError as error:
        reason = error.strerror or str(error)
    after = path.stat().st_mode & 0o7777
    if after != mode:
        raise CertificateError(
            "cannot keep other users from reading the secrets",
            where=str(path),
            found=f"mode {after:04o}, owner {_user(found.st_uid)}: {reason}",
            expected=f"mode {mode:04o}, which only {_user(found.st_uid)} can set",
            next_step=f"sudo chown {os.geteuid()} {path} && chmod {mode:o} {path}",
        )


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
