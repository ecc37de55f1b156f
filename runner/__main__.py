"""``python -m runner -- PROGRAM ARG…``: the entry point of every app container."""

from __future__ import annotations

import os
import signal
import sys

from runner import privileges
from runner import settings as environment
from runner.settings import RunnerSettings
from runner.signals import SIGNALS
from runner.starter import Starter


def main(argv: list[str]) -> int:
    """Supervise the program after ``--``; returns the exit code."""
    if len(argv) < 2 or argv[0] != "--":
        sys.stderr.write("usage: python -m runner -- PROGRAM [ARGUMENT ...]\n")
        return 2
    try:
        settings = environment.load_runner_settings()
    except ValueError as error:
        sys.stderr.write(f"runner: bad number in the environment: {error}\n")
        return 2
    # Before the first thread: every thread inherits the mask, so only the supervisor sees signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    starter = Starter(argv[1:], settings.program_uid)
    if settings.runner_uid is not None:
        try:
            privileges.become(settings.runner_uid, kill=True)
        except OSError as error:
            sys.stderr.write(f"runner: cannot become uid {settings.runner_uid}: {error.strerror}\n")
            return 1
    return _supervise(argv[1:], settings, starter)


def _supervise(argv: list[str], settings: RunnerSettings, starter: Starter) -> int:
    # Only now: the starter needs none of it, and has what was loaded before it.
    from runner.lifecycle import Lifecycle  # noqa: PLC0415
    from runner.log_ring import LogRing  # noqa: PLC0415
    from runner.namespace import Namespace  # noqa: PLC0415
    from runner.pair import Pair, await_outbound  # noqa: PLC0415
    from runner.server import RunnerServer  # noqa: PLC0415
    from runner.supervisor import ProgramSupervisor  # noqa: PLC0415

    ring = LogRing()
    lifecycle = Lifecycle(settings.probation)
    try:
        server = RunnerServer(settings.address, lifecycle, ring, settings.service)
    except RuntimeError as error:
        sys.stderr.write(f"runner: cannot serve on {settings.address}: {error}\n")
        sys.stderr.flush()
        # While the error still holds the half-made server: where that is let go of, gRPC may abort.
        os._exit(1)
    lifecycle.subscribe(server.publish)
    pair = Pair(settings.envoy_uid)
    if settings.envoy_uid:
        pair.follow()
        await_outbound()
    code = ProgramSupervisor(argv, starter, settings, lifecycle, ring, Namespace(), pair).run()
    ring.close()
    server.stop(0.3)
    return code


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads that wait for a silent program's grandchildren must not hold us up.
    os._exit(status)
