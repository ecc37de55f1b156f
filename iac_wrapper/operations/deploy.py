"""Deploy: from intent to services that are proven to serve."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.errors import UnhealthyError
from iac_wrapper.files import lock_file
from iac_wrapper.model.intent import Intent, Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.operations import (
    first_starts,
    ingress,
    keeping,
    local_bases,
    parked,
    prune,
    public_hosts,
    recording,
    volumes,
)
from iac_wrapper.operations.env_values import (
    check_values,
    keep_parts,
    secret_values,
    write_values,
)
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.hooks import Hooks, hooked
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.intent import select, warn_of_another
from iac_wrapper.operations.prepare import (
    ProjectFacts,
    check_addresses,
    facts,
    materialize,
    remove_dropped,
)
from iac_wrapper.operations.releases import NamedServices, wake
from iac_wrapper.operations.rollout import RolloutRequest, RolloutResult, roll
from iac_wrapper.operations.verify import unhealthy_detail
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class DeployResult:
    """What a deploy did, and its proof.

    `plan_hash` is the SHA-256 of the plan that was applied; `moved` are the services that now run
    what this deploy brought; `release` is its number in the ledger.
    """

    plan: TerraformPlan
    plan_hash: str
    report: ProjectReport
    moved_services: tuple[str, ...] = ()
    release: int = 0


def gather(
    workspace: Workspace, intent: Intent, *, planned: LockFile | None = None
) -> ProjectFacts:
    """Resolve, fetch and detect what `intent` names. Call it with the project held.

    Args:
        planned: what is to come of it, from a saved plan: its commits, network and ports are tried.

    Raises:
        PruneError: services would be removed, and nobody agreed to that.
        ConfigError: among others, when this machine is not set up, the project's containers belong
            to another folder, or a ``${NAME}`` of `env:` is not set.
    """
    workspace.host  # noqa: B018 - the set-up brings the engine, and all that comes after it
    workspace.engine.ping()
    check_own(workspace)
    prune.check(workspace, intent)
    selection = select(workspace, intent)
    if planned:
        selection = replace(selection, pinned_lock=planned, lock_on_disk=planned)
    check_selection(workspace, selection)
    if count := len({spec.group for spec in selection.fresh}):
        workspace.step(f"Resolving {count} slug{'s' * (count != 1)}", "resolve")
    found = facts(workspace, selection)
    check_lock(workspace, found.lock)
    return found


def check_selection(workspace: Workspace, selection: Selection) -> None:
    """Refuse what cannot be, as far as that is known before a source is fetched.

    Raises:
        ConfigError: a ``${NAME}`` is not set, two services claim an address, or a port is taken.
    """
    check_values(workspace, selection)
    check_addresses(selection)
    ingress.check_ports(workspace, selection)


def check_lock(workspace: Workspace, lock: LockFile) -> None:
    """Refuse what cannot be, before anything changes.

    Raises:
        ConfigError: a volume is another service's, or a certificate in files cannot be used.
    """
    volumes.check(workspace, lock)
    if hosts := public_hosts.hosts(workspace, lock):
        from iac_wrapper.operations import public_certificates  # noqa: PLC0415 - ACME takes 0.3 s

        public_certificates.check(hosts)


def lock(workspace: Workspace, intent: Intent) -> LockFile:
    """Write the lock file and everything else that synth and Terraform need on disk."""
    with workspace.hold("iac lock"):
        found = gather(workspace, intent)
        warn_of_another(workspace, intent)
        values = secret_values(workspace, found.lock)
        materialize(workspace, found)
        keep_parts(workspace, found.lock)
        for service, wanted in values.items():
            write_values(workspace, service, wanted)
        lock_file.save_lock(found.lock, intent.lock_path)
    if names := [app.name for app in found.lock.apps if app.options.release]:
        workspace.warn(f"cdktf does not run `release:` of {', '.join(names)}; `iac deploy` does")
    return found.lock


def deploy(workspace: Workspace, intent: Intent, *, everything: bool = False) -> DeployResult:
    """Make the project be what `intent` says, and prove it.

    The lock file is written last: it says what serves, also where a new version failed.

    Raises:
        HookError: the hook ``pre-deploy`` failed; nothing has changed.
        IacError: any step failed; what was running before keeps running unless Terraform had
            already replaced it.
        DeployUnhealthyError: not every service is good, some may be what they were before; with
            `everything` also if those are bad only that were broken before.
    """
    beside = intent.lock_path.parent if intent.files else None
    with hooked(workspace, "deploy", beside) as (release, hooks):
        with workspace.hold("iac deploy"), release.recorded():
            found = gather(workspace, intent)
            warn_of_another(workspace, intent)
            if intent.files:
                release.of = {"lock_file": str(intent.lock_path)}
            named, path = intent.named, intent.lock_path
            rolled = bring(
                workspace, release, found, named, path, everything=everything, hooks=hooks
            )
            local_bases.save_bases(workspace, intent.specs, rolled.lock)
        return judged(workspace, rolled, release.number)


def bring(  # noqa: PLR0913 - all that a rollout needs
    workspace: Workspace,
    release: recording.Release,
    found: ProjectFacts,
    named: NamedServices,
    lock_path: Path,
    *,
    everything: bool = False,
    hooks: Hooks | None = None,
    restarts: Collection[str] = (),
) -> RolloutResult:
    """Begin `release`, roll what was `found` out, and clear away what that leaves behind.

    Args:
        workspace: the project, which is held.
        release: what is told how it went.
        found: what the project is to be.
        named: services that were asked for one by one.
        lock_path: where to write what serves then.
        everything: as `deploy`.
        hooks: those of the release, which then begin it.
        restarts: services that get new containers though nothing about them is another.

    Raises:
        IacError: as `deploy`; before the release has begun if a ``${NAME}`` is not set.
    """
    before = workspace.applied_lock()
    values = secret_values(workspace, found.lock)
    if hooks:
        hooks.start(found.lock)
    else:
        release.start()
    workspace.step("Preparing certificates and build contexts")
    materialize(workspace, found)
    keep_parts(workspace, found.lock)
    gates = first_starts.gates(workspace, found.lock, values, named)
    resting = wake(workspace, found.lock, values, named, gates)
    healed = frozenset(line.partition(":")[0] for line in heal(workspace))
    wanted = RolloutRequest(
        found.lock, values, named, healed, resting, everything, gates, frozenset(restarts)
    )
    rolled = roll(workspace, wanted)
    release.plan_hash, release.report = rolled.plan_hash, rolled.report
    release.moved = rolled.moved_services
    lock_file.save_lock(rolled.lock, lock_path)
    remove_dropped(workspace, rolled.lock)
    old = before.all_apps if before else ()
    for service, text in volumes.left(workspace.project, old, rolled.lock.all_apps):
        workspace.progress(f"{service}: {text}")
    parked.say(workspace, rolled.lock)
    return rolled


def judged(workspace: Workspace, rolled: RolloutResult, number: int) -> DeployResult:
    """What the release `number` did; from here on a process keeps it running.

    Raises:
        DeployUnhealthyError: as `deploy`.
    """
    keeping.ensure(workspace)
    deployed = DeployResult(
        rolled.plan, rolled.plan_hash, rolled.report, rolled.moved_services, number
    )
    if not deployed.report.good:
        raise DeployUnhealthyError(deployed)
    return deployed


class DeployUnhealthyError(UnhealthyError):
    """Not everything is proven; `deployed` says what was found."""

    def __init__(self, deployed: DeployResult) -> None:
        failed = deployed.report.failed
        super().__init__(
            _sentence(deployed.report, failed),
            found=_groups(deployed.moved_services, failed),
            detail=unhealthy_detail(failed),
        )
        self.deployed = deployed


def _sentence(report: ProjectReport, failed: Sequence[ServiceReport]) -> str:
    bad = [service for service in failed if not service.good]
    parts = {"are not healthy": len(bad), "are not reached by people": len(failed) - len(bad)}
    of_all = f"of {len(report.services)} services"
    text = "; ".join(f"{count} {of_all} {what}" for what, count in parts.items() if count)
    back = [service.put_back for service in failed if service.previous]
    ways = {"still serves": back.count(False), "was put back": back.count(True)}
    for way, count in ways.items():
        if count:
            of = "" if count == len(bad) else f"for {count} of them "
            text += f"; {of}the previous version {way}"
    return text


def _groups(moved: Sequence[str], failed: Sequence[ServiceReport]) -> str:
    """Which services run what this deploy brought, which are what they were, which are down."""
    kept = [s for s in failed if s.previous]
    held = [s for s in failed if s.health.cause == first_starts.WAITING]
    groups = {
        "deployed": moved,
        "stayed on the previous version": [s.app.name for s in kept if not s.put_back],
        "put back to the previous version": [s.app.name for s in kept if s.put_back],
        "not healthy": [s.app.name for s in failed if not (s.good or s.previous) and s not in held],
        "not reached by people": [s.app.name for s in failed if s.good],
        "not started": [s.app.name for s in held],
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items() if names)
