"""Keeps a project running without a command: what died, hung or was left behind comes back.

Two eyes: the engine's containers, looked at when it tells of a change, and a real request to every
part of every service. What a person stopped stays stopped, and while another command is at work on
the project nothing is touched.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal, NamedTuple

from iac_wrapper.adapters import engine_changes
from iac_wrapper.adapters.engine import Container
from iac_wrapper.adapters.workspace_lock import KEEPER
from iac_wrapper.errors import BusyError, CommandError, EngineError, IacError
from iac_wrapper.files.layout import gateway_name, ingress_name
from iac_wrapper.identity import liveness
from iac_wrapper.identity.liveness import Unanswered
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS
from iac_wrapper.model.ledger import Caller
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import policy, recording, releases
from iac_wrapper.operations.carrier import carrier
from iac_wrapper.operations.heal import heal_accidents, needs_healing
from iac_wrapper.operations.workspace import Workspace

LOOK_SECONDS = 3.0
"""Between two questions to each part."""

SUSPECT_SECONDS = 0.5
"""The same, while a part is silent."""

ANSWER_SECONDS = 1.5
"""How long a part may take to say anything: measured 2 to 20 ms, and below 1 s at a load of 50."""

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

EVENTS = ("die", "start", "restart", "unpause")
"""What the engine tells that is worth a look."""


GATEWAY_SECONDS = 30.0
"""After a restart of the gateway, silence is a sidecar's."""


class Part(NamedTuple):
    """One container of a service by its role; gateway and ingress have no service."""

    service: str
    role: Literal["envoy", "app", "gateway", "ingress"]


class Keeper:
    """Looks at one project, and mends.

    Args:
        workspace: of the project; what is done is told as progress.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._strikes: Counter[Part] = Counter()
        self._pause = LOOK_SECONDS
        self._due = 0.0
        self._containers_due = 0.0
        self._policies_due = 0.0
        self._gateway_until = 0.0
        self._heard: set[Part] = set()
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
        if time.monotonic() >= self._policies_due and not self._strikes:
            self._policies_due = time.monotonic() + POLICIES_SECONDS
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
        found = workspace.engine.containers(workspace.project)
        if needs_healing(workspace, found, ran):
            if not heal_accidents(workspace, ran):
                return False
            found = workspace.engine.containers(workspace.project)
        self._ran, self._engine_left = frozenset(c.id for c in found if c.running), False
        return True

    def _ask(self, lock: LockFile) -> None:
        began = time.process_time()
        missed = self._unanswered(lock)
        took = time.process_time() - began
        silent = {
            part: found
            for part, found in missed.items()
            if not found.closed or self._is_settled(part)
        }
        self._pause = SUSPECT_SECONDS if silent else max(LOOK_SECONDS, SHARE * took)
        self._strikes = Counter({part: self._strikes[part] + 1 for part in silent})
        hung = {part for part, found in silent.items() if self._strikes[part] >= _most(found)}
        if hung:
            with suppress(BusyError), self._workspace.hold(KEEPER):  # else the next time
                self._restart(hung)
                self._strikes.clear()

    def _is_settled(self, part: Part) -> bool:
        """Whether no stop or start explains that a container closes connections."""
        container = self._container(part)
        if container is None or not container.running:
            return False
        return (datetime.now(UTC) - container.started_at).total_seconds() > START_SECONDS

    def _unanswered(self, lock: LockFile) -> dict[Part, Unanswered]:
        """The parts that do not answer. Where no service has a handshake, it is the gateway.

        A handshake that is cut short is nobody's fault here: that is how an Envoy with too many
        connections refuses one, and its own PID 1 asks it where no limit is.
        """
        asked = self._questions(lock)
        with ThreadPoolExecutor(max_workers=8) as pool:
            answers = dict(zip(asked, pool.map(lambda ask: ask(), asked.values()), strict=True))
        self._heard |= {part for part, missed in answers.items() if not missed}
        found = {part: missed for part, missed in answers.items() if missed}
        services = [missed for part, missed in answers.items() if part.service]
        nobody = {*services} == {Unanswered("handshake")}
        if nobody and _GATEWAY in found and time.monotonic() > self._gateway_until:
            return {_GATEWAY: Unanswered("handshake")}
        # One of an earlier version has no such page: it gets it with the next deploy.
        for part in (_GATEWAY, _INGRESS):
            if part not in self._heard:
                found.pop(part, None)
        blind = _GATEWAY in found
        return {
            Part(part.service, missed.part if missed.part == "app" else part.role): missed
            for part, missed in found.items()
            if missed.part != "handshake" or not (missed.closed or blind)
        }

    def _questions(self, lock: LockFile) -> dict[Part, Callable[[], Unanswered | None]]:
        """What to ask each pair, by its Envoy, the gateway and the ingress."""
        stopped = releases.load_releases(self._workspace).stopped
        ask = partial(
            liveness.unanswered,
            lock.gateway_port,
            tls_dir=self._workspace.layout.certificates(lock.project) / CONTROL_PLANE,
            timeout=ANSWER_SECONDS,
        )
        found: dict[Part, Callable[[], Unanswered | None]] = {
            Part(app.name, "envoy"): partial(ask, app.name, has_runner=app.has_runner)
            for app in lock.apps
            if app.name not in stopped
        }
        found[_GATEWAY] = partial(
            liveness.gateway_unanswered, lock.gateway_port, timeout=ANSWER_SECONDS
        )
        if lock.routes:
            sni = ingress_name(lock.project)
            found[_INGRESS] = partial(ask, INGRESS, has_runner=False, sni=sni)
        return found

    def _restart(self, hung: Collection[Part]) -> None:
        """All at once."""
        if _GATEWAY in hung:
            self._gateway_until = time.monotonic() + GATEWAY_SECONDS
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(self._again, sorted(hung)))

    def _again(self, part: Part) -> None:
        """Restart what hangs, and after an Envoy's container its program's, which is in its
        network."""
        parts = [part, *([Part(part.service, "app")] if part.role == "envoy" else [])]
        first, *program = map(self._container, parts)
        if first is None or not first.running:  # a person paused it, or it goes right now
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
        name = gateway_name if part == _GATEWAY else ingress_name
        return workspace.engine.container(name(workspace.project))


_GATEWAY, _INGRESS = Part("", "gateway"), Part("", "ingress")


def _most(found: Unanswered) -> int:
    if found.closed:
        return CLOSED_STRIKES
    return ENVOY_STRIKES if found.part == "handshake" else STRIKES


class EngineNews:
    """Wakes who waits when the engine tells of a change in one project, or comes back.

    On a thread that ends with the process.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._changed = threading.Event()
        self._left = threading.Event()
        threading.Thread(target=self._listen, name="engine-news", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether there are news; waits for them at most `seconds`."""
        if not self._changed.wait(seconds):
            return False
        # What follows within the moment belongs to it: a pair ends one after the other.
        time.sleep(0.2)
        self._changed.clear()
        return True

    def engine_left(self) -> bool:
        """Whether the engine went away since the last question."""
        left = self._left.is_set()
        self._left.clear()
        return left

    def _listen(self) -> None:
        while True:
            try:
                for _ in engine_changes.news(
                    self._workspace.engine, self._workspace.project, EVENTS
                ):
                    self._changed.set()
            except IacError:
                pass
            self._left.set()
            time.sleep(1.0)
            self._changed.set()


def keep(workspace: Workspace) -> None:
    """Keep the project until nothing is deployed in it.

    The engine may go and come back; what goes wrong is said once, and tried again.
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
        # Terraform empties the file of its state for a moment, each time that it writes it.
        empty = empty + 1 if pause is None else 0
        if empty > EMPTY_LOOKS:
            return
        pause = LOOK_SECONDS if pause is None else pause
        news = engine.wait(pause)
