"""Keeps a project running without a command: what died, hung or was left behind comes back.

Two eyes: the engine's containers, looked at when it tells of a change, and a real request to every
part of every service. What a person stopped stays stopped, and while another command is at work on
the project nothing is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from iac_wrapper.adapters.engine import Container
from iac_wrapper.adapters.workspace_lock import KEEPER
from iac_wrapper.errors import BusyError, CommandError, EngineError, IacError
from iac_wrapper.files.layout import gateway_name, ingress_name
from iac_wrapper.identity.liveness import Unanswered
from iac_wrapper.model.ledger import Caller
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import leaves, policy, recording
from iac_wrapper.operations.carrier import carrier
from iac_wrapper.operations.engine_news import EngineNews
from iac_wrapper.operations.heal import heal_accidents
from iac_wrapper.operations.roll_call import GATEWAY_PART, Part, RollCall
from iac_wrapper.operations.workspace import Workspace

LOOK_SECONDS = 3.0
"""Between two questions to each part."""

SUSPECT_SECONDS = 0.5
"""The same, while a part is silent."""

STRIKES = 3
"""Questions in a row without an answer after which a part hangs: at most LOOK_SECONDS +
3 * ANSWER_SECONDS + 2 * SUSPECT_SECONDS, 8.5 s. The bound for all of it, a restart included, is
15 s."""

ENVOY_STRIKES = 4
"""The same of an Envoy: at least 7.5 s. Its own PID 1 ends it after 6, and then the container
stays, and the program's network with it."""

CLOSED_STRIKES = 8
"""The same where a connection is closed without an answer: 4 s. What is being stopped closes its
port a moment before it ends."""

START_SECONDS = 30.0
"""From the start of a container until a closed connection can be a fault of it: before, it may not
take any yet."""

SHARE = 20
"""A pause is at least so many times as long as the processor time of the questions before it: to
look at many services must not become the load. Not as their own time: on a busy machine that alone
made the pauses longer than all of the bound."""

HUNG_GRACE_SECONDS = 1
"""From SIGTERM to SIGKILL for what hangs: it has not answered for seconds."""

GRACE_SECONDS = 2
"""The same for a program that is restarted with its Envoy. Data has longer: a container that is not
ours keeps its own grace."""

EMPTY_LOOKS = 3
"""After so many looks in a row at a project with nothing deployed its keeper ends."""

CONTAINERS_SECONDS = 10.0
"""Between two looks at all containers, for news that were missed."""

POLICIES_SECONDS = 30.0
"""Between two looks at what sidecars were told: one that was down then is told again."""


class Silence(NamedTuple):
    """How many questions in a row a part has left without an answer, and when the first of them was
    put (UTC)."""

    questions: int
    since: datetime


class Keeper:
    """Looks at one project, and mends.

    Args:
        workspace: of the project; what is done is told as progress.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._roll_call = RollCall(workspace)
        self._silent: dict[Part, Silence] = {}
        self._pause = LOOK_SECONDS
        self._due = 0.0
        self._containers_due = 0.0
        self._policies_due = 0.0
        self._ran: frozenset[str] = frozenset()
        self._engine_left = False

    def note_that_the_engine_left(self) -> None:
        """What ran until then is started again if the engine, once back, does not do so."""
        self._engine_left = True

    def step(self, *, news: bool) -> float | None:
        """Look once, mend what is wrong.

        Args:
            news: the engine has told of a change; without, containers are looked at now and then.

        Returns:
            Seconds until the next look; None: nothing is deployed here any more.

        Raises:
            EngineError: the engine does not answer.
        """
        lock = self._workspace.applied_lock()
        if lock is None:
            return None
        if news or time.monotonic() >= self._containers_due:
            if not self._look():
                return SUSPECT_SECONDS
            self._containers_due = time.monotonic() + CONTAINERS_SECONDS
        if time.monotonic() >= self._policies_due and not self._silent:
            self._policies_due = time.monotonic() + POLICIES_SECONDS
            # Without one nobody answers, and what hangs looks like all the others.
            leaves.refresh_control_plane(self._workspace, lock, early=False)
            if policy.stale(self._workspace, lock):
                with suppress(BusyError), self._workspace.hold(KEEPER):
                    policy.refresh(self._workspace)
        if time.monotonic() >= self._due:
            self._ask(lock)
            self._due = time.monotonic() + self._pause
        return max(0.0, self._due - time.monotonic())

    def _look(self) -> bool:
        """Start what ended by itself, and note what runs; False: another command is at work."""
        workspace, ran = self._workspace, self._ran if self._engine_left else ()
        found = heal_accidents(workspace, ran)
        if found is None:
            return False
        self._ran, self._engine_left = frozenset(c.id for c in found if c.running), False
        return True

    def _ask(self, lock: LockFile) -> None:
        now, began = datetime.now(UTC), time.process_time()
        missed = self._roll_call.unanswered(lock)
        took = time.process_time() - began
        silent = {
            part: found
            for part, found in missed.items()
            if not found.closed or self._is_settled(part)
        }
        self._pause = SUSPECT_SECONDS if silent else max(LOOK_SECONDS, SHARE * took)
        before = {part: self._silent.get(part, Silence(0, now)) for part in silent}
        self._silent = {part: Silence(was.questions + 1, was.since) for part, was in before.items()}
        hung = {
            part for part, found in silent.items() if self._silent[part].questions >= _most(found)
        }
        if hung:
            with suppress(BusyError), self._workspace.hold(KEEPER):  # else the next time
                self._restart(hung)
                self._silent.clear()

    def _is_settled(self, part: Part) -> bool:
        """Whether no stop or start explains that a container closes connections."""
        container = self._container(part)
        if container is None or not container.running:
            return False
        return (datetime.now(UTC) - container.started_at).total_seconds() > START_SECONDS

    def _restart(self, hung: Collection[Part]) -> None:
        """All at once."""
        if GATEWAY_PART in hung:
            self._roll_call.note_gateway_restart()
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(self._again, sorted(hung)))

    def _again(self, part: Part) -> None:
        """Restart what hangs, and after an Envoy's container its program's, which is in its
        network; not what somebody has started since it fell silent."""
        parts = [part, *([Part(part.service, "app")] if part.role == "envoy" else [])]
        first, *program = map(self._container, parts)
        if first is None or not first.running:  # a person paused it, or it goes right now
            return
        if first.started_at > self._silent[part].since:
            return
        found = [first, *filter(None, program)]
        names = " and ".join(each.name for each in found)
        done = f"{first.name} does not answer any more: {names} restarted"
        self._workspace.progress(done)
        recording.note(self._workspace, "heal", [done])
        graces = (HUNG_GRACE_SECONDS, GRACE_SECONDS)
        for known, ours in zip(found, graces, strict=False):
            container = self._workspace.engine.container(known.id)
            if container is None or not container.running:
                continue
            try:
                grace = container.stop_seconds if container.foreign else ours
                self._workspace.engine.restart(container, grace=grace)
            except EngineError:
                raise
            except CommandError as error:
                self._workspace.warn(f"{container.name} cannot be restarted: {error.found}")

    def _container(self, part: Part) -> Container | None:
        """What runs a part now: of a service, that which has its traffic."""
        workspace = self._workspace
        if part.role in ("envoy", "app"):
            return carrier(workspace, part.service, part.role)
        name = gateway_name if part == GATEWAY_PART else ingress_name
        return workspace.engine.container(name(workspace.project))


def _most(found: Unanswered) -> int:
    if found.closed:
        return CLOSED_STRIKES
    return ENVOY_STRIKES if found.part == "handshake" else STRIKES


def keep(workspace: Workspace, looked: Callable[[], None]) -> None:
    """Keep the project until nothing is deployed in it.

    The engine may go and come back; what goes wrong is said once, and tried again.

    Args:
        looked: called after each look.
    """
    workspace = replace(workspace, caller=Caller("keeper"))
    keeper, engine, said, news = Keeper(workspace), EngineNews(workspace), "", True
    empty = 0
    while True:
        pause: float | None = LOOK_SECONDS
        if engine.engine_left():
            keeper.note_that_the_engine_left()
        try:
            pause, said = keeper.step(news=news), ""
        except (IacError, OSError) as error:
            if str(error) != said:
                said = str(error)
                workspace.warn(said)
        looked()
        # Terraform empties the file of its state for a moment, each time that it writes it.
        empty = empty + 1 if pause is None else 0
        if empty > EMPTY_LOOKS:
            return
        pause = LOOK_SECONDS if pause is None else pause
        news = engine.wait(pause)
