"""The proof at the end of a deploy: verify, and put right what a restart can put right."""

from __future__ import annotations

from collections.abc import Mapping

from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.report import ProjectReport
from iac_wrapper.operations import verify
from iac_wrapper.operations.blame import Blame
from iac_wrapper.operations.heal import heal
from iac_wrapper.operations.workspace import Workspace


def prove_and_repair(
    workspace: Workspace, wanted: LockFile, asked: Mapping[str, str], blame: Blame, *, strict: bool
) -> ProjectReport:
    """Verify; an Envoy that still serves an old certificate is restarted, once.

    It does so when its directory of certificates was removed and made again: the mount still
    shows the old one. `asked`: the Envoy container to ask, by service, where two could answer.
    """
    workspace.step("Verifying every service over mTLS", "prove")
    report = _verify(workspace, wanted, asked, blame)
    stale = {service.app.name for service in report.services if not service.rotated}
    if not stale:
        return blame.mark(report, strict=strict)
    for container in workspace.engine.containers(workspace.project):
        if container.role == "envoy" and container.service in stale:
            workspace.progress(f"{container.service}: restarting its Envoy for the new certificate")
            workspace.engine.restart(container)
    heal(workspace)
    blame = blame.touched(stale)
    return blame.mark(_verify(workspace, wanted, asked, blame), strict=strict)


def _verify(
    workspace: Workspace, wanted: LockFile, asked: Mapping[str, str], blame: Blame
) -> ProjectReport:
    wait = workspace.settings.health_timeout
    return verify.verify(workspace, wanted, wait=wait, given_up=blame.given_up, asked=asked)
