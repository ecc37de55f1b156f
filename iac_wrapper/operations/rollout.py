"""One rollout: new versions are proven before old ones go, and what fails leaves no outage.

The record of what is deployed stays Terraform's. A new version that may run twice is tried as a
candidate beside the old one; once proven, it has the traffic while Terraform replaces the recorded
pair. What may not run twice is replaced in place, and put back if it fails.

Candidates need memory, so there is a most of them: a rollout of more services has several parts,
each with an apply of its own. Only the last one touches what is not tried beside an old version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from iac_wrapper.adapters import engine_changes, synthesized_stack
from iac_wrapper.errors import IacError
from iac_wrapper.files import env_files
from iac_wrapper.files.layout import KeptLog
from iac_wrapper.model import labels
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.needs import Needs, waves
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.operations import (
    candidates,
    first_starts,
    images,
    kept_logs,
    policy,
    public_hosts,
    release_command,
    releases,
    step,
    unfinished_rollout,
)
from iac_wrapper.operations.blame import Blame
from iac_wrapper.operations.changes import Values, VersionChange, changes, gap, parts
from iac_wrapper.operations.env_values import with_old_values, write_values
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.leaves import keep_certificates
from iac_wrapper.operations.pausing import foreign_programs, paused
from iac_wrapper.operations.prove import prove_and_repair
from iac_wrapper.operations.releases import NamedServices, StoppedService
from iac_wrapper.operations.run import tidy
from iac_wrapper.operations.step import Step
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class RolloutRequest:
    """What a deploy wants.

    `values` are the secret ones; `named` services were asked for one by one; `healed` containers
    were just started; `resting` services are stopped and stay so; with `strict` the verdict is
    also on what was broken before. `gates` are the services that start for the first time once
    others are proven, and those others. `restarts` are services that get new containers though
    nothing about them is another.
    """

    lock: LockFile
    values: Values
    named: NamedServices
    healed_containers: frozenset[str]
    resting_services: frozenset[str]
    strict: bool
    gates: Needs = field(default_factory=dict)
    restarts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RolloutResult:
    """How a rollout ended.

    `lock` says what serves now, for each service; `report` what was proven, with the row of the
    version that failed for services that stayed on, or went back to, their previous one. `plan` is
    the one that was applied first, or that of the whole if it was applied in parts; `plan_hash` its
    SHA-256; `moved` are the services that are good and changed.
    """

    lock: LockFile
    plan: TerraformPlan
    plan_hash: str
    report: ProjectReport
    moved_services: tuple[str, ...]


def roll(workspace: Workspace, wanted: RolloutRequest) -> RolloutResult:
    """Bring the project to what is wanted, service by service as far as each is proven.

    Raises:
        CommandError: a build, Terraform or the engine failed; what serves goes on serving.
    """
    try:
        return _Rollout(workspace, wanted).run()
    except BaseException:
        with suppress(IacError):  # who was let in for what did not come
            policy.refresh(workspace)
        raise


class _Rollout:
    def __init__(self, workspace: Workspace, wanted: RolloutRequest) -> None:
        self._workspace = workspace
        self._wanted = wanted
        self._before = workspace.applied_lock()
        self._old = {app.name: app for app in self._before.apps} if self._before else {}
        self._releases = releases.load_releases(workspace)
        self._now = self._before  # what is deployed at the moment
        self._failed: dict[str, ServiceReport] = {}
        self._back: set[str] = set()  # those of them that were replaced, and put back
        self._kept: dict[str, ResolvedApp] = {}  # what serves in place of what failed
        self._later: frozenset[str] = frozenset()  # what the parts to come are for
        self._starts: dict[str, int] = {}  # the start of each candidate that was proven
        self._resting = set(wanted.resting_services)
        self._gates = dict(wanted.gates)
        self._waiting = set(wanted.gates)  # those of them that were not started yet
        self._stopped: dict[str, ServiceReport] = {}  # what never served
        self._held: dict[str, ServiceReport] = {}  # what was not started
        self._uncertified: set[str] = set()  # public hosts without new certificate: said once

    def run(self) -> RolloutResult:
        workspace, wanted = self._workspace, self._wanted
        unfinished_rollout.settle(workspace, self._before)
        tidy(workspace)
        first = step.prepare(
            workspace, wanted.lock, wanted.resting_services, replaced=wanted.restarts
        )
        step.build(workspace, first)
        changed = changes(workspace, first, self._before, wanted.values)
        stack, healed = first.terraform.directory, wanted.healed_containers
        blame = Blame.before(workspace, stack, first.plan, healed=healed, named=wanted.named)
        blame = blame.touched(changed)
        self._open_gates(first, blame)
        first_part = {name: it for name, it in changed.items() if name not in self._waiting}
        first_part = self._release(first, first_part)
        *early, last = parts(first_part, workspace.settings.candidates)
        for number, part in enumerate(early, 1):
            self._later = self._services - set().union(*early[:number])
            if self._try(part):
                self._replace(part, blame)
        self._later = frozenset()
        self._try(last)
        going = None if early or self._failed or self._gates else first
        going, lock, report = self._replace(last, blame, going)
        if self._gates:
            lock, report = self._start_in_order(lock, report, blame)
        # The images of what was not started stay as well: the next deploy will want them.
        kept = [row.app for row in self._held.values()]
        recorded = replace(lock, apps=(*lock.apps, *kept))
        told = self._told(report)
        unstarted = first_starts.unstarted(lock, told)
        if wanted.named:  # others are as they were
            listed = {app.name for app in wanted.lock.apps}
            before = self._releases.unstarted
            unstarted |= {name: it for name, it in before.items() if name not in listed}
        self._releases = replace(self._releases, unstarted=unstarted)
        releases.finish(workspace, recorded, self._releases)
        images.settle(workspace, recorded, before=self._before)
        shown = first if early or self._gates else going
        touched = changed.keys() | wanted.gates.keys()
        moved = tuple(s.app.name for s in report.services if s.good and s.app.name in touched)
        moved = tuple(name for name in moved if name not in self._failed)
        return RolloutResult(lock, shown.plan, shown.hash, told, moved)

    @property
    def _services(self) -> frozenset[str]:
        return frozenset(self._old)

    @property
    def _untouched(self) -> frozenset[str]:
        own = self._resting | self._waiting | self._failed.keys() | self._stopped.keys()
        return self._later | own

    def _open_gates(self, first: Step, blame: Blame) -> None:
        """Let new services start with the others if all that they need runs, is good and stays what
        it is: that takes no plan more than a deploy without needs."""
        new = {name: needed for name, needed in self._gates.items() if name not in self._services}
        if not new or not synthesized_stack.touches_only(
            first.terraform.directory, first.plan, self._gates
        ):
            return
        assert self._before  # noqa: S101 - else there were the network and the gateway to make
        needed: set[str] = set().union(*new.values())
        lock = replace(self._before, apps=tuple(a for a in self._before.apps if a.name in needed))
        report = ProjectReport(self._workspace.project, ())
        if needed:
            report = prove_and_repair(self._workspace, lock, {}, blame, strict=self._wanted.strict)
        for name in [name for name in new if not first_starts.unmet(name, new, report)]:
            del self._gates[name]
            self._waiting.discard(name)

    def _start_in_order(
        self, lock: LockFile, report: ProjectReport, blame: Blame
    ) -> tuple[LockFile, ProjectReport]:
        """First starts, each after a proof of what it waits for; what lacks that is not started."""
        workspace, gates = self._workspace, self._gates
        for wave in waves(gates):
            lacks = {name: first_starts.unmet(name, gates, report) for name in wave}
            for name in (name for name in wave if lacks[name]):
                row = first_starts.held(workspace, self._wanted.lock, name, lacks[name], report)
                self._held[name] = row
            if ready := [name for name in wave if not lacks[name]]:
                lock, report = self._start(ready, blame.touched(ready), lock, report)
        return lock, report

    def _start(
        self, services: list[str], blame: Blame, lock: LockFile, report: ProjectReport
    ) -> tuple[LockFile, ProjectReport]:
        """Start `services`, after their release commands; `lock` and `report` are of the others."""
        workspace = self._workspace
        workspace.step(f"Starting {', '.join(services)}: what comes first is proven")
        stopped = self._resting & set(services)
        self._waiting -= set(services)
        self._resting -= stopped
        self._releases = self._releases.tried(services)
        releases.save_releases(workspace, self._releases)
        heal(workspace)
        going = step.prepare(workspace, self._target(), self._untouched)
        part = {
            app.name: VersionChange(app, None, was_good=False, in_place="it was stopped")
            for app in going.lock.apps
            if app.name in stopped
        }
        changed = changes(workspace, going, self._now, self._wanted.values)
        part |= {name: change for name, change in changed.items() if name in services}
        failed = set(self._failed)
        part = self._release(going, part)
        if self._try(part):
            planned = going if failed == self._failed.keys() else None
            _, lock, report = self._replace(part, blame, planned)
        return lock, report

    def _release(
        self, planned: Step, changed: Mapping[str, VersionChange]
    ) -> dict[str, VersionChange]:
        """Run the release commands that are due, as `planned` has their services: whose fails gets
        no new version, and no other process of its entry does."""
        policy.widen(self._workspace, self._now, self._wanted.lock)
        failed, self._releases = release_command.run_due(
            self._workspace, planned, self._wanted.values, self._releases, but=self._untouched
        )
        going = {app.name: app for app in planned.lock.apps}
        rows = {row.app.group: row for row in failed.values()}
        stays = failed.keys() | {name for name in changed if going[name].group in rows}
        for name in stays:
            app = going[name]
            self._stays(replace(rows[app.group], app=app), self._old.get(name))
        if self._before:
            keep_certificates(self._workspace, self._before, stays & self._old.keys())
        return {name: change for name, change in changed.items() if name not in stays}

    def _try(self, part: Mapping[str, VersionChange]) -> bool:
        """Prove new versions beside the old ones; what fails is noted and removed.

        Returns:
            Whether anything is to be replaced.
        """
        tried = [change for change in part.values() if change.in_place is None]
        if not tried or self._now is None:
            return bool(part)
        workspace, values = self._workspace, self._wanted.values
        names = ", ".join(change.app.name for change in tried)
        workspace.step(f"Trying {names} beside the version that serves")
        try:
            candidates.start(workspace, [(c.app, c.containers, values[c.app.name]) for c in tried])
            rows = candidates.prove_candidates(
                workspace, self._now, [change.app for change in tried]
            )
            self._starts = {row.app.name: row.health.incarnation for row in rows if row.good}
            bad = [row for row in rows if not row.good]
            self._keep_logs("failed", [row.app for row in bad], f"{labels.CANDIDATE}app")
            for row in bad:
                self._stays(row, part[row.app.name].old)
                workspace.warn(f"{row.app.name}: the new version failed, the previous one stays")
        except BaseException:
            candidates.discard(workspace)
            raise
        candidates.discard(workspace, self._failed)
        keep_certificates(workspace, self._now, self._failed.keys() & part.keys())
        return not part.keys() <= self._failed.keys()

    def _stays(self, row: ServiceReport, kept: ResolvedApp | None) -> None:
        """Note that a new version failed and what is there in its place."""
        self._failed[row.app.name] = row
        if kept:
            self._kept[row.app.name] = kept

    def _replace(
        self, part: Mapping[str, VersionChange], blame: Blame, planned: Step | None = None
    ) -> tuple[Step, LockFile, ProjectReport]:
        """Apply what is proven of `part`, and what cannot be tried; put back what fails then."""
        workspace = self._workspace
        again = self._wanted.restarts & part.keys() - self._failed.keys()
        going = planned or step.prepare(workspace, self._target(), self._untouched, replaced=again)
        self._say_in_place(part.values())
        self._write_values(part)
        self._go_live(part)
        going_away = [c for n, c in part.items() if n not in self._failed and not c.stays]
        self._keep_logs("previous", [c.old for c in going_away if c.old], "app")
        self._apply(going)
        asked = unfinished_rollout.recorded_envoys(workspace)
        done = tuple(app for app in going.lock.apps if app.name not in self._later)
        touched = replace(going.lock, apps=done)
        report = prove_and_repair(workspace, touched, asked, blame, strict=self._wanted.strict)
        report = self._watch(going.lock, report)
        lock, report = self._put_back(going.lock, report, part, asked, blame)
        self._settle(report, part)
        self._now = lock
        return going, lock, report

    def _watch(self, lock: LockFile, report: ProjectReport) -> ProjectReport:
        """`report`, in which a new version that ended while it had the traffic is not good.

        Its recorded pair is only a second old; the candidate has lived longer.
        """
        ended, self._starts = candidates.ended(self._workspace, lock, self._starts), {}
        apps = [row.app for row in report.services if row.app.name in ended]
        rows = candidates.prove_candidates(self._workspace, lock, apps, ended=True) if apps else []
        bad = [replace(row, changed=True) for row in rows]
        for row in bad:
            self._workspace.warn(f"{row.app.name}: the new version ended after it was proven")
        return report.with_rows(bad)

    def _target(self) -> LockFile:
        """What to apply now: the wanted lock, without what is for later and what failed."""
        lock = self._wanted.lock
        if self._later and self._before:
            new = {app.name: app for app in lock.apps}
            apps = (a if a.name in self._later else new[a.name] for a in self._before.apps)
            lock = replace(lock, apps=tuple(apps))
        if self._waiting:
            now = (self._old.get(a.name) if a.name in self._waiting else a for a in lock.apps)
            lock = replace(lock, apps=tuple(app for app in now if app))
        never = self._failed.keys() - self._kept.keys()
        lock = replace(lock, apps=tuple(app for app in lock.apps if app.name not in never))
        return self._with_parked(lock.with_apps(self._kept.values()))

    def _with_parked(self, lock: LockFile) -> LockFile:
        """`lock`, in which what was stopped and is not started (yet) is so still."""
        there = {app.name for app in lock.all_apps}
        wanted = {app.name for app in self._wanted.lock.apps}
        old = self._before.parked if self._before else ()
        still = [app for app in old if app.name in wanted - there]
        names = {app.name for app in (*lock.parked, *still)}
        return replace(lock, parked=(*lock.parked, *still)).parking(names)

    def _say_in_place(self, changed: Iterable[VersionChange]) -> None:
        for change in changed:
            if change.in_place and not change.stays and change.old:
                self._workspace.progress(gap(change.app.name, change.in_place))

    def _write_values(self, changed: Mapping[str, VersionChange]) -> None:
        layout, project = self._workspace.layout, self._workspace.project
        for name, values in self._wanted.values.items():
            if name in self._untouched:
                continue
            if name in changed and changed[name].old:
                previous = layout.previous_env_files(project, name)
                env_files.stash(layout.env_files(project, name), previous)
            write_values(self._workspace, name, values)

    def _go_live(self, changed: Mapping[str, VersionChange]) -> None:
        tried = {name for name, change in changed.items() if change.in_place is None}
        proven = sorted(tried - self._failed.keys())
        for service in proven:
            self._workspace.progress(
                f"{service}: the new version is proven and gets the traffic", service, "apply"
            )
        candidates.go_live(self._workspace, proven)

    def _apply(self, going: Step) -> None:
        workspace = self._workspace
        policy.widen(workspace, self._now, self._wanted.lock)
        step.apply(workspace, going)
        for container in with_old_values(workspace, going.lock):
            workspace.progress(f"{container.service}: restarting, its secret environment changed")
            programs = foreign_programs(workspace)
            with paused(workspace, [p for p in programs if p.service == container.service]):
                workspace.engine.restart(container)
        heal(workspace)
        if public_hosts.hosts(workspace, going.lock):
            from iac_wrapper.operations.public_certificates import (  # noqa: PLC0415 - ACME: 0.3 s
                certify,
            )

            certify(workspace, going.lock, self._uncertified)

    def _put_back(
        self,
        lock: LockFile,
        report: ProjectReport,
        changed: Mapping[str, VersionChange],
        asked: Mapping[str, str],
        blame: Blame,
    ) -> tuple[LockFile, ProjectReport]:
        """Return what failed after it replaced its old version to the last one that was good."""
        bad = [row for row in report.services if not row.good and row.app.name in changed]
        bad = [row for row in bad if row.app.name not in self._failed]
        targets = {row.app.name: self._last_good(changed[row.app.name]) for row in bad}
        back = [row for row in bad if self._differs(row.app, targets[row.app.name])]
        if back:
            # The containers of the others stay, and with them what they printed.
            self._keep_logs("failed", [row.app for row in back], "app")
            apps = [app for row in back if (app := targets[row.app.name])]
            lock = self._apply_again(lock, apps)
            again = replace(lock, apps=tuple(apps))
            rows = prove_and_repair(
                self._workspace, again, asked, blame, strict=self._wanted.strict
            ).services
            report = report.with_rows(rows)
            self._back |= {row.app.name for row in back}
            for row in back:
                self._stays(row, targets[row.app.name])
        self._stop([row for row in bad if targets[row.app.name] is None])
        return lock, report

    def _last_good(self, change: VersionChange) -> ResolvedApp | None:
        return change.old if change.was_good else self._releases.last_good(change.app.name)

    def _differs(self, failed: ResolvedApp, target: ResolvedApp | None) -> bool:
        """Whether going back to `target` is going anywhere: its entry or its values are others."""
        previous = self._workspace.layout.previous_env_files(self._workspace.project, failed.name)
        kept = env_files.read_values(previous)
        new_values = previous.exists() and kept != dict(self._wanted.values[failed.name])
        return target is not None and (target != failed or new_values)

    def _apply_again(self, lock: LockFile, apps: list[ResolvedApp]) -> LockFile:
        """Apply `lock` with `apps` as they were, their secret values included."""
        workspace, project = self._workspace, self._workspace.project
        workspace.step(f"Putting back {', '.join(app.name for app in apps)}")
        for app in apps:
            directory = workspace.layout.env_files(project, app.name)
            env_files.restore(directory, workspace.layout.previous_env_files(project, app.name))
        back = step.prepare(workspace, lock.with_apps(apps), self._untouched)
        step.build(workspace, back)
        self._apply(back)
        return back.lock

    def _stop(self, rows: list[ServiceReport]) -> None:
        """Stop what never served; the containers stay for whoever looks for the reason."""
        workspace, now = self._workspace, datetime.now(UTC)
        stopping = [
            container
            for container in workspace.engine.containers(workspace.project)
            if container.service in {row.app.name for row in rows}
            and container.role in ("app", "envoy")
        ]
        for row in rows:
            logs = f"iac logs {row.app.name} --project {workspace.project}"
            workspace.warn(f"{row.app.name}: stopped, it never served; `{logs}` says why")
        known = self._releases.stopped
        still = (self._resting | self._stopped.keys()) & known.keys()
        stopped = {name: known[name] for name in still}
        self._stopped |= {row.app.name: row for row in rows}
        stopped |= {row.app.name: StoppedService.after(row, now) for row in rows}
        self._releases = replace(self._releases, stopped=stopped)
        releases.save_releases(workspace, self._releases)
        for container in sorted(stopping, key=lambda c: c.role):
            engine_changes.stop(workspace.engine, container)

    def _settle(self, report: ProjectReport, part: Mapping[str, VersionChange]) -> None:
        """Take the traffic back from candidates, and note what is good."""
        workspace, project = self._workspace, self._workspace.project
        good = [row.app for row in report.services if row.good]
        candidates.retire(workspace, {app.name for app in good})
        for name in sorted(candidates.pairs(workspace)):
            workspace.warn(f"{name}: its candidate keeps the traffic, the recorded pair failed")
        for app in good:
            if app.name in part and app.name not in self._failed:
                kept_logs.forget(workspace, "failed", app.name)
            env_files.forget(workspace.layout.previous_env_files(project, app.name))
        self._releases = self._releases.proven(good, keep=workspace.settings.keep_images)
        releases.save_releases(workspace, self._releases)

    def _told(self, report: ProjectReport) -> ProjectReport:
        """`report` with the rows of what failed, and whether the previous version serves."""
        rows = {row.app.name: row for row in report.services}
        told = [
            replace(
                failed,
                changed=True,
                previous=rows[name].app if name in rows and rows[name].good else None,
                put_back=name in self._back,
            )
            for name, failed in self._failed.items()
        ]
        return report.with_rows([*self._stopped.values(), *told, *self._held.values()])

    def _keep_logs(self, kind: KeptLog, apps: Collection[ResolvedApp], role: str) -> None:
        if not apps:
            return
        there = self._workspace.engine.containers(self._workspace.project)
        found = {container.service: container for container in there if container.role == role}
        for app in apps:
            kept_logs.keep(self._workspace, kind, app, found.get(app.name))
