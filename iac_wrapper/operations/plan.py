"""Plan: what a deploy would change. Changes nothing but the source cache."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from iac_wrapper.adapters import planned_containers
from iac_wrapper.adapters.planned_containers import PlannedContainer
from iac_wrapper.files import lock_file
from iac_wrapper.model import resource_change
from iac_wrapper.model.intent import Intent
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.plan import TerraformChange, TerraformPlan
from iac_wrapper.model.remote import remote_of
from iac_wrapper.model.service_change import ServiceChange, UnhealthyService
from iac_wrapper.model.service_changes import Observations, service_changes
from iac_wrapper.model.slug import Slug
from iac_wrapper.model.users import Users
from iac_wrapper.operations import (
    drift,
    leaves,
    parked,
    public_hosts,
    release_command,
    releases,
    schedules,
    users,
    volumes,
)
from iac_wrapper.operations.changes import gap, why_alone
from iac_wrapper.operations.deploy import gather
from iac_wrapper.operations.env_values import changed_values, secret_values, with_old_values
from iac_wrapper.operations.infrastructure import file_hash, make_plan
from iac_wrapper.operations.leaves import due_certificates
from iac_wrapper.operations.releases import NamedServices
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.sources import git


@dataclass(frozen=True)
class PlanResult:
    """A plan, the facts it was made from, and what it means for each service.

    `others` are changes of what somebody added to the stack. `full` is the plan in Terraform's own
    words. `plan_hash` is the SHA-256 of Terraform's saved plan, which no second one has; `outline`
    is what two plans that do the same have in common. `unhealthy` is what was deployed and is not
    good, though no deploy of this would change it.
    """

    lock: LockFile
    plan: TerraformPlan
    services: tuple[ServiceChange, ...]
    full: str
    plan_hash: str
    outline: str
    others: tuple[TerraformChange, ...] = ()
    unhealthy: tuple[UnhealthyService, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            **self.plan.to_dict(),
            "empty": self.empty,
            "services": [change.to_dict() for change in self.services],
            "others": [asdict(change) for change in self.others],
            "renewals": list(self.renewals),
            "unhealthy": [asdict(service) for service in self.unhealthy],
        }

    @property
    def empty(self) -> bool:
        """True if a deploy would change nothing at all."""
        return self.plan.empty and not self.services

    @property
    def renewals(self) -> tuple[str, ...]:
        """Whose certificate would be issued anew."""
        due = (c for c in self.services if any(r.what == "certificate" for r in c.reasons))
        return tuple(change.service for change in due)


def plan(workspace: Workspace, intent: Intent, *, full: bool = False) -> PlanResult:
    """Resolve `intent` and say what a deploy would do about it; with `full` Terraform's way, too.

    Raises:
        IacError: a step failed, as in deploy.
    """
    with workspace.hold("iac plan"):
        return plan_held(workspace, intent, full=full)


def plan_held(workspace: Workspace, intent: Intent, *, full: bool = False) -> PlanResult:
    """The same of a project that is held.

    Raises:
        IacError: a step failed, as in deploy.
    """
    schedules.warn(workspace)
    found = gather(workspace, replace(intent, prune=True)).lock
    planned = plan_lock(workspace, found, intent.named, full=full)
    return replace(planned, unhealthy=drift.unhealthy(workspace, planned.services))


def plan_lock(
    workspace: Workspace, found: LockFile, named: NamedServices, *, full: bool = False
) -> PlanResult:
    """What it would take to make the project, which is held, be `found`; `named` services were
    asked for one by one.

    Raises:
        IacError: a step failed, as in deploy.
    """
    values, known = secret_values(workspace, found), releases.load_releases(workspace)
    resting = releases.resting(workspace, found, values, named)
    for app in release_command.due(found, values, known, but=resting):
        workspace.progress(f"{app.name}: its release command runs: {app.options.release}")
    directory = workspace.directory / "plan"
    lock_path, users_path = directory / "candidate.lock.json", directory / "users.json"
    lock_file.save_lock(found, lock_path)
    owners = users.propose(workspace, found, users_path)
    seen = _observe(workspace, found, owners, resting)
    try:
        outdir = directory / "cdktf.out"
        terraform, saved, planned = make_plan(
            workspace, lock_path, outdir, users_path, untouched=resting
        )
        shown = terraform.show(saved)
        result = PlanResult(
            lock=found,
            plan=planned,
            services=_changes(workspace, found, shown, seen),
            full=terraform.show_text(saved) if full else "",
            plan_hash=file_hash(saved),
            outline=resource_change.outline(shown, owners),
            others=resource_change.others(shown, record=lock_file.LOCK_OUTPUT),
        )
        saved.unlink(missing_ok=True)
        _say_gaps(workspace, result, shown)
        parked.say(workspace, found)
    finally:
        lock_path.unlink(missing_ok=True)
        users_path.unlink(missing_ok=True)
        if not workspace.layout.state(workspace.project).exists():
            shutil.rmtree(directory, ignore_errors=True)
    return result


def _say_gaps(workspace: Workspace, planned: PlanResult, shown: dict[str, Any]) -> None:
    """Name the services whose old version a deploy would stop before the new one starts."""
    apps = {app.name: app for app in planned.lock.apps}
    pairs: dict[str, dict[str, PlannedContainer]] = {}
    for container in planned_containers.containers(shown):
        pairs.setdefault(container.service, {})[container.role] = container
    for change in planned.services:
        if change.action != "replace" or change.service not in apps:
            continue
        if why := why_alone(apps[change.service], pairs.get(change.service, {})):
            workspace.progress(gap(change.service, why))


def _changes(
    workspace: Workspace, wanted: LockFile, shown: dict[str, Any], seen: Observations
) -> tuple[ServiceChange, ...]:
    applied = workspace.applied_lock()
    before = applied.apps if applied else ()
    return service_changes(before, wanted.apps, resource_change.resource_changes(shown), seen)


def _observe(
    workspace: Workspace,
    wanted: LockFile,
    owners: Mapping[str, Users],
    resting: frozenset[str],
) -> Observations:
    """What the plan cannot know: values in files, certificates, and what stands still.

    Raises:
        ConfigError: a ``${NAME}`` in an app's env is not set.
    """
    values = changed_values(workspace, wanted)
    for container in with_old_values(workspace, wanted):  # of a deploy that did not come so far
        names = {app.name: app.env for app in wanted.apps}[container.service]
        values.setdefault(container.service, set(names))
    applied, containers = workspace.applied_lock(), drift.recorded(workspace)
    if applied:
        leaves.warn_of_ends(workspace, applied)
    return Observations(
        values,
        due=due_certificates(workspace, wanted, owners),
        public_due=_public_due(workspace, wanted),
        stopped=drift.stopped(containers, resting),
        bounded=drift.bounded(containers),
        commits=_commits(workspace, wanted),
        volumes=volumes.changes(workspace, applied.all_apps if applied else (), wanted.all_apps),
        lost=drift.lost(workspace, wanted),
        dropped=_dropped(applied, wanted),
    )


def _dropped(applied: LockFile | None, wanted: LockFile) -> set[str]:
    """The stopped services that `wanted` does not have."""
    old = {app.name for app in applied.parked} if applied else set()
    return old - {app.name for app in wanted.all_apps}


def _public_due(workspace: Workspace, wanted: LockFile) -> Sequence[str]:
    """The public hosts for which a deploy of `wanted` installs a certificate, or asks for one."""
    hosts = public_hosts.hosts(workspace, wanted)
    if not hosts:
        return ()
    from iac_wrapper.operations.public_certificates import due  # noqa: PLC0415 - ACME takes 0.3 s

    return due(workspace, hosts)


def _commits(workspace: Workspace, wanted: LockFile) -> dict[str, int]:
    """How many commits services are ahead of what runs, where that can be told without a fetch."""
    applied = workspace.applied_lock()
    before = {app.name: app for app in applied.apps} if applied else {}
    found = {}
    for app in wanted.apps:
        old = before.get(app.name)
        if old and old.commit and app.commit and old.slug == app.slug and old.commit != app.commit:
            remote = remote_of(Slug.parse(app.slug), workspace.settings.hosts)
            count = git.count_commits(remote, old.commit, app.commit)
            if count is not None:
                found[app.name] = count
    return found
