"""The proof: an answer from every service over mTLS through its Envoy, and a refused stranger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from types import MappingProxyType

from iac_wrapper.adapters import certificates
from iac_wrapper.adapters.control_plane import ControlPlane
from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import CommandError
from iac_wrapper.layout import container_name
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import CONTROL_PLANE, spiffe_id
from iac_wrapper.model.diagnosis import Diagnosis, Facts, diagnose
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.proof import Question
from iac_wrapper.model.report import Report, ServiceReport
from iac_wrapper.operations import releases
from iac_wrapper.operations.narrator import Narrator
from iac_wrapper.operations.stuck import StuckCheck
from iac_wrapper.operations.workspace import Workspace

LOOK_SECONDS = 3.0
"""How long a version that serves may take to say so, where nobody waits for it to start."""

LOG_LINES = 400
"""How many lines of a service that is not good are searched for the reason."""


@dataclass(frozen=True)
class Target:
    """A running pair of containers that stands for `app`.

    `sni` is the name that the gateway finds it by, empty for the service's own; `containers` are
    the names of its containers by role, ``envoy`` and ``app``, where they are not the service's;
    `limit` is how many seconds it gets, 0 one look, None what `prove` is told.
    """

    app: ResolvedApp
    sni: str = ""
    containers: Mapping[str, str] = field(default_factory=dict)
    limit: float | None = None

    def container(self, project: str, role: str) -> str:
        """The name of one of its containers."""
        return self.containers.get(role) or container_name(project, self.app.name, role)


def control_plane(workspace: Workspace, lock: LockFile) -> ControlPlane:
    """A client of the project's services, with the control plane's identity."""
    directory = workspace.layout.certificates(workspace.project) / CONTROL_PLANE
    return ControlPlane(lock.gateway_port, directory)


def verify(  # noqa: PLR0913 - keywords with defaults that most callers leave
    workspace: Workspace,
    lock: LockFile,
    *,
    wait: float,
    given_up: Collection[str] = (),
    exactly: bool = False,
    asked: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Prove every service in parallel, see `prove`.

    Args:
        wait: seconds for each to become SERVING, where its `health_timeout` says nothing else;
            0: one look.
        given_up: services that get one look only.
        exactly: `wait` is what a person asked for, whatever a service's own limit is.
        asked: the Envoy container to ask, by service, where two could answer.
    """
    targets = [
        Target(
            app,
            sni=asked.get(app.name, ""),
            limit=0.0 if app.name in given_up else wait if exactly else None,
        )
        for app in lock.apps
    ]
    return Report(workspace.project, tuple(prove(workspace, lock, targets, wait=wait)))


def prove(
    workspace: Workspace, lock: LockFile, targets: Sequence[Target], *, wait: float
) -> list[ServiceReport]:
    """Prove pairs of containers in parallel, each as the service that it stands for.

    One is good only if the program answers (`proof`), twice unless it gets one look only, *and* a
    handshake without a client certificate was refused by its Envoy in the same run.

    Args:
        wait: seconds for those that neither have a `limit` nor a `health_timeout`; 0: one look.
    """
    stop, resting = Event(), _resting(workspace, targets)
    pool = ThreadPoolExecutor(max_workers=max(1, min(32, len(targets))))
    one = partial(_prove_one, workspace, control_plane(workspace, lock), lock, wait, stop)

    def prove_or_tell(target: Target) -> ServiceReport:
        health = resting.get(target.app.name)
        return _at_rest(workspace, lock, target, health) if health else one(target)

    try:
        return list(pool.map(prove_or_tell, targets))
    finally:
        stop.set()  # on Ctrl-C nobody waits for services that are still starting
        pool.shutdown(wait=False, cancel_futures=True)


def unhealthy_detail(reports: Sequence[ServiceReport]) -> str:
    """The diagnoses of services that are not good, as text."""
    return "\n".join(r.diagnosis.render(r.app.name) for r in reports if r.diagnosis)


def _resting(workspace: Workspace, targets: Sequence[Target]) -> dict[str, Health]:
    """What to say of those that a deploy stopped and nobody has started since: nothing answers."""
    stopped = releases.load(workspace).stopped
    known = {t.app.name: t for t in targets if t.app.name in stopped and not t.containers}
    found = {
        name: workspace.engine.container(target.container(workspace.project, "app"))
        for name, target in known.items()
    }
    return {
        name: stopped[name].health(name)
        for name, container in found.items()
        if container and not container.running
    }


def _at_rest(workspace: Workspace, lock: LockFile, target: Target, health: Health) -> ServiceReport:
    app = target.app
    report = ServiceReport(
        app=app,
        identity=spiffe_id(lock.trust_domain, app.name),
        health=health,
        probe=Probe(app.name, None, "it is stopped"),
        rotated=True,
        diagnosis=None,
    )
    return replace(report, diagnosis=_diagnose(workspace, report, target, 0.0))


def _prove_one(  # noqa: PLR0913, PLR0917 - what all services share comes first, for partial
    workspace: Workspace,
    client: ControlPlane,
    lock: LockFile,
    wait: float,
    stop: Event,
    target: Target,
) -> ServiceReport:
    app = target.app
    narrator = Narrator(app.name, workspace.progress)
    limit = target.limit
    if limit is None:
        limit = float(app.options.health_timeout or wait) if wait else 0.0
    health = _ask(workspace, client, target, limit, stop, narrator.changed)
    narrator.result(health)
    report = ServiceReport(
        app=app,
        identity=spiffe_id(lock.trust_domain, app.name),
        health=health,
        probe=client.probe_without_certificate(app.name, sni=target.sni),
        rotated=_serves_its_leaf(workspace, health),
        diagnosis=None,
    )
    if report.good:
        if limit:
            _warn_of_an_idle_web_object(workspace, report)
            _warn_of_a_bad_request(workspace, report, target)
        return report
    return replace(report, diagnosis=_diagnose(workspace, report, target, limit))


def _ask(  # noqa: PLR0913, PLR0917 - only `_prove_one` calls it
    workspace: Workspace,
    client: ControlPlane,
    target: Target,
    limit: float,
    stop: Event,
    show: Callable[[Health], None],
) -> Health:
    app, project = target.app, workspace.project
    question = Question.about(app)
    if not limit:
        return client.health(app.name, question, sni=target.sni)
    stuck = StuckCheck(
        workspace, {role: target.container(project, role) for role in ("envoy", "app")}
    )

    def known(health: Health) -> Health:
        if health.cause == "wrong-port" and app.options.health_timeout:
            health = replace(health, hopeless=False)  # its author says that it takes its time
        return stuck(health)

    return client.wait_serving(
        app.name,
        question,
        deadline=limit,
        sni=target.sni,
        on_change=show,
        known=known,
        stop=stop,
    )


def _warn_of_an_idle_web_object(workspace: Workspace, report: ServiceReport) -> None:
    """What ran has ended well, but the repository has something that could be served."""
    web_object = report.app.entrypoint.web_object
    if web_object and report.health.phase == "COMPLETED" and report.app.run is None:
        name, program = report.app.name, report.app.entrypoint.display
        workspace.warn(
            f"{name}: {program} ran to its end and nothing serves;"
            f" to serve {web_object}, write `entrypoint: {web_object}` in its entry"
        )


def _warn_of_a_bad_request(workspace: Workspace, report: ServiceReport, target: Target) -> None:
    """A 400 to a plain request is an answer, and most likely the one that everybody gets."""
    if not report.health.evidence.startswith("400 "):
        return
    name = report.app.name
    container = workspace.engine.container(target.container(workspace.project, "app"))
    refused = any("Invalid HTTP_HOST header" in line for line in _log(workspace, container))
    hint = f"; Django: add {name!r} to ALLOWED_HOSTS in its settings" if refused else ""
    workspace.warn(f"{name}: answers 400 to GET {report.app.options.health or '/'}{hint}")


def _serves_its_leaf(workspace: Workspace, health: Health) -> bool:
    """Whether the certificate in the handshake is the one on disk: Envoy took the last rotation."""
    if health.fingerprint is None:
        return True  # nothing answered: that is the finding
    directory = workspace.layout.certificates(workspace.project) / health.name
    return certificates.inspect(directory).fingerprint == health.fingerprint


def _diagnose(
    workspace: Workspace, report: ServiceReport, target: Target, limit: float
) -> Diagnosis:
    container = workspace.engine.container(target.container(workspace.project, "app"))
    settings = workspace.settings
    facts = Facts(
        app=report.app,
        project=workspace.project,
        health=report.health,
        probe=report.probe,
        rotated=report.rotated,
        state=container_state(report.health, container),
        oom=bool(container and container.oom_killed and not container.running),
        waited=limit,
        limit=settings.health_timeout,
        memory_mb=report.app.options.memory_mb or settings.memory_mb,
        lines=_log(workspace, container),
    )
    return diagnose(facts)


def _log(workspace: Workspace, container: Container | None) -> list[str]:
    if container is None:
        return []
    try:
        line = workspace.redactor().lines()
        # Not splitlines: a carriage return inside a line may be what is wrong.
        lines = workspace.engine.logs(container.id, LOG_LINES).rstrip("\n").split("\n")
        return [line(text.rstrip("\r")) for text in lines if not _is_span(text)]
    except CommandError as error:
        return [f"(the log cannot be read: {error.message})"]


def _is_span(text: str) -> bool:
    """Whether a line is OpenTelemetry's console exporter speaking, not the program."""
    return text.startswith('{"name": ') and '"trace_id"' in text


def container_state(health: Health, app: Container | None) -> str:
    """The app's container in words, and how often its program ended where its runner knows."""
    if app is None:
        return "is gone"
    if health.failures and health.exit_code is not None:
        times = "once" if health.failures == 1 else f"{health.failures} times"
        state = f"{app.state}, {app.restarts} restarts" if app.restarts else app.state
        return f"{state}; the program ended {times} (exit code {health.exit_code})"
    stopped = app.exit_code if not app.running else None
    code = health.exit_code if health.exit_code is not None else stopped
    ended = "the program has not ended" if code is None else f"exit code {code}"
    return f"{app.state}, {app.restarts} restarts; {ended}"
