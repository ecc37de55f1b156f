"""The proof: an answer from every service over mTLS through its Envoy, and a refused stranger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event
from types import MappingProxyType

from iac_wrapper.adapters.engine import Container
from iac_wrapper.errors import CertificateError
from iac_wrapper.files.layout import container_name
from iac_wrapper.identity import certificates
from iac_wrapper.identity.control_plane import UNTRUSTED, ControlPlane
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import CONTROL_PLANE, spiffe_id
from iac_wrapper.model.diagnosis import Diagnosis, DiagnosisFacts, diagnose
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.proof import ProofQuestion
from iac_wrapper.model.report import ProjectReport, ServiceReport, UrlFault
from iac_wrapper.model.usage import may_be_usage, not_completed, usage_line
from iac_wrapper.operations import ingress, leaves, public_answer, releases, stopped_containers
from iac_wrapper.operations import served_leaf as served
from iac_wrapper.operations.at_limits import at_limits
from iac_wrapper.operations.carrier import ROLES, Role, pair_names
from iac_wrapper.operations.failing import FailingCheck
from iac_wrapper.operations.foreign_program import ask_of
from iac_wrapper.operations.last_lines import last_lines
from iac_wrapper.operations.narrator import Narrator
from iac_wrapper.operations.remarks import remarks
from iac_wrapper.operations.stuck import StuckCheck
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program.shell_scripts import with_windows_lines
from iac_wrapper.program.source_hints import source_hints

LOOK_SECONDS = 3.0
"""How long a version that serves may take to say so, where nobody waits for it to start."""

ROTATION_SECONDS = 5.0
"""After so long an Envoy that sees its new certificate has taken it."""

RENEWAL_SECONDS = 2.0
"""How long an Envoy may show the old certificate while a new one is on disk: mostly 0.1 s."""

STALE_SECONDS = 2.0
"""The age of a proof from which it is repeated before the verdict, which may have waited longer."""

LAST_LOOK_SECONDS = 11.0
"""For that repetition: as long as one answer may take, and the second between two of them."""

LOG_LINES = 400
"""How many lines of a service that is not good are searched for the reason."""


@dataclass(frozen=True)
class Target:
    """A running pair of containers that stands for `app`.

    `sni` is the name that the gateway finds it by, empty for the service's own; `containers` are
    the names of its containers by role, ``envoy`` and ``app``, where they are not the service's;
    `limit` is how many seconds it gets, 0 one look, None what `prove` is told. `ended`: its program
    is known to have ended after it was proven, so another start that serves proves nothing.
    `tried`: it has no traffic that people or callers rely on yet, nor an address.
    """

    app: ResolvedApp
    sni: str = ""
    containers: Mapping[Role, str] = field(default_factory=dict)
    limit: float | None = None
    ended: bool = False
    tried: bool = False

    def container(self, project: str, role: Role) -> str:
        """The name of one of its containers."""
        return self.containers.get(role) or container_name(project, self.app.name, role)


def control_plane(workspace: Workspace, lock: LockFile) -> ControlPlane:
    """A client of the project's services, with the control plane's identity."""
    leaves.refresh_control_plane(workspace, lock)
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
) -> ProjectReport:
    """Prove every service in parallel, see `prove`, and say what is to be known of good ones.

    Args:
        wait: seconds for each to become SERVING, where its `health_timeout` says nothing else;
            0: one look.
        given_up: services that get one look only.
        exactly: `wait` is what a person asked for, whatever a service's own limit is.
        asked: the Envoy container to ask, by service, where two could answer.
    """
    find, project = workspace.engine.container, workspace.project
    targets = [
        Target(
            app,
            sni=asked.get(app.name, ""),
            # Where two could answer, that one whose limits and restarts are read.
            containers={} if app.name in asked else pair_names(project, app.name, find),
            limit=0.0 if app.name in given_up else wait if exactly else None,
        )
        for app in lock.apps
    ]
    rows = prove_targets(workspace, lock, targets, wait=wait)
    for row in rows:
        for text in row.warnings:
            workspace.warn(f"{row.app.name}: {text}")
    return ProjectReport(workspace.project, tuple(rows))


def prove_targets(
    workspace: Workspace, lock: LockFile, targets: Sequence[Target], *, wait: float
) -> list[ServiceReport]:
    """Prove pairs of containers in parallel, each as the service that it stands for.

    One is good only if the program answers (`proof`), twice unless it gets one look only, *and* a
    handshake without a client certificate was refused by its Envoy in the same run. What has an
    answer long before the slowest is asked again at the end.

    Args:
        wait: seconds for those that neither have a `limit` nor a `health_timeout`; 0: one look.
    """
    stop, resting = Event(), resting_services(workspace, targets)
    pool = ThreadPoolExecutor(max_workers=max(1, min(32, len(targets))))
    one = partial(_prove_one, workspace, control_plane(workspace, lock), lock, wait, stop)

    def first_look(target: Target) -> tuple[ServiceReport, float]:
        health = resting.get(target.app.name)
        row = _at_rest(workspace, lock, target, health) if health else one(target)
        return row, time.monotonic()

    def last_look(target: Target, seen: tuple[ServiceReport, float]) -> ServiceReport:
        """What became of it while slower services were waited for."""
        row, at = seen
        if not wait or target.limit == 0 or target.app.name in resting or at > old:
            return row
        now = one(replace(target, limit=LAST_LOOK_SECONDS))
        return now if now.good or row.good else row

    try:
        first = list(pool.map(first_look, targets))
        old = time.monotonic() - STALE_SECONDS
        return list(pool.map(last_look, targets, first))
    finally:
        stop.set()  # on Ctrl-C nobody waits for services that are still starting
        pool.shutdown(wait=False, cancel_futures=True)


def unhealthy_detail(reports: Sequence[ServiceReport]) -> str:
    """The diagnoses of services that are not good, as text."""
    return "\n".join(r.diagnosis.render(r.app.name) for r in reports if r.diagnosis)


def resting_services(workspace: Workspace, targets: Sequence[Target]) -> dict[str, Health]:
    """What to say of those that a deploy stopped and nobody has started since: nothing answers."""
    stopped = releases.load_releases(workspace).stopped
    known = {t.app.name: t for t in targets if t.app.name in stopped and not t.tried}
    found = {
        name: workspace.engine.container(target.container(workspace.project, "app"))
        for name, target in known.items()
    }
    return {
        name: stopped[name].health(
            name, f"iac deploy {workspace.list_arguments} {name} --project {workspace.project}"
        )
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
        urls=ingress.urls(workspace, lock, app),
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
    limit = target.limit
    if limit is None:
        limit = float(app.options.health_timeout or wait) if wait else 0.0
    workspace.stage(app.name, "prove", "over mTLS")
    narrator = Narrator(app.name, workspace.emit, limit)
    health = _ask(workspace, client, target, limit, stop, narrator.changed)
    if health.way == "COMPLETED" and may_be_usage(app, health):
        health = not_completed(health) if usage_line(_log_of(workspace, target)) else health
    if target.ended and health.serving:
        text = "it ended after it was proven, and was started again"
        health = replace(health, status="NOT_SERVING", cause="ended-later", message=text)
    if not target.tried:
        names = {role: target.container(workspace.project, role) for role in ROLES}
        health = stopped_containers.explained(workspace, health, names)
    narrator.result(health)
    report = ServiceReport(
        app=app,
        identity=spiffe_id(lock.trust_domain, app.name),
        health=health,
        probe=client.probe_without_certificate(app.name, sni=target.sni),
        rotated=_serves_its_leaf(workspace, lock, health),
        certificate=_fault_on_disk(workspace, lock, target),
        diagnosis=None,
        urls=ingress.urls(workspace, lock, app),
    )
    report = replace(report, warnings=tuple(_at_limits(workspace, target)))
    if report.good:
        log = partial(_log_of, workspace, target)
        memory_mb = _memory_mb(workspace, app)
        faults = tuple(_url_faults(workspace, lock, target, report, wait))
        said = tuple(remarks(report, memory_mb, log))
        report = replace(report, warnings=said + report.warnings, url_faults=faults)
        return replace(report, diagnosis=public_answer.diagnose(workspace, faults))
    return replace(report, diagnosis=_diagnose(workspace, report, target, limit))


def _at_limits(workspace: Workspace, target: Target) -> Iterator[str]:
    envoy, app = (target.container(workspace.project, role) for role in ROLES)
    return at_limits(workspace, envoy, workspace.engine.container(app))


def _url_faults(
    workspace: Workspace, lock: LockFile, target: Target, report: ServiceReport, wait: float
) -> Iterator[UrlFault]:
    """Where people do not reach a service; one that is only tried has no address yet."""
    if target.tried:
        return iter(())
    serves, patience = report.health.port is not None, public_answer.PATIENCE if wait else 0.0
    return public_answer.faults(workspace, lock, target.app, serves=serves, patience=patience)


def _ask(  # noqa: PLR0913, PLR0917 - only `_prove_one` calls it
    workspace: Workspace,
    client: ControlPlane,
    target: Target,
    limit: float,
    stop: Event,
    show: Callable[[Health], None],
) -> Health:
    app, project = target.app, workspace.project
    question = ProofQuestion.about(app)
    ask = ask_of(workspace, app, target.container(project, "app"))
    if not limit:
        return client.health(app.name, question, sni=target.sni, ask=ask)
    stuck = StuckCheck(workspace, {role: target.container(project, role) for role in ROLES})
    failing = FailingCheck(workspace, app, target.container(project, "app"))

    def known(health: Health) -> Health:
        if health.cause == UNTRUSTED and health.seconds > ROTATION_SECONDS:
            return replace(health, hopeless=True)
        if health.cause == "wrong-port" and app.options.health_timeout:
            health = replace(health, hopeless=False)  # its author says that it takes its time
        return failing(stuck(health))

    return client.wait_serving(
        app.name,
        question,
        deadline=limit,
        sni=target.sni,
        ask=ask,
        on_change=show,
        known=known,
        stop=stop,
    )


def _serves_its_leaf(workspace: Workspace, lock: LockFile, health: Health) -> bool:
    """Whether the certificate in the handshake is the one on disk: Envoy took the last rotation."""
    if health.cause == UNTRUSTED:
        return False  # an Envoy whose mount still shows those of another authority
    if health.fingerprint is None:
        return True  # nothing answered: that is the finding
    try:
        if leaves.leaf_of(workspace, health.name).fingerprint == health.fingerprint:
            return True
    except CertificateError:
        return True  # what is on disk cannot be read: `_fault_on_disk` says it
    # It may have been renewed since the handshake.
    return served.wait(workspace, lock, health.name, seconds=RENEWAL_SECONDS) is not None


def _fault_on_disk(workspace: Workspace, lock: LockFile, target: Target) -> str:
    """Why its Envoy could not serve again what it serves now from memory; empty: it could."""
    name = target.app.name
    directory = workspace.layout.certificates(workspace.project) / name
    reader = leaves.reader_uid(workspace, target.container(workspace.project, "envoy"))
    fault = certificates.own_fault(directory, name, lock.trust_domain, reader=reader)
    return fault.text if fault else ""


def _diagnose(
    workspace: Workspace, report: ServiceReport, target: Target, limit: float
) -> Diagnosis:
    container = workspace.engine.container(target.container(workspace.project, "app"))
    settings, lines = workspace.settings, _log(workspace, container)
    source = workspace.layout.context(workspace.project, report.app.image) / "app"
    facts = DiagnosisFacts(
        app=report.app,
        project=workspace.project,
        health=report.health,
        probe=report.probe,
        rotated=report.rotated,
        certificate=report.certificate,
        state=container_state(report.health, container),
        oom=bool(container and container.oom_killed and not container.running),
        waited=limit,
        limit=settings.health_timeout,
        memory_mb=_memory_mb(workspace, report.app),
        lines=lines,
        windows_scripts=with_windows_lines(source, report.app.entrypoint.display, lines),
        hints=source_hints(source),
    )
    return diagnose(facts)


def _memory_mb(workspace: Workspace, app: ResolvedApp) -> int:
    return app.options.memory_mb or workspace.settings.memory_mb


def _log_of(workspace: Workspace, target: Target) -> list[str]:
    name = target.container(workspace.project, "app")
    return _log(workspace, workspace.engine.container(name))


def _log(workspace: Workspace, container: Container | None) -> list[str]:
    lines = last_lines(workspace, container, LOG_LINES)
    return [line for line in lines if not _is_span(line)]


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
