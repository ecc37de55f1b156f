"""The runner as a process around real programs: phases, readiness, restarts, signals, logs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from iac_wrapper.grpc_pb import controlplane_pb2 as pb
from runner.server import MAX_READERS
from runner.supervisor import NAMESPACE_LOST, STOPPED_SECONDS
from tests.unit.runner.conftest import FAST_RECONNECT, ROOT, Start

pytestmark = pytest.mark.slow

FOREVER = "import time; print('up'); time.sleep(60)"

SERVER = """
import os, socket, time
while not os.path.exists(os.environ["GO"]): time.sleep(0.02)
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True: s.accept()[0].close()
"""

HEALTH_SERVER = """
import os, signal, grpc, time
from concurrent.futures import ThreadPoolExecutor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
server = grpc.server(ThreadPoolExecutor(4))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
signal.signal(signal.SIGUSR1, lambda *_: servicer.set("", health_pb2.HealthCheckResponse.SERVING))
server.add_insecure_port("127.0.0.1:" + os.environ["PORT"])
server.start()
print("ready", flush=True)
while True: time.sleep(0.05)
"""


def test_job_that_ends_well_is_completed_and_stays_up(start: Start) -> None:
    """Exit code 0 is COMPLETED and SERVING, its output stays readable, following it ends."""
    runner = start("import sys; print('out'); print('err', file=sys.stderr)")
    status = runner.until(lambda s: s.phase == pb.COMPLETED)
    assert (status.status, status.exit_code, status.failures) == (pb.SERVING, 0, 0)
    lines = runner.log(follow=True)
    assert sorted(lines[:2]) == [(pb.STDOUT, "out"), (pb.STDERR, "err")]
    assert runner.process.poll() is None
    assert runner.stop() == 0
    assert runner.output[0] == "out\n"
    assert "err\n" in runner.output[1]


def test_a_program_that_is_stopped_by_a_signal_is_started_again(start: Start) -> None:
    """It would hold its port and answer nobody."""
    runner = start("import os; print(os.getpid(), flush=True); import time; time.sleep(60)")
    runner.until(lambda s: s.phase == pb.RUNNING)
    first = int(runner.log()[0][1])
    os.kill(first, signal.SIGSTOP)
    status = runner.until(lambda s: s.restarts == 1, seconds=STOPPED_SECONDS + 10)
    assert status.restarts == 1
    assert any("has been stopped for 5 s" in text for _, text in runner.log())


def test_failing_program_is_started_again_and_counted(start: Start) -> None:
    """Exit code 3 is FAILED with its code, and failures in a row are counted over restarts."""
    runner = start("import sys; print('try'); sys.exit(3)")
    status = runner.until(lambda s: s.failures == 2 and s.phase == pb.FAILED)
    assert (status.status, status.exit_code, status.signal) == (pb.NOT_SERVING, 3, 0)
    assert "code 3" in status.message
    assert [text for stream, text in runner.log() if stream == pb.STDOUT] == ["try", "try"]
    assert runner.stop() == 3


def test_killed_program_turns_not_serving_then_recovers(start: Start) -> None:
    """kill -9 of a serving program shows NOT_SERVING with the signal, then SERVING once proven."""
    runner = start("import os; print(os.getpid())" + SERVER, GO="/", IAC_PROBATION="3")
    runner.until(lambda s: s.status == pb.SERVING)
    pid = int(runner.log(at_least=1)[0][1])
    os.kill(pid, signal.SIGKILL)
    status = runner.until(lambda s: s.status == pb.NOT_SERVING)
    assert (status.exit_code, status.signal, status.oom) == (137, 9, False)
    probation = runner.until(lambda s: s.phase == pb.RUNNING)
    assert probation.status == pb.NOT_SERVING
    assert "probation" in probation.message
    status = runner.until(lambda s: s.status == pb.SERVING)
    assert (status.restarts, status.failures, status.HasField("exit_code")) == (1, 0, False)


def test_declared_port_that_nobody_opens_is_not_ready(start: Start) -> None:
    """A program that never listens stays STARTING, however long it lives."""
    runner = start(FOREVER, IAC_PORT_DECLARED="1", IAC_SETTLE="0.1")
    runner.until(lambda s: f"not listening on port {runner.port}" in s.message)
    time.sleep(0.3)  # beyond the settle time, which must not count here
    status = runner.health()
    assert (status.status, status.phase) == (pb.NOT_SERVING, pb.STARTING)


def test_a_server_of_udp_only_is_told(start: Start) -> None:
    """After the settle time, not at the end of all waiting; it may still open its port."""
    bind = "import os, socket, time; s = socket.socket(type=socket.SOCK_DGRAM)"
    runner = start(
        f"{bind}; s.bind(('127.0.0.1', int(os.environ['PORT']))); {FOREVER}", IAC_RUN="web"
    )
    status = runner.until(lambda s: s.cause == "udp-only")
    assert (
        status.message == f"listens on UDP port {runner.port} only, where no request can reach it"
    )
    assert "`run: worker`" in status.next_step
    assert (status.status, status.final) == (pb.NOT_SERVING, False)


def test_undeclared_port_needs_life_only(start: Start) -> None:
    """Without a declared port a program that stays alive is SERVING after its probation."""
    runner = start(FOREVER)
    assert runner.health().status == pb.NOT_SERVING
    status = runner.until(lambda s: s.status == pb.SERVING)
    assert "listens nowhere" in status.message


def test_a_loop_that_ends_within_the_probation_is_never_serving(start: Start) -> None:
    """Each start has to live through it anew."""
    loop = "import sys, time; time.sleep(0.4); sys.exit(1)"
    runner = start(loop, IAC_RUN="worker", IAC_PROBATION="5")
    ends = runner.until(lambda s: s.final or s.status == pb.SERVING)
    assert (ends.status, ends.failures) == (pb.NOT_SERVING, 3)


def test_a_server_that_nobody_knew_of_has_the_probation_to_listen(start: Start) -> None:
    """Until then it is not taken for a worker."""
    runner = start("import time; time.sleep(0.4)\n" + SERVER, GO="/", IAC_SETTLE="0.1")
    status = runner.until(lambda s: s.listening or s.status == pb.SERVING)
    assert status.listening == f"127.0.0.1:{runner.port}"


MANAGER = """
import time
from multiprocessing.managers import SyncManager
manager = SyncManager(address=("127.0.0.1", 0))
manager.start()
time.sleep(0.5)
"""


def test_a_manager_that_opens_first_is_not_the_service(start: Start) -> None:
    """The port of a helper process gets no verdict, and the real one no warning for it."""
    runner = start(MANAGER + SERVER, GO="/", IAC_PROBATION="5")
    early = runner.until(lambda s: s.message.endswith(" only"))
    assert early.status == pb.NOT_SERVING
    status = runner.until(lambda s: s.listening)
    assert (status.status, status.listening) == (pb.SERVING, f"127.0.0.1:{runner.port}")
    assert list(status.other_ports) == []


def test_server_that_listens_late_becomes_serving(start: Start, tmp_path: Path) -> None:
    """A declared port that opens later turns STARTING into RUNNING and SERVING."""
    runner = start(SERVER, IAC_PORT_DECLARED="1", GO=str(tmp_path / "go"))
    assert runner.health().phase == pb.STARTING
    (tmp_path / "go").touch()
    status = runner.until(lambda s: s.status == pb.SERVING)
    assert status.phase == pb.RUNNING
    assert status.listening == f"127.0.0.1:{runner.port}"


def test_own_health_service_decides(start: Start) -> None:
    """An app that says NOT_SERVING on grpc.health.v1 is not ready though its port accepts."""
    runner = start(HEALTH_SERVER, IAC_PORT_DECLARED="1")
    status = runner.until(lambda s: "NOT_SERVING" in s.message)
    assert status.status == pb.NOT_SERVING
    runner.process.send_signal(signal.SIGUSR1)  # passed on to the program
    runner.until(lambda s: s.status == pb.SERVING)


def test_standard_health_service_follows_the_status(start: Start, tmp_path: Path) -> None:
    """grpc.health.v1 Check and Watch tell what HealthCheck tells."""
    runner = start(SERVER, IAC_PORT_DECLARED="1", GO=str(tmp_path / "go"))
    with grpc.insecure_channel(runner.address, FAST_RECONNECT) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        (tmp_path / "go").touch()
        # The servicer may say NOT_SERVING again: it reports every set, not every change.
        assert any(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in watch)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_sigterm_reaches_the_program_and_its_code_comes_back(start: Start) -> None:
    """The program's own SIGTERM handler runs, and the runner exits with the program's code."""
    runner = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('up'); time.sleep(60)"
    )
    runner.until(lambda s: s.status == pb.SERVING)
    assert runner.log(at_least=1)  # its handler is there by now
    assert runner.stop() == 7


def test_deaf_program_is_killed_after_the_grace(start: Start) -> None:
    """A program that ignores SIGTERM is NOT_SERVING at once and killed with its group."""
    runner = start(
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(child.pid); time.sleep(60)",
        IAC_STOP_GRACE="0.3",
    )
    runner.until(lambda s: s.status == pb.SERVING)
    grandchild = int(runner.log(at_least=1)[0][1])
    runner.process.terminate()
    runner.until(lambda s: s.message == "stopping" and s.status == pb.NOT_SERVING)
    assert runner.wait() == 137
    _wait_until_killed(grandchild)


def test_program_that_cannot_start_is_failed(start: Start) -> None:
    """A missing program is FAILED with 127, as in a shell, and the reason is in the log."""
    runner = start(["/no/such/program"])
    status = runner.until(lambda s: s.phase == pb.FAILED)
    assert status.exit_code == 127
    assert any("cannot start /no/such/program" in text for _, text in runner.log())


@pytest.mark.parametrize(
    ("first_line", "words"),
    [
        ("#!/bin/sh\r\n", "main has Windows line ends (CR LF)"),
        ("#!/usr/bin/no-such-shell\n", "main is for /usr/bin/no-such-shell"),
    ],
)
def test_script_that_cannot_start_says_why(
    start: Start, tmp_path: Path, first_line: str, words: str
) -> None:
    """The kernel says "no such file" of a script whose interpreter is missing; we say which."""
    script = tmp_path / "main"
    script.write_bytes(f"{first_line}echo up\n".encode())
    script.chmod(0o755)
    runner = start([str(script)])
    status = runner.until(lambda s: s.phase == pb.FAILED)
    assert words in status.message


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"IAC_RUN": "web"}, "ended with exit code 0; nothing listens"),
        ({"IAC_PORT_DECLARED": "1"}, "nothing listens on port"),
        ({"IAC_RUN": "worker"}, "a worker must stay alive"),
    ],
)
def test_end_of_what_must_live_is_a_failure(
    start: Start, environment: dict[str, str], words: str
) -> None:
    """Exit code 0 completes jobs and what nothing is known of; servers and workers failed."""
    runner = start("print('done')", **environment)
    status = runner.until(lambda s: s.final)
    assert (status.status, status.phase, status.exit_code) == (pb.NOT_SERVING, pb.FAILED, 0)
    assert (words in status.message, status.cause) == (True, "ended")


def test_end_of_a_job_with_a_port_is_its_completion(start: Start) -> None:
    """`run: job` is the last word."""
    runner = start("print('done')", IAC_RUN="job", IAC_PORT_DECLARED="1")
    assert runner.until(lambda s: s.phase == pb.COMPLETED).status == pb.SERVING


DAEMON = """
import os, socket
if os.fork(): os._exit(0)
os.setsid()
server = socket.create_server(("127.0.0.1", 0))
print(os.getpid(), server.getsockname()[1], flush=True)
while True: server.accept()[0].close()
"""


def test_program_that_forks_into_the_background_is_followed(start: Start) -> None:
    """Its end is not the program's; the end of what it left behind is, and brings a restart."""
    runner = start(DAEMON)
    status = runner.until(lambda s: "in the background" in s.message and s.listening)
    pid, port = map(int, next(t for n, t in runner.log() if n == pb.STDOUT).split())
    assert (status.status, status.phase) == (pb.SERVING, pb.RUNNING)
    assert status.listening == f"127.0.0.1:{port}"
    assert f"in the background as pid {pid} (python" in status.message
    first = status.incarnation
    os.kill(pid, signal.SIGKILL)
    status = runner.until(lambda s: s.status == pb.NOT_SERVING)
    assert status.signal == signal.SIGKILL
    status = runner.until(lambda s: s.status == pb.SERVING)
    assert (status.restarts, status.incarnation > first) == (1, True)
    again = int([t for n, t in runner.log() if n == pb.STDOUT][-1].split()[0])
    runner.stop()
    _wait_until_killed(again)


def test_server_is_found_where_it_listens(start: Start) -> None:
    """Without a declared port the only one is the program's; its end is a failure."""
    runner = start(SERVER.replace('int(os.environ["PORT"])', "0"), GO="/")
    status = runner.until(lambda s: s.listening)
    assert status.listening.startswith("127.0.0.1:")
    said = status.status, status.protocol, status.message
    assert said == (pb.SERVING, pb.HTTP, f"listens on {status.listening}")


def test_orphans_are_reaped_and_ended(start: Start) -> None:
    """Grandchildren without a parent are reaped at their end, and ended when the runner leaves."""
    script = "(setsid sleep 60 & echo $!); (sleep 0.05 & echo $!); exec sleep 60"
    runner = start(["/bin/sh", "-c", script])
    runner.until(lambda s: s.status == pb.SERVING)
    long, short = (int(text) for _, text in runner.log(at_least=2)[:2])
    deadline = time.monotonic() + 3
    while not _gone(short):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not _gone(long)
    runner.stop()
    _wait_until_killed(long)


def test_follow_shows_new_lines_to_many_readers(start: Start) -> None:
    """Several followers each get history and new lines, without waiting for each other."""
    runner = start("import time\nfor i in range(8): print(i, flush=True); time.sleep(0.04)")
    results: list[list[str]] = [[] for _ in range(5)]

    def read(into: list[str]) -> None:
        into.extend(text for stream, text in runner.log(follow=True) if stream == pb.STDOUT)

    runner.health()
    threads = [threading.Thread(target=read, args=(r,)) for r in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[str(i) for i in range(8)]] * 5


def test_too_many_readers_are_turned_away_and_health_still_answers(start: Start) -> None:
    """Followers cannot use up the threads that health checks need; a leaver makes room."""
    runner = start(FOREVER)
    runner.until(lambda s: s.status == pb.SERVING)
    request = pb.LogRequest(follow=True)
    readers = [runner.stub.StreamLogs(request, timeout=10) for _ in range(MAX_READERS)]
    assert {next(reader).msg for reader in readers} == {"up"}
    with pytest.raises(grpc.RpcError) as error:
        runner.log(follow=True)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert runner.health().status == pb.SERVING
    readers[0].cancel()
    deadline = time.monotonic() + 3
    while True:
        again = runner.stub.StreamLogs(request, timeout=5)
        try:
            assert next(again).msg == "up"
            break
        except grpc.RpcError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for reader in (*readers, again):
        reader.cancel()


def test_partial_line_shows_before_its_end(start: Start) -> None:
    """A prompt without a line end reaches followers while the program waits."""
    runner = start(
        "import sys, time; sys.stdout.write('name? '); sys.stdout.flush(); time.sleep(60)"
    )
    runner.health()
    stream = runner.stub.StreamLogs(pb.LogRequest(follow=True), timeout=5)
    assert next(stream).msg == "name? "
    stream.cancel()


def test_tail_and_foreign_service(start: Start) -> None:
    """`tail` limits history; the name of another service is NOT_FOUND; Deploy is not served."""
    runner = start("print('a'); print('b'); print('c')")
    runner.until(lambda s: s.phase == pb.COMPLETED)
    assert runner.log(service="svc", tail=2)[0] == (pb.STDOUT, "c")
    assert runner.log(tail=0) == []
    with pytest.raises(grpc.RpcError) as error:
        runner.log(service="other")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as error:
        runner.stub.Deploy(pb.DeployRequest(slugs=["gh:a/b"]))
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_usage_and_bad_numbers_end_at_once(start: Start) -> None:
    """A wrong command line or setting is exit code 2 with one line, not a traceback."""
    runner = start(FOREVER, IAC_SETTLE="soon")
    assert runner.wait() == 2
    assert runner.output[1].startswith("runner: bad number")
    assert runner.output[1].count("\n") == 1


def test_taken_address_ends_at_once(start: Start) -> None:
    """A second runner on the same address says so and ends, instead of sharing the port."""
    first = start(FOREVER)
    first.health()
    second = start(FOREVER, IAC_RUNNER_ADDRESS=first.address)
    assert second.wait() == 1
    assert "cannot serve" in second.output[1]


def _gone(pid: int) -> bool:
    """Ended and reaped: a zombie still counts as there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _wait_until_killed(pid: int) -> None:
    """The kernel may need a moment."""
    deadline = time.monotonic() + 5
    while _state(pid) not in ("", "Z"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _state(pid: int) -> str:
    """One letter as in ps; empty: no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


LOSES_ITS_STARTER = """
import signal, sys
from runner import starter
from runner.lifecycle import Lifecycle
from runner.log_ring import LogRing
from runner.namespace import Namespace
from runner.pair import Pair
from runner.settings import RunnerSettings
from runner.signals import SIGNALS
from runner.supervisor import ProgramSupervisor
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
starter.ANSWER_SECONDS = 1.0
argv = sys.argv[1:]
supervisor = ProgramSupervisor(
    argv, starter.Starter(argv), RunnerSettings(), Lifecycle(1), LogRing(), Namespace(), Pair(0)
)
sys.exit(supervisor.run())
"""

STOPS_ITS_STARTER = """
import os, signal
from pathlib import Path
watcher = os.getppid()
for pid in Path(f"/proc/{watcher}/task/{watcher}/children").read_text().split():
    if int(pid) != os.getpid():
        os.kill(int(pid), signal.SIGSTOP)
raise SystemExit(1)
"""


def test_a_program_that_stops_its_starter_does_not_switch_restarts_off() -> None:
    """The runner leaves: nobody else can become the program's user, and Docker starts both anew."""
    argv = [sys.executable, "-c", LOSES_ITS_STARTER, sys.executable, "-c", STOPS_ITS_STARTER]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == NAMESPACE_LOST
    assert "what starts the program was ended" in done.stderr


LOSES_ITS_NAMESPACE = """
import signal, sys
from pathlib import Path
from runner.lifecycle import Lifecycle
from runner.log_ring import LogRing
from runner.namespace import Namespace
from runner.pair import Pair
from runner.settings import RunnerSettings
from runner.signals import SIGNALS
from runner.starter import Starter
from runner.supervisor import ProgramSupervisor
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
interfaces = lambda: {"lo", "eth0"} if Path(sys.argv[1]).exists() else {"lo"}
namespace = Namespace(interfaces)
print("up", flush=True)
argv = ["sleep", "60"]
supervisor = ProgramSupervisor(
    argv, Starter(argv), RunnerSettings(), Lifecycle(1), LogRing(), namespace, Pair(0)
)
sys.exit(supervisor.run())
"""


def test_dead_namespace_ends_the_runner(tmp_path: Path) -> None:
    """When the interface of the start is gone the runner leaves, with a code of its own."""
    alive = tmp_path / "eth0"
    alive.touch()
    argv = [sys.executable, "-c", LOSES_ITS_NAMESPACE, str(alive)]
    process = subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.4)
        alive.unlink()
        began = time.monotonic()
        _, said = process.communicate(timeout=5)
        assert time.monotonic() - began < 2
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == NAMESPACE_LOST
    assert "network namespace is gone" in said
