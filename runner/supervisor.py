"""PID 1 of the app container: starts the program, restarts it, passes signals on, reaps, exits.

Signals are blocked and taken one by one with sigtimedwait, so nothing here runs inside a handler,
and as PID 1 none is lost (the kernel drops unhandled ones for PID 1, but never blocked ones).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from runner import child as process
from runner import udp
from runner.child import Background, Child, Exit
from runner.lifecycle import Lifecycle
from runner.log_ring import LogRing
from runner.memory import KernelKills
from runner.namespace import Namespace
from runner.opinion import Opinion
from runner.pair import Pair
from runner.readiness import Choice, OwnListeners, Readiness
from runner.settings import RunnerSettings
from runner.signals import SIGNALS, STOP
from runner.starter import Starter, StarterGoneError

TICK = 0.25
"""Seconds between looks at the namespace and the deadlines."""

RESTART_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before a restart, by failures in a row; the last one repeats."""

NAMESPACE_LOST = 75
"""Our exit code when the network namespace died (EX_TEMPFAIL: try again in the new one)."""

PROGRAM_GRACE = 3.0
"""Seconds from SIGTERM to SIGKILL that a program has at least, however long calls took to end."""

PEER_SECONDS = 10.0
"""Seconds for an Envoy container that is being stopped to end, once its program has."""

NAMESPACE_GRACE = 1.0
"""Seconds between noticing a dead namespace and leaving. Docker does not try again to start a
container whose namespace owner is not up, and the owner needs about half a second to come back."""


class ProgramSupervisor:
    """Runs `argv` until the container is told to stop.

    Call `run` in the main thread, before any other thread was started with signals unblocked.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each is one thing that it works with
        self,
        argv: Sequence[str],
        starter: Starter,
        settings: RunnerSettings,
        lifecycle: Lifecycle,
        ring: LogRing,
        namespace: Namespace,
        pair: Pair,
    ) -> None:
        self._argv = list(argv)
        self._starter = starter
        self._settings = settings
        self._lifecycle = lifecycle
        self._ring = ring
        self._namespace = namespace
        self._pair = pair
        self._child: Child | Background | None = None
        self._choice = Choice(settings.port)
        self._kernel = KernelKills()
        self._exit = Exit(0)
        self._restart_at: float | None = None
        self._kill_at: float | None = None
        self._leave_with: int | None = None
        self._leave_at = 0.0
        self._envoy_stops = self._namespace_lost = self._said_ended = False
        self._draining: int | None = None  # the signal that the program gets after it

    def run(self) -> int:
        """Supervise; returns the exit code for our own process."""
        self._start()
        while True:
            received = signal.sigtimedwait(SIGNALS, TICK)
            if received and received.si_signo != signal.SIGCHLD:
                self._received(received.si_signo)
            self._reap()
            self._look_around()
            if self._kill_at is not None and not self._child and self._may_leave():
                self._starter.kill_orphans()
                return self._exit.code if self._leave_with is None else self._leave_with

    def _start(self) -> None:
        self._restart_at = None
        self._kernel.started()
        try:
            self._child = Child(self._starter, self._ring)
        except StarterGoneError:
            self._say(
                "what starts the program was ended; leaving, so that the container starts anew"
            )
            self._leave_with = NAMESPACE_LOST
            self._begin_to_leave(0.0)
            return
        except OSError as error:
            code = 126 if isinstance(error, PermissionError) else 127
            why, cause = process.why_not_started(self._argv[0], error)
            self._lifecycle.started()
            self._ended(Exit(code, why=why, cause=cause), age=0.0)
            return
        self._judge_from_now_on(self._lifecycle.started(), self._child)

    def _judge_from_now_on(self, number: int, child: Child | Background) -> None:
        threading.Thread(target=self._judge, args=(number, child), daemon=True).start()

    def _judge(self, number: int, child: Child | Background) -> None:
        """Ask for readiness as long as this start is the current one: often, then each second."""
        find = OwnListeners(self._settings, self._starter.held_below)
        opinion = partial(Opinion, self._starter.may_have_grpc)
        readiness = Readiness(self._settings, opinion, self._choice, find)
        uid = os.getuid() if self._settings.program_uid is None else self._settings.program_uid
        while self._child is child:
            verdict = readiness.verdict(child.age())
            if not self._choice.served and child.age() >= self._settings.settle:
                verdict = udp.with_udp_hint(verdict, uid, self._settings.port)
            self._lifecycle.judged(number, verdict, child.age())
            time.sleep(1.0 if verdict.ready else 0.1 if child.age() < 30 else 0.5)

    def _received(self, number: int) -> None:
        if number in STOP:
            self._leave_at = 0.0
            if self._kill_at is None and self._child and self._pair.say("drain"):
                self._begin_to_leave(self._settings.stop_grace)
                self._draining = number
            else:
                self._end_program(self._settings.stop_grace, number)
        elif self._child:
            self._child.send(number)

    def _begin_to_leave(self, grace: float) -> None:
        """The program has `grace` seconds; a second request changes nothing."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace
            self._restart_at = None
            self._lifecycle.stopping()

    def _end_program(self, grace: float, number: int = signal.SIGTERM) -> None:
        """Signal the program, whether calls to it have ended or not."""
        self._begin_to_leave(grace)
        if self._draining is not None:
            self._draining = None
            self._kill_at = max(self._kill_at or 0.0, time.monotonic() + PROGRAM_GRACE)
        if self._child:
            self._child.send(number)

    def _reap(self) -> None:
        for pid, status in process.reap():
            child = self._child
            if child and child.ended_with(pid):
                self._child = None
                how = self._with_memory(Exit.of_wait_status(status))
                if how.code != 0 or self._kill_at is not None:
                    child.kill_group()
                child.drain(0.5)
                self._ended(how, child.age())

    def _with_memory(self, how: Exit) -> Exit:
        """`how`, and whether that was for lack of memory: of the program or of its processes."""
        self._look_at_memory()
        if how.code == 137:  # also of a shell around the program that saw it killed
            return replace(how, oom=self._kernel.killed > 0)
        if how.code == 0 or not self._kernel.recent:
            return how
        why = f"{how}, after the kernel killed one of its processes: out of memory"
        return replace(how, oom=True, why=why)

    def _look_at_memory(self) -> None:
        if self._kernel.look():
            self._lifecycle.killed(self._kernel.killed)
            if self._child:
                self._say("the kernel killed a process of the program: out of memory")

    def _ended(self, how: Exit, age: float) -> None:
        self._exit = how
        if self._goes_on(how, age):
            return
        done = how.code == 0 and not self._must_live
        if how.code == 0 and not done:
            how = replace(how, why=self._left_too_early(), cause="ended")
        failures = self._lifecycle.ended(how, age, done=done)
        if self._kill_at is not None:
            self._lifecycle.stopping()
        elif failures:
            delay = RESTART_DELAYS[min(failures, len(RESTART_DELAYS)) - 1]
            self._restart_at = time.monotonic() + delay
            self._say(f"the program ended ({how}); starting it again in {delay:g} s")
        else:
            self._say("the program is done (exit code 0)")
            self._ring.close()

    @property
    def _must_live(self) -> bool:
        settings = self._settings
        if settings.run == "worker":
            return True
        return settings.must_serve or (settings.may_serve and self._choice.served)

    def _left_too_early(self) -> str:
        if self._settings.run == "worker":
            return "ended with exit code 0, and a worker must stay alive"
        if self._settings.port_declared or self._choice.served:
            return f"ended with exit code 0; nothing listens on port {self._choice.port}"
        return "ended with exit code 0; nothing listens"

    def _goes_on(self, how: Exit, age: float) -> bool:
        """Whether the program has only forked into the background, as daemons do."""
        if how.code != 0 or self._kill_at is not None or self._settings.run == "job":
            return False
        background = Background(time.monotonic() - age, self._starter)
        names = str(background)
        if not names:
            return False
        self._child = background
        self._say(f"the program ended (exit code 0) and continues in the background as {names}")
        self._lifecycle.goes_on(f"in the background as {names}: ")
        self._judge_from_now_on(self._lifecycle.start, background)
        return True

    def _look_around(self) -> None:
        now = time.monotonic()
        self._look_at_envoy(now)
        if self._child:
            self._look_at_memory()
        if self._draining is not None and (self._pair.drained or now >= (self._kill_at or 0.0)):
            self._end_program(PROGRAM_GRACE, self._draining)
        elif self._kill_at is not None and self._child and now >= self._kill_at:
            self._child.kill_group()
        if self._restart_at is not None and now >= self._restart_at:
            self._starter.kill_orphans()  # a leftover worker would hold the port
            self._start()

    def _look_at_envoy(self, now: float) -> None:
        """Leave when the Envoy container does: Docker then joins this one to its next start."""
        if not self._envoy_stops and self._pair.stop:
            self._envoy_stops = True
            if self._kill_at is None:
                self._say("the Envoy container is being stopped; leaving so that Docker joins it")
                self._leave_with, self._leave_at = NAMESPACE_LOST, now + PEER_SECONDS
            self._end_program(PROGRAM_GRACE)
        if not self._namespace_lost and self._namespace.lost():
            self._namespace_lost = True
            if self._kill_at is None:
                self._say("the network namespace is gone; leaving so that Docker joins the new one")
                self._leave_with = NAMESPACE_LOST
            self._leave_at = min(now + NAMESPACE_GRACE, self._leave_at or now + NAMESPACE_GRACE)
            self._end_program(NAMESPACE_GRACE)
        if self._envoy_stops and not self._child and not self._said_ended:
            self._said_ended = self._pair.say("ended")

    def _may_leave(self) -> bool:
        """A stopped container is left as soon as possible, another one when Envoy's has gone."""
        return self._leave_with is None or time.monotonic() >= self._leave_at

    def _say(self, text: str) -> None:
        self._ring.append("runner", text)
        with suppress(OSError):  # our own stderr may have lost its reader
            os.write(2, f"runner: {text}\n".encode())
