"""Every part of a service is killed, or made to hang, under load: it comes back without a command.

The tests share one project with its keeper and run in order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import IAC, ROOT, Project
from tests.reliability.conftest import BACK_SECONDS, Record, until
from tests.reliability.test_leaf_rotation import leaf, port
from tests.support.load import THREADS, Load
from tests.support.people import plain
from tests.support.probe import answered, probing
from tests.support.processes import with_children

pytestmark = pytest.mark.reliability

KNOWN_SECONDS = 0.03
"""After the end of a part: until then a caller's Envoy may not have read that a connection ended,
and send it a call (measured: at most 7 ms)."""

SECONDS = 15.0
"""How long what nobody needs for a call stays stopped."""


def _first(project: Project, name: str) -> int:
    """PID 1 of a container, as the host numbers it; 0 if it does not run."""
    pid: int = project.engine.containers.get(f"{project.name}-{name}").attrs["State"]["Pid"]
    return pid


def _child(pid: int, *words: str) -> int:
    """The first child of `pid` whose command has none of the words."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes().decode()
        if not any(word in command for word in words):
            return int(child)
    return 0


PARTS: dict[str, Callable[[Project], list[int]]] = {
    "Envoy": lambda project: [_child(_first(project, "web-envoy"))],
    "the program": lambda project: [_child(_first(project, "web-app"), "runner")],
    "the runner, PID 1 of the program's container": lambda project: [_first(project, "web-app")],
    "PID 1 of Envoy's container": lambda project: [_first(project, "web-envoy")],
    "both PID 1": lambda project: [_first(project, f"web-{role}") for role in ("envoy", "app")],
    "the gateway": lambda project: [_first(project, "gateway")],
    "the gateway's Envoy": lambda project: [_child(_first(project, "gateway"))],
    "the ingress": lambda project: [_first(project, "ingress")],
    "the ingress's Envoy": lambda project: [_child(_first(project, "ingress"))],
}
"""Their processes; a part is back when it has others and answers."""


def _starts(project: Project) -> dict[str, tuple[int, str]]:
    """By container, its PID 1 and when it was started."""
    found = project.engine.containers.list(all=True, filters=project.label, ignore_removed=True)
    states = {each.name.removeprefix(f"{project.name}-"): each.attrs["State"] for each in found}
    return {name: (state["Pid"], state["StartedAt"]) for name, state in states.items()}


def _url(project: Project) -> int:
    """The port of the ingress."""
    found = project.engine.containers.get(f"{project.name}-ingress").ports
    (published,) = (each for ports in found.values() for each in ports or ())
    return int(published["HostPort"])


def _by_url(at: int) -> str:
    connection = plain(at)
    try:
        connection.request("GET", "/", headers={"Host": f"web.localhost:{at}"})
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {body[:100]}")
        return body
    finally:
        connection.close()


def _ended(pids: Iterable[int]) -> float:
    """When the last one has ended: until then it has the calls that it was sent."""
    left = {*pids}
    deadline = time.monotonic() + 3 * BACK_SECONDS
    while left := {pid for pid in left if _runs(pid)}:
        assert time.monotonic() < deadline, "nobody has noticed that it hangs"
        time.sleep(0.005)
    return time.monotonic()


def _go_on(pids: Iterable[int]) -> None:
    """What nobody mended must not be in the way of the next test."""
    for pid in filter(_runs, pids):
        os.kill(pid, signal.SIGCONT)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.row(7)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_comes_back(mesh: Project, record: Record, part: str, how: signal.Signals) -> None:
    """Calls of a program, of ours through the gateway, and of people through the ingress."""
    gateway, at = port(mesh), _url(mesh)
    tls = leaf(mesh, "control-plane")
    load = Load(mesh.container("caller", "app"), "web", fresh=2)
    with ExitStack() as stack:
        ours = stack.enter_context(probing(partial(answered, gateway, "web", tls), pause=0.1))
        people = stack.enter_context(probing(partial(_by_url, at), pause=0.1))
        before, starts = PARTS[part](mesh), _starts(mesh)
        try:
            assert all(before)
            whole = with_children(before) if how == signal.SIGKILL else {*before}
            at_once = time.monotonic()
            for pid in before:
                os.kill(pid, how)
            ended = _ended(whole)
            until(lambda: all(PARTS[part](mesh)))
            until(lambda: answered(gateway, "web", tls, timeout=2) and _by_url(at))
            back = time.monotonic() - at_once
            time.sleep(2)
        finally:
            _go_on(before)
            inside = load.end()
    meant = {name for name, (pid, _) in starts.items() if pid in before}
    if "web-envoy" in meant:
        meant.add("web-app")  # it is in that one's network
    restarted = {name for name, start in _starts(mesh).items() if start != starts[name]}
    late = [began - ended for began in inside.begun if began > ended]
    record(
        f"{how.name} to {part}",
        f"{inside.sent} calls of a program, {ours.sent} of ours, {people.sent} of people",
        f"back after {back:.1f} s; {len(inside.failed)} calls in flight failed, the last one begun"
        f" {max(late, default=0):.3f} s after the end of the part; longest gap {inside.gap:.1f} s;"
        f" {len(ours.failed)} failed at the gateway, {len(people.failed)} at the ingress;"
        f" started again: {', '.join(sorted(restarted)) or 'no container'}",
    )
    assert back < 3 * BACK_SECONDS
    assert restarted == meant
    if "gateway" in part or "ingress" in part:
        assert inside.failed == []
    assert max(late, default=0) < KNOWN_SECONDS
    assert len(inside.failed) <= THREADS  # one in flight for each connection


@pytest.mark.row(9)
def test_calls_need_nobody_who_deploys(mesh: Project, record: Record, tmp_path: Path) -> None:
    """The keeper and an admin service are killed, the gateway is stopped; then they come back."""
    gateway = mesh.engine.containers.get(f"{mesh.name}-gateway")
    load = Load(mesh.container("caller", "app"), "web", fresh=2)
    with probing(partial(_by_url, _url(mesh))) as people:
        try:
            with _admin(mesh, tmp_path) as service:
                service.kill()
            os.kill(_keeper(mesh), signal.SIGKILL)
            gateway.stop()
            time.sleep(SECONDS)
        finally:
            inside = load.end()
            gateway.start()
    mesh.deploy()
    record(
        f"keeper and admin service killed, gateway stopped for {SECONDS:g} s",
        f"{inside.sent} calls of a program, {people.sent} of people",
        f"{len(inside.failed)} + {len(people.failed)} failed; longest gap {inside.gap:.2f} s",
    )
    assert (inside.failed, people.failed) == ([], [])


def _keeper(project: Project) -> int:
    note = project.directory / "keeper.lock"
    until(lambda: Path(f"/proc/{json.loads(note.read_text())['pid']}").exists(), 10)
    pid: int = json.loads(note.read_text())["pid"]
    return pid


@contextmanager
def _admin(project: Project, folder: Path) -> Iterator[subprocess.Popen[Any]]:
    """A running admin service."""
    socket = folder / "api.sock"
    chosen = {
        "IAC_ADMIN_BIND": "127.0.0.1:0",
        "IAC_ADMIN_GRPC": "off",
        "IAC_ADMIN_SOCKET": str(socket),
        "SUPABASE_URL": "",
        "SUPABASE_SERVICE_ROLE_KEY": "",
    }
    environ = {**os.environ, **project.environment, **chosen, "IAC_KEEPER": "off"}
    argv = [IAC, "admin", "serve"]
    with subprocess.Popen(argv, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL) as served:
        try:
            until(socket.exists, 30)
            yield served
        finally:
            served.kill()
