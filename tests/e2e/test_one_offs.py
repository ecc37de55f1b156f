"""Commands as a service: in its container, in one of their own, and before a new version.

The tests share one project and run in order.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Project
from tests.support.git_server import GitServer, Repository
from tests.support.rollouts import server

pytestmark = pytest.mark.integration

SECRET = "s3cret-" + "value" * 3
ENTRIES = """\
- slug: gh:acme/web
  port: 8080
  env: {TOKEN: "${TEST_TOKEN}"}
  release: python migrate.py "$TOKEN"
  schedule: {tick: '* * * * * echo ticked $TOKEN; exit 3'}
- slug: gh:acme/cache
  port: 8080
"""
MIGRATE = """
import os, sys, urllib.request
answer = urllib.request.urlopen('http://cache:8080/', timeout=5).read().decode()
print(f'the cache says {answer}, the token has', len(sys.argv[1]), 'characters')
print('token', sys.argv[1])
"""
ASK = "import urllib.request as u; print(u.urlopen('http://cache/', timeout=5).read().decode())"


@pytest.fixture(scope="module")
def first(project: Project, git_server: GitServer) -> Iterator[dict[str, Any]]:
    """A service with a release command that needs another service; both are new. Its secret is
    stored by `iac env`."""
    project.environment |= {"IAC_PROBATION": "3"}
    files = {"main.py": server("web one"), "migrate.py": MIGRATE}
    git_server.repository("acme/web").commit(files)
    git_server.repository("acme/cache").commit({"main.py": server("cache one")})
    project.file.write_text(ENTRIES)
    of_web = ("web", "--file", str(project.file))
    subprocess.run(
        project.argv("env", "set", *of_web, "--secret", "TOKEN"),
        cwd=ROOT,
        input=SECRET.encode(),
        check=True,
    )
    yield project.deploy()
    project.iac("env", "unset", *of_web, "TOKEN")


def _run(
    project: Project, *arguments: str, data: bytes = b"", timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """A verb with pipes; the command's own exit code, whatever it is."""
    verb, service, *command = arguments
    return subprocess.run(
        [*project.argv(verb, service), "--", *command],
        cwd=ROOT,
        env={**os.environ, **project.environment},
        input=data,
        capture_output=True,
        check=False,
        timeout=timeout,
    )


def _at_once(project: Project, *calls: tuple[str, ...]) -> list[subprocess.CompletedProcess[bytes]]:
    """Several of them at the same time, which takes as long as the slowest."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda arguments: _run(project, *arguments), calls))


def _runs(project: Project) -> list[dict[str, Any]]:
    """The records of what was run, the oldest first."""
    found = [json.loads(path.read_text()) for path in project.directory.glob("runs/*/run.json")]
    return sorted(found, key=lambda record: record["started"])


def test_a_release_command_of_a_first_deploy_has_the_mesh(
    first: dict[str, Any], project: Project
) -> None:
    """It reaches a service that is new as well, knows the secret, and its log masks that."""
    assert first["verdict"] == "ok"
    (record,) = _runs(project)
    assert (record["purpose"], record["exit_code"]) == ("release", 0)
    printed = project.iac("logs", record["id"]).stdout
    assert f"the cache says cache one, the token has {len(SECRET)} characters" in printed
    assert f"{record['id']} | token [redacted]" in printed
    assert SECRET not in printed


def test_exec_passes_bytes_streams_and_the_exit_code(
    first: dict[str, Any], project: Project
) -> None:
    """Every byte in and out, the end of input, both streams apart, the program's own place."""
    every = bytes(range(256)) * 300

    done = _run(project, "exec", "web", "sh", "-c", "cat; echo wrong >&2; exit 7", data=every)
    told = _run(project, "exec", "web", "sh", "-c", 'pwd; id -un; echo "$TOKEN"; which python')

    assert (done.returncode, done.stdout, done.stderr) == (7, every, b"wrong\n")
    assert told.stdout.decode().split() == ["/app", "iac", SECRET, "/venv/bin/python"]


@contextmanager
def _ended_at_last(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """A test that fails must not wait for it."""
    try:
        yield
    finally:
        running.kill()


def test_exec_has_a_terminal_where_there_is_one(first: dict[str, Any], project: Project) -> None:
    """Its size follows, Ctrl-C is the command's own, and ours is restored afterwards."""
    above, below = pty.openpty()
    termios.tcsetwinsize(above, (33, 99))
    before = termios.tcgetattr(below)
    running = subprocess.Popen(
        project.argv("exec", "web"),
        cwd=ROOT,
        env={**os.environ, **project.environment, "TERM": "vt220"},
        stdin=below,
        stdout=below,
        stderr=below,
        start_new_session=True,
    )
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            assert select.select([above], [], [], 20)[0], seen
            seen += os.read(above, 65536)
        seen = seen.partition(text)[2]

    with running, _ended_at_last(running):
        until(b"$ ")
        os.write(above, b"stty size; echo $TERM\n")
        until(b"33 99")
        until(b"vt220")
        termios.tcsetwinsize(above, (20, 50))
        os.kill(running.pid, signal.SIGWINCH)
        time.sleep(0.5)
        os.write(above, b"stty size\n")
        until(b"20 50")
        os.write(above, b"sh -c 'echo r\"\"eady; exec sleep 1000'\n")
        until(b"ready")
        os.write(above, b"\x03")
        os.write(above, b"echo code $?\n")
        until(b"code 130")
        os.write(above, b"exit 3\n")
        assert running.wait(20) == 3
    assert termios.tcgetattr(below) == before
    os.close(above)
    os.close(below)


def _processes(project: Project) -> str:
    return str(project.container("web", "app").top()["Processes"])


def test_exec_that_is_cut_off_leaves_nothing(first: dict[str, Any], project: Project) -> None:
    """SIGTERM to iac ends the command in the container as well."""
    running = subprocess.Popen(
        [*project.argv("exec", "web"), "--", "sh", "-c", "echo up; sleep 4321 & wait"],
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with running, _ended_at_last(running):
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        assert "sleep 4321" in _processes(project)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 130
    assert "sleep 4321" not in _processes(project)


def test_exec_ends_when_nobody_reads_it(first: dict[str, Any], project: Project) -> None:
    """As in `iac exec web -- yes | head -1`: the command is gone, whatever it still had to say."""
    running = subprocess.Popen(
        [*project.argv("exec", "web"), "--", "yes"],
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    with running, _ended_at_last(running):
        assert running.stdout is not None
        assert running.stdout.read(2) == b"y\n"
        running.stdout.close()
        assert running.wait(20) == 1
    assert "yes" not in _processes(project)


def test_exec_says_what_is_not_there(first: dict[str, Any], project: Project) -> None:
    """A service of no such name; one that is stopped."""
    project.container("cache", "app").stop()
    unknown, stopped = _at_once(project, ("exec", "nosuch", "true"), ("exec", "cache", "true"))

    assert unknown.returncode == 2
    assert b"no service nosuch in project" in unknown.stderr
    assert b"expected: cache, web" in unknown.stderr
    assert stopped.returncode == 7
    assert b"service cache is not running" in stopped.stderr
    project.iac("heal")
    project.iac("health", "--wait", "30")


def test_what_is_due_runs_as_the_service(first: dict[str, Any], project: Project) -> None:
    """Once, with its secrets; that it failed is said until the next time."""
    before = project.container_ids()
    path = project.directory / "schedule.json"
    record = json.loads(path.read_text())
    record["web.tick"]["settled"] = "2026-01-01T00:00:00+00:00"  # nobody has looked since
    path.write_text(json.dumps(record))

    done = project.iac("schedule", "run-due", code=7)
    (listed,) = json.loads(project.iac("services", "--json").stdout)["schedule"]
    identifier = listed["last"]["run"]

    assert done.stdout.startswith("web.tick: exit code 3 after ")
    assert (
        f"exit code 3 after {listed['last']['seconds']:.1f} s; iac logs {identifier}"
        in listed["warnings"][0]
    )
    assert f"{identifier} | ticked [redacted]\n" in project.iac("logs", identifier).stdout
    assert project.container_ids() == before


def test_what_nobody_waits_for_goes(first: dict[str, Any], project: Project) -> None:
    """A detached run leaves its log and nothing else; what kill -9 of iac left goes with the next
    command that looks, which leaves alone what still runs."""
    before = project.container_ids()
    script = "trap 'echo done; exit 4' TERM; echo begun $TOKEN; sleep 1000 & wait"
    detached = project.run([*project.argv("run", "web", "--detach"), "--", "sh", "-c", script])
    identifier = detached.stdout.strip()
    killed = subprocess.Popen(
        [*project.argv("run", "web"), "--", "sh", "-c", "echo up; sleep 1000"],
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with killed, _ended_at_last(killed):
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"up\n"
        killed.kill()
    assert len(project.container_ids()) == len(before) + 4

    looked = project.iac("health", "--json")
    left = project.container_ids().keys() - before.keys()
    project.container(identifier, "run-app").kill("SIGTERM")
    followed = project.iac("logs", identifier, "--follow").stdout
    deadline = time.monotonic() + 20
    while project.container_ids() != before and time.monotonic() < deadline:
        time.sleep(0.1)
    kept = project.iac("logs", identifier).stdout

    assert "scheduled web.tick failed" in looked.stderr
    assert left == {f"{project.name}-{identifier}-run-{role}" for role in ("app", "envoy")}
    said = f"{identifier} | begun [redacted]\n{identifier} | done\n"
    assert followed.endswith(said)
    assert project.container_ids() == before
    assert "exit code 4" in kept
    assert kept.endswith(said)


def test_run_is_the_service_and_nobody_finds_it(first: dict[str, Any], project: Project) -> None:
    """Mesh access, secrets and exit code; calls to the service do not come to it; all gone."""
    before = project.container_ids()
    ask = "; ".join([ASK, *[ASK.replace("cache", "web")] * 6])
    script = f'python -m http.server 8080 >/dev/null 2>&1 & sleep 1; python -c "{ask}"'

    asked, wrong = _at_once(
        project,
        ("run", "web", "sh", "-c", f'{script}; echo "$TOKEN"; exit 5'),
        ("run", "web", "nosuch"),
    )

    told = ["cache one", *["web one"] * 6, SECRET, ""]
    assert asked.stdout.decode().split("\n") == told, asked.stderr
    assert asked.returncode == 5
    assert wrong.returncode == 127
    assert b"cannot start nosuch" in wrong.stderr
    assert project.container_ids() == before
    assert {record["purpose"] for record in _runs(project)} == {"release", "detached", "schedule"}


def test_a_release_command_that_fails_keeps_the_old_version(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """Its output is in the verdict and kept; another service moves, after its own command."""
    before = project.container_ids()
    Repository(git_server.folder / "acme" / "web").commit(
        {"main.py": server("web two"), "migrate.py": "print('working')\nraise SystemExit('no')"}
    )
    project.file.write_text(f"{ENTRIES}  memory: 256m\n  release: echo released\n")

    verdict = project.deploy(code=7)

    web = next(service for service in verdict["services"] if service["name"] == "web")
    assert (web["cause"], web["exit_code"], web["evidence"]) == ("release", 1, "no")
    assert web["previous"] is not None
    found = "deployed: cache; stayed on the previous version: web"
    assert verdict["error"]["found"] == found
    now = project.container_ids()
    same = [name for name in before if name.startswith(f"{project.name}-web-")]
    assert [now[name] for name in same] == [before[name] for name in same]
    released, failed = sorted(_runs(project)[-2:], key=lambda record: str(record["id"]))
    assert (released["exit_code"], failed["exit_code"]) == (0, 1)
    assert failed["id"] in web["next_step"]
    printed = project.iac("logs", failed["id"]).stdout
    assert f"{failed['id']} | working\n{failed['id']} | no\n" in printed
    # The destroy at the end of this module ends it.
    project.run([*project.argv("run", "web", "--detach"), "--", "sleep", "1000"])
