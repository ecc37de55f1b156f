"""Checks of a project's secrets: who may read them, the authority, the certificates it issued."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from iac_wrapper.errors import CertificateError, ConfigError
from iac_wrapper.files.private_files import private_directory, private_file
from iac_wrapper.identity import issuers
from iac_wrapper.model.checkup import Check, Seen
from iac_wrapper.operations import certs, leaves
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings.admin_socket import default_socket

CA_WARNING = timedelta(days=60)
"""Before an authority ends: services with leaves of 90 days have shorter ones by then."""

_EVERYBODY = stat.S_IRWXO
_OTHERS = stat.S_IRWXG | _EVERYBODY


def secrets_are_closed(workspace: Workspace) -> Seen:
    """Nobody but their owner may read keys, secret values and Terraform's state."""
    root = workspace.layout.root
    open_ones = [(path, _mode(path)) for path in _private(workspace) if _mode(path) & _OTHERS]
    if open_ones:
        shown = [f"{path.relative_to(root)} ({mode:04o})" for path, mode in open_ones]
        raise CertificateError(
            "other users can read secrets",
            where=str(root),
            found=", ".join(shown),
            expected="folders of mode 0700, keys of 0600",
            next_step="iac doctor --fix closes them; then change what may have been read",
        )
    settings = root / ".env"
    if settings.is_file() and _mode(settings) & stat.S_IROTH:
        text = f".env has mode {_mode(settings):04o}: every user of this machine can read it"
        return Seen(text, f"chmod o-rwx {settings}")
    return Seen("keys, secret values and state are for their owner alone")


def close_secrets(workspace: Workspace) -> str:
    """Close what is open."""
    closed = []
    for path in _private(workspace):
        if _mode(path) & _OTHERS:
            private_directory(path) if path.is_dir() else private_file(path)
            closed.append(str(path.relative_to(workspace.layout.root)))
    settings = workspace.layout.root / ".env"
    if settings.is_file() and _mode(settings) & _EVERYBODY:
        settings.chmod(_mode(settings) & ~_EVERYBODY)
        closed.append(".env")
    return f"closed to other users: {', '.join(closed)}"


def authority_issues(workspace: Workspace) -> Seen:
    """What issues the certificates is whole, and does not end soon."""
    layout, command = workspace.layout, workspace.settings.cert_command
    issuer = issuers.existing_issuer(layout.secrets, command)
    if issuer is None:
        if workspace.applied_lock():
            issuers.deployed_issuer(layout.secrets, command)  # says that it is missing
        return Seen("there is none yet: the first deploy makes it")
    end = min(root.not_valid_after_utc for root in issuer.roots().values())
    seen = f"{layout.secrets / 'ca.pem'} ends in {leaves.left_text(end)}"
    if issuer.phase:
        return Seen(f"{seen}; its change is at the step {issuer.phase}", "iac certs rotate-ca")
    return Seen(seen, "iac certs rotate-ca" if end - datetime.now(UTC) < CA_WARNING else "")


def leaves_are_good(workspace: Workspace) -> Seen:
    """Every certificate on disk can be used, and is the one that is served."""
    if not workspace.applied_lock():
        return Seen("nothing is deployed")
    rows = certs.list_certificates(replace(workspace, emit=lambda _: None))
    bad = [row for row in rows if row.broken or row.differs or row.refused]
    if bad:
        raise CertificateError(
            "certificates that cannot be used, or are not served",
            found=", ".join(f"{row.name} ({row.state})" for row in bad),
            next_step=f"iac certs rotate {' '.join(row.name for row in bad)}"
            f" --project {workspace.project}",
        )
    due = [row.name for row in rows if row.fault]
    if due:
        step = f"iac renew --project {workspace.project}"
        return Seen(f"due: {', '.join(due)}", step)
    ends = [row.not_after for row in rows if row.not_after and row.renew_at]
    first = f"; the first ends in {leaves.left_text(min(ends))}" if ends else ""
    return Seen(f"{len(ends)} are good{first}")


def renew_leaves(workspace: Workspace) -> str:
    """Renew what is due; running services take it without a restart."""
    done = [each.name for each in certs.renew(workspace) if each.good]
    return f"renewed: {', '.join(done)}" if done else ""


def admin_socket_is_safe(workspace: Workspace) -> Seen:
    """The socket of the admin API answers, and only its owner and group may use it."""
    try:
        path = default_socket(workspace.settings)
    except ConfigError:
        if workspace.settings.admin_socket:
            raise
        return Seen("no admin API, and no folder for its socket")
    if not path.exists():
        return Seen(f"no admin API has {path}")
    mode = _mode(path)
    if mode & _EVERYBODY:
        raise ConfigError(
            "every user of this machine can deploy through the admin API",
            where=str(path),
            found=f"mode {mode:04o}",
            expected="0660 or 0600",
            next_step=f"chmod o-rwx {path}",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except PermissionError:
            return Seen(f"{path} is another user's")
        except OSError as error:
            text = f"nobody answers at {path} ({error.strerror or error})"
            return Seen(text, f"iac admin serve, or rm {path}")
    return Seen(f"the admin API answers at {path}, mode {mode:04o}")


def _private(workspace: Workspace) -> Iterator[Path]:
    """What only its owner may read. Below secrets/ containers' users read files that they see."""
    layout = workspace.layout
    for folder in (layout.secrets, workspace.directory):
        if folder.is_dir():
            yield folder
    keys = ("ca.key", "tls.key", "key.pem")
    yield from sorted(
        path for name in keys for path in layout.secrets.rglob(name) if not path.is_symlink()
    )


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


CHECKS = (
    Check("secrets", secrets_are_closed, fix=close_secrets),
    Check("admin socket", admin_socket_is_safe),
    Check("CA", authority_issues),
    Check("certificates", leaves_are_good, after=("engine", "CA"), fix=renew_leaves),
)
