"""The monitor against real services (TLS, gRPC) and an engine double."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from admin import monitor as module
from admin.monitor import Monitor, NotDeployedError
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import health as operation
from iac_wrapper.settings import Settings
from tests.support.deployed import app, deployed, leaf, service
from tests.support.docker_daemon import Daemon, FakeContainer, daemon
from tests.support.processes import held_by_another

pytestmark = pytest.mark.slow


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder) / "docker.sock") as state:
        yield state


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monitor(layout: Layout, engine: Daemon, clock: Clock) -> Monitor:
    return Monitor(layout, _settings(engine.host), clock=clock)


def _settings(host: str) -> Settings:
    return Settings(
        environment={"DOCKER_HOST": host}, GITHUB_TOKEN="sentinel-token", IAC_KEEPER="off"
    )


@contextmanager
def running(monitor: Monitor) -> Iterator[Monitor]:
    monitor.start()
    try:
        yield monitor
    finally:
        monitor.stop()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def healthy(engine: Daemon) -> None:
    """The two containers of the service `web`, running."""
    for made in (
        FakeContainer("e", "demo", "web", "envoy"),
        FakeContainer("a", "demo", "web", "app", network_mode="container:e"),
    ):
        made.host_config["PidsLimit"] = 1152
        engine.add(made)


def test_a_good_project(layout: Layout, engine: Daemon, monitor: Monitor) -> None:
    """SERVING over mTLS with a refused stranger is ok; the rows are those of the verdict table."""
    with service(layout, "web") as found:
        found.serving()
        deployed(layout, replace(app("web"), run="worker"), gateway_port=found.port)
        healthy(engine)
        snapshot = monitor.snapshot("demo")
        assert monitor.service("demo", "web").good
    assert (snapshot.verdict, snapshot.error) == ("ok", None)
    assert not [warning for warning in snapshot.warnings if "web" in warning]
    shown = snapshot.to_dict()
    assert shown["services"][0]["identity_proven"] is True
    assert shown["checked_at"].endswith("+00:00")
    assert not (layout.project("demo") / "workspace.lock").exists(), "only healing needs the lock"


def test_nothing_deployed_is_no_error(layout: Layout, monitor: Monitor) -> None:
    """No project, and a project whose services were all removed: an empty list."""
    assert monitor.snapshot("demo").verdict == "empty"
    assert monitor.snapshots() == []
    deployed(layout)
    found = monitor.snapshot("demo")
    assert (found.verdict, found.services, found.error) == ("empty", (), None)


def test_a_recent_snapshot_costs_nothing(layout: Layout, clock: Clock, monitor: Monitor) -> None:
    """The same answer until it is older than asked for, or somebody pokes."""
    deployed(layout, app("web"))
    first = monitor.snapshot("demo")
    assert first.verdict == "unhealthy"
    clock.now += 30
    assert monitor.snapshot("demo") is first
    clock.now += 1
    second = monitor.snapshot("demo")
    assert second is not first
    monitor.poke("demo")
    assert monitor.snapshot("demo") is not second
    assert monitor.snapshot("demo", max_age=0) is not monitor.snapshot("demo", max_age=-1)
    monitor.poke("unknown")
    assert [s.project for s in monitor.snapshots()] == ["demo"]


def test_callers_share_one_look(
    layout: Layout, engine: Daemon, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight requests at once without a snapshot: one look, one answer."""
    deployed(layout, app("web"))
    looks, together = [], threading.Barrier(8)
    real = operation.health

    def counted(*arguments: object) -> object:
        looks.append(1)
        time.sleep(0.02)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "health", counted)

    def ask(_: int) -> int:
        together.wait(5)
        return id(monitor.snapshot("demo"))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert len(looks) == 1


def test_a_slow_look_does_not_hold_up_those_who_have_an_answer(
    layout: Layout, monitor: Monitor, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody else's look takes long, the older snapshot is returned."""
    deployed(layout, app("web"))
    first = monitor.snapshot("demo")
    clock.now += 31
    inside, leave = threading.Event(), threading.Event()
    real = operation.health

    def slow(*arguments: object) -> object:
        inside.set()
        assert leave.wait(5)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "health", slow)
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(monitor.snapshot, "demo")
        assert inside.wait(5)
        assert monitor.snapshot("demo") is first
        leave.set()
        assert looking.result() is not first


def test_no_engine(layout: Layout, clock: Clock, tmp_path: Path) -> None:
    """The snapshot carries a problem of status 503; the pause grows, and ends with the outage."""
    deployed(layout, app("web"))
    path = tmp_path / "docker.sock"
    monitor = Monitor(layout, _settings(f"unix://{path}"), clock=clock)
    found = monitor.snapshot("demo")
    assert (found.verdict, found.services) == ("unknown", ())
    assert found.error
    assert (found.error["status"], found.error["type"]) == (
        503,
        "urn:karstkit:problem:engine-unreachable",
    )
    watch = monitor._watches["demo"]
    pauses = []
    for _ in range(5):
        pauses.append(watch.due - clock.now)
        clock.now += 31
        monitor.snapshot("demo")
    assert pauses == [20, 40, 60, 60, 60]
    with daemon(path):
        clock.now += 31
        assert monitor.snapshot("demo").verdict == "unhealthy"
    assert watch.due - clock.now == 10


def test_other_errors_are_told_too(
    layout: Layout,
    monitor: Monitor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unreadable state, and a fault of our own: a snapshot all the same, no traceback in it."""
    deployed(layout, app("web"))
    layout.state("demo").write_text("{")
    found = monitor.snapshot("demo")
    assert found.error
    assert found.error["status"] == 422
    deployed(layout, app("web"))
    monkeypatch.setattr(module, "health", lambda _: 1 / 0)
    found = monitor.snapshot("demo", max_age=-1)
    assert found.error
    assert (found.error["status"], "division" in str(found.error)) == (500, False)
    assert "ZeroDivisionError" in caplog.text


def test_it_heals_and_warns_once(
    layout: Layout, engine: Daemon, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    """What is stopped is started; what is gone is in the snapshot, and in the log one time."""
    deployed(layout, app("web"))
    fallen = FakeContainer("e", "demo", "web", "envoy", state="exited", start_error="no memory")
    engine.add(fallen)
    with caplog.at_level(logging.WARNING, "iac.admin"):
        found = monitor.snapshot("demo")
        monitor.snapshot("demo", max_age=-1)
    assert "POST /containers/e/start" in engine.calls
    assert len(found.warnings) == 2
    assert [r.getMessage().split(" is gone")[0] for r in caplog.records] == [
        "project demo: the gateway",
        "project demo: web: its app container",
    ]


def test_nothing_is_missed_while_a_deploy_is_at_work(
    layout: Layout, engine: Daemon, monitor: Monitor
) -> None:
    """Its containers come and go on purpose; once it has ended they are missed again."""
    deployed(layout, app("web"))
    with held_by_another(layout.project("demo")):
        assert monitor.snapshot("demo").warnings == ()
    assert len(monitor.snapshot("demo", max_age=-1).warnings) == 2


def test_an_app_left_behind_is_taken_along(
    layout: Layout, engine: Daemon, monitor: Monitor
) -> None:
    """Its Envoy container was restarted: the app is restarted into the new namespace."""
    deployed(layout, app("web"))
    healthy(engine)
    engine.containers["e"].started_at = "2026-01-02T00:00:00Z"
    monitor.snapshot("demo")
    assert engine.calls == ["POST /containers/a/restart"]


def test_during_a_deploy_it_only_looks(layout: Layout, engine: Daemon, monitor: Monitor) -> None:
    """Containers are stopped on purpose then; there is a snapshot all the same."""
    deployed(layout, app("web"))
    healthy(engine)
    engine.containers["a"].state = "exited"
    with workspace_lock.hold(layout.project("demo"), "iac deploy"):
        assert monitor.snapshot("demo").verdict == "unhealthy"
    assert engine.calls == []


def test_secrets_stay_out(layout: Layout, monitor: Monitor) -> None:
    """Texts of the snapshot are redacted."""
    apps = (app(name, "git+https://sentinel-token.example/x") for name in ("web", "db"))
    deployed(layout, *apps, stopped=["db"])
    assert "sentinel" not in str(monitor.snapshot("demo").to_dict())


def test_one_service(layout: Layout, monitor: Monitor) -> None:
    """A live look with its diagnosis; names that are not deployed are errors of their own kind."""
    deployed(layout, app("web"), app("db"))
    found = monitor.service("demo", "db")
    assert (found.app.name, found.health.status) == ("db", "UNREACHABLE")
    assert found.diagnosis
    for project, name in (("demo", "no"), ("no", "web"), ("../demo", "web")):
        with pytest.raises(NotDeployedError, match="no service"):
            monitor.service(project, name)


def test_the_thread_looks_by_itself(layout: Layout, engine: Daemon) -> None:
    """Every interval, at projects that come later as well, and not at ones that are gone."""
    deployed(layout, app("web"))
    with running(Monitor(layout, _settings(engine.host), interval=0.02)) as monitor:
        until(lambda: len(monitor.snapshots()) == 1)
        first = monitor.snapshots()[0]
        until(lambda: monitor.snapshots()[0] is not first)
        deployed(layout, app("api"), project="other")
        until(lambda: {s.project for s in monitor.snapshots()} == {"demo", "other"})
        layout.state("demo").unlink()
        until(lambda: {s.project for s in monitor.snapshots()} == {"other"})


def test_a_poke_wakes_the_thread(layout: Layout, engine: Daemon) -> None:
    """After a job the verdict is looked for at once, on a new project too."""
    deployed(layout, app("web"))
    with running(Monitor(layout, _settings(engine.host), interval=600)) as monitor:
        until(lambda: len(monitor.snapshots()) == 1)
        first = monitor.snapshots()[0]
        deployed(layout, app("api"), project="other")
        monitor.poke("other")
        monitor.poke("demo")
        until(lambda: len(monitor.snapshots()) == 2 and monitor.snapshots()[0] is not first)


def test_nothing_ends_the_thread(
    layout: Layout, engine: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that fails is logged; the next one comes."""
    deployed(layout, app("web"))
    monitor = Monitor(layout, _settings(engine.host), interval=0.01)
    real, fails = monitor.projects, [True, True]
    monkeypatch.setattr(monitor, "projects", lambda: 1 / 0 if fails and fails.pop() else real())
    with running(monitor):
        until(lambda: len(monitor.snapshots()) == 1)
    assert "monitor" not in {t.name for t in threading.enumerate()}


def test_looks_keep_one_client(layout: Layout, engine: Daemon, monitor: Monitor) -> None:
    """A hundred looks do not leave a hundred connections to the engine."""
    deployed(layout, app("web"))
    leaf(layout, "demo", "web")
    monitor.snapshot("demo")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        monitor.snapshot("demo", max_age=-1)
    # Not to the number: what earlier tests have opened in this process comes and goes.
    assert len(list(descriptors.iterdir())) < before + 15
