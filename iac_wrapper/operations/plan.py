"""Plan: what a deploy would change. Changes nothing but the source cache."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from iac_wrapper import lock_file
from iac_wrapper.adapters import certificates
from iac_wrapper.errors import CertificateError
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.plan import Plan
from iac_wrapper.operations import users
from iac_wrapper.operations.deploy import gather
from iac_wrapper.operations.infrastructure import file_hash, make_plan
from iac_wrapper.operations.intent import Intent
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Planned:
    """A plan, the facts it was made from, and the deployed services whose leaf is due.

    `renewals` are services that a deploy would issue a new certificate for. `plan_hash` is the
    SHA-256 of Terraform's saved plan.
    """

    lock: LockFile
    plan: Plan
    renewals: tuple[str, ...]
    plan_hash: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {**self.plan.to_dict(), "empty": self.empty, "renewals": list(self.renewals)}

    @property
    def empty(self) -> bool:
        """True if a deploy would change nothing at all."""
        return self.plan.empty and not self.renewals


def plan(workspace: Workspace, intent: Intent) -> Planned:
    """Resolve `intent` and say what Terraform would do about it.

    Raises:
        IacError: a step failed, as in deploy.
    """
    with workspace.hold("iac plan"):
        found = gather(workspace, intent)
        directory = workspace.directory / "plan"
        lock_path, users_path = directory / "candidate.lock.json", directory / "users.json"
        lock_file.save(found.lock, lock_path)
        users.propose(workspace, found.lock, users_path)
        try:
            _, saved, planned = make_plan(workspace, lock_path, directory / "cdktf.out", users_path)
            digest = file_hash(saved)
            saved.unlink(missing_ok=True)
        finally:
            lock_path.unlink(missing_ok=True)
            users_path.unlink(missing_ok=True)
            if not workspace.layout.state(workspace.project).exists():
                shutil.rmtree(directory, ignore_errors=True)
    return Planned(found.lock, planned, _renewals(workspace), digest)


def _renewals(workspace: Workspace) -> tuple[str, ...]:
    applied = workspace.applied()
    names = [app.name for app in applied.apps] if applied else []
    return tuple(name for name in names if _is_due(workspace, name))


def _is_due(workspace: Workspace, service: str) -> bool:
    directory = workspace.layout.certificates(workspace.project) / service
    try:
        return certificates.inspect(directory).renew_at <= datetime.now(UTC)
    except CertificateError:
        return True
