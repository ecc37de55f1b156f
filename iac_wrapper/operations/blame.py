"""Which services a deploy touched, and which of the others were broken before it did anything.

A service that nobody touched and that is bad afterwards may have been bad before, or may have lost
what it calls. Only a look before the apply can tell, so there is one, at the untouched services.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from iac_wrapper.adapters import synthesized_stack
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.operations.verify import verify
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Blame:
    """`changed` services were touched; `broken` are those of the others that were not good before,
    None if nothing was changed at all: then whatever is not good was so before. `named` services
    were asked for one by one: it is they that the verdict is on, touched or not.
    """

    changed: frozenset[str]
    broken: frozenset[str] | None
    named: frozenset[str] = frozenset()

    @classmethod
    def before(
        cls,
        workspace: Workspace,
        stack: Path,
        plan: TerraformPlan,
        *,
        healed: Iterable[str] = (),
        named: frozenset[str] = frozenset(),
    ) -> Blame:
        """Look at what `plan`, made in the folder `stack`, leaves alone. Call it before the apply.

        `healed` are names of containers that were just started: they may take their time.
        """
        changed = synthesized_stack.changed_services(stack, plan) | _services(workspace, healed)
        broken = _broken(workspace, changed) if plan.changes else None
        return cls(changed, broken, named)

    @property
    def given_up(self) -> frozenset[str]:
        """Services that nobody need wait for: they were broken, and nothing was done to them."""
        return (self.broken or frozenset()) - self.changed - self.named

    def touched(self, services: Iterable[str]) -> Blame:
        """The same, and `services` were touched too."""
        return replace(self, changed=self.changed | frozenset(services))

    def mark(self, report: ProjectReport, *, strict: bool) -> ProjectReport:
        """The report with what is known about each service; `strict` as there."""
        services = tuple(map(self._marked, report.services))
        return replace(report, services=services, strict=strict)

    def _marked(self, service: ServiceReport) -> ServiceReport:
        name = service.app.name
        changed = name in self.changed
        counts = changed or name in self.named
        before = not counts and (self.broken is None or name in self.broken)
        return replace(service, changed=changed, broken_before=before and not service.good)


def _broken(workspace: Workspace, changed: frozenset[str]) -> frozenset[str]:
    lock = workspace.applied_lock()
    others = tuple(a for a in lock.apps if a.name not in changed) if lock else ()
    if lock is None or not others:
        return frozenset()
    silent = replace(workspace, emit=lambda _: None)
    seen = verify(silent, replace(lock, apps=others), wait=0)
    # Not `good`: a certificate that was renewed a moment ago may not be in use yet.
    good = (s.health.serving and s.probe.refused is True for s in seen.services)
    return frozenset(s.app.name for s, fine in zip(seen.services, good, strict=True) if not fine)


def _services(workspace: Workspace, names: Iterable[str]) -> frozenset[str]:
    wanted = set(names)
    if not wanted:
        return frozenset()
    found = workspace.engine.containers(workspace.project)
    return frozenset(c.service for c in found if c.name in wanted)
