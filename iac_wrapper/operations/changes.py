"""Which services a plan gives a new version, and which of those may run beside their old one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from iac_wrapper.adapters import planned_containers
from iac_wrapper.adapters.planned_containers import PlannedContainer
from iac_wrapper.files import env_files
from iac_wrapper.files.layout import candidate_name
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.health import Health
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import candidates
from iac_wrapper.operations.carrier import pair_names
from iac_wrapper.operations.env_values import with_old_values
from iac_wrapper.operations.foreign_program import ask_of
from iac_wrapper.operations.step import Step
from iac_wrapper.operations.verify import LOOK_SECONDS, control_plane
from iac_wrapper.operations.workspace import Workspace

Values = Mapping[str, Mapping[str, str]]
"""Secret values by service and variable."""

_LABEL = 63  # octets of a name in DNS (RFC 1035): the sidecars ask for a candidate by name


LIMITS_ONLY = "only its limits change"
"""Why a version is not tried whose containers stay: nothing stops."""

_REPLACE, _DATA = "`rollout: replace`", "it holds data"


@dataclass(frozen=True)
class VersionChange:
    """A service that gets another version, or its first one.

    `old` is what Terraform's state has, `was_good` whether that serves now; `in_place` says why
    the new version cannot be tried beside it, None if it can; `containers` are both as the plan
    has them, by role.
    """

    app: ResolvedApp
    old: ResolvedApp | None
    was_good: bool
    in_place: str | None
    containers: Mapping[str, PlannedContainer] = field(default_factory=dict)

    @property
    def stays(self) -> bool:
        """Whether its containers are those of before."""
        return self.in_place == LIMITS_ONLY


def changes(
    workspace: Workspace, step: Step, before: LockFile | None, values: Values
) -> dict[str, VersionChange]:
    """The services whose containers `step` makes, changes or restarts, or whose values are new."""
    apps = {app.name: app for app in step.lock.apps}
    if before is None:
        return {name: VersionChange(app, None, False, "it is new") for name, app in apps.items()}
    restarts = _with_new_values(workspace, step.lock, values)
    if not restarts and not any(_is_container(change.address) for change in step.plan.changes):
        return {}
    shown = step.terraform.show(step.plan_file)
    pairs: dict[str, dict[str, PlannedContainer]] = {}
    for container in planned_containers.containers(shown):
        pairs.setdefault(container.service, {})[container.role] = container
    touched = [n for n in apps if n in restarts or any(map(_is_touched, pairs.get(n, {}).values()))]
    old = {app.name: app for app in before.apps}
    health = _health(workspace, before, [name for name in touched if name in old])
    general = "the network changes" if planned_containers.replaces_network(shown) else None
    unfinished = candidates.pairs(workspace)
    found = {}
    for name in touched:
        seen, pair = health.get(name), pairs.get(name, {})
        own = "an unfinished deploy left it half-way" if name in unfinished else None
        if name not in restarts and not any(one.is_new for one in pair.values()):
            own = LIMITS_ONLY
        why = general or own or _why_in_place(workspace, apps[name], seen, pair)
        good = seen is not None and seen.serving
        found[name] = VersionChange(apps[name], old.get(name), good, why, pair)
    return found


def parts(changed: Mapping[str, VersionChange], most: int) -> list[dict[str, VersionChange]]:
    """What a rollout replaces together, at least one part: `most` new versions beside the old ones
    in each; everything that is not tried comes with the last."""
    tried = [change for change in changed.values() if change.in_place is None]
    found = [tried[at : at + most] for at in range(0, len(tried), most)] or [[]]
    found[-1] += [change for change in changed.values() if change.in_place is not None]
    return [{change.app.name: change for change in part} for part in found]


def _with_new_values(workspace: Workspace, lock: LockFile, values: Values) -> set[str]:
    """Services whose values are others than those that their program was started with."""
    layout, project = workspace.layout, workspace.project
    new = {
        name
        for name, wanted in values.items()
        if env_files.read_values(layout.env_files(project, name)) != dict(wanted)
    }
    return new | {container.service for container in with_old_values(workspace, lock)}


def _health(workspace: Workspace, before: LockFile, services: Sequence[str]) -> dict[str, Health]:
    if not services:
        return {}
    client, apps = control_plane(workspace, before), {app.name: app for app in before.apps}

    def look(name: str) -> Health:
        names = pair_names(workspace.project, name, workspace.engine.container)
        ask = ask_of(workspace, apps[name], names["app"])
        return client.health(name, timeout=LOOK_SECONDS, ask=ask)

    with ThreadPoolExecutor(min(32, len(services))) as pool:
        return dict(zip(services, pool.map(look, services), strict=True))


def _why_in_place(
    workspace: Workspace,
    app: ResolvedApp,
    seen: Health | None,
    pair: Mapping[str, PlannedContainer],
) -> str | None:
    """Why two versions of a service cannot run side by side; None if they can."""
    reasons = (
        (seen is None, "it is new"),
        (
            seen is not None and not seen.serving and seen.port is None,
            "its old version does not serve",
        ),
        (not _serves(app, seen), "it does not serve requests"),
        ((alone := why_alone(app, pair)) is not None, alone),
        (not {"envoy", "app"} <= pair.keys(), "one of its containers is not planned"),
        (len(candidate_name(workspace.project, app.name)) > _LABEL, "its name is too long"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def why_alone(app: ResolvedApp, pair: Mapping[str, PlannedContainer]) -> str | None:
    """Why two versions of a service must not run side by side, as its entry has it."""
    if app.options.rollout == "replace":
        return _REPLACE
    return _DATA if any(one.holds_data for one in pair.values()) else None


def gap(service: str, why: str) -> str:
    """A line on a service whose old version stops before the new one starts."""
    wait = "; callers wait up to about 9 s" if why in (_REPLACE, _DATA) else ""
    return f"{service}: its old version stops first ({why}){wait}"


def _serves(app: ResolvedApp, seen: Health | None) -> bool:
    """Whether a service answers requests: one that works something off must not run twice."""
    if app.run is not None:
        return app.run == "web"
    return seen is not None and seen.port is not None


def _is_touched(container: PlannedContainer) -> bool:
    return bool({"create", "update"} & set(container.actions))


def _is_container(address: str) -> bool:
    return address.startswith("docker_container.")
