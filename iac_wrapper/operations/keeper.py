"""Keeps a project running without a command: what died, hung or was left behind comes back.

Two eyes: the engine's containers, looked at when it tells of a change, and a real request to every
part of every service. What a person stopped stays stopped, and while another command is at work on
the project nothing is touched.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from iac_wrapper.adapters import engine_changes
from iac_wrapper.adapters.workspace_lock import KEEPER
from iac_wrapper.errors import BusyError, CommandError, EngineError, IacError
from iac_wrapper.files.layout import container_name, gateway_name
from iac_wrapper.identity import liveness
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import CONTROL_PLANE
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import policy, releases
from iac_wrapper.operations.heal import heal_accidents
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

SHARE = 20
"""A pause is at least so many times as long as the questions before it: to look at many services
must not become the load."""

GRACE_SECONDS = 2
"""From SIGTERM to SIGKILL for what hangs. Data has longer: a container that is not ours keeps its
own grace."""

CONTAINERS_SECONDS = 10.0
"""Between two looks at all containers, for news that were missed."""

POLICIES_SECONDS = 30.0
"""Between two looks at what sidecars were told: one that was down then is told again."""

EVENTS = ("die", "start", "restart", "unpause")
"""What the engine tells that is worth a look."""


GATEWAY_SECONDS = 30.0
"""After a restart of the gateway, silence is a sidecar's."""


class Part(NamedTuple):
    """One container of a service by its role, ``envoy`` or ``app``; the gateway has no service."""

    service: str
    role: str


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
            if not heal_accidents(self._workspace):
                return SUSPECT_SECONDS
            self._containers_due = time.monotonic() + CONTAINERS_SECONDS
        if time.monotonic() >= self._policies_due:
            self._policies_due = time.monotonic() + POLICIES_SECONDS
            if policy.stale(self._workspace, lock):
                with suppress(BusyError), self._workspace.hold(KEEPER):
                    policy.refresh(self._workspace)
        if time.monotonic() >= self._due:
            self._ask(lock)
            self._due = time.monotonic() + self._pause
        return max(0.0, self._due - time.monotonic())

    def _ask(self, lock: LockFile) -> None:
        began = time.monotonic()
        silent = self._silent(lock)
        took = time.monotonic() - began
        self._pause = SUSPECT_SECONDS if silent else max(LOOK_SECONDS, SHARE * took)
        self._strikes = Counter({part: self._strikes[part] + 1 for part in silent})
        hung = {part for part, count in self._strikes.items() if count >= STRIKES}
        if hung:
            with suppress(BusyError), self._workspace.hold(KEEPER):  # else the next time
                self._restart(lock, hung)
                self._strikes.clear()

    def _silent(self, lock: LockFile) -> set[Part]:
        """The parts that say nothing. Where no service has a handshake, it is the gateway."""
        stopped = releases.load_releases(self._workspace).stopped
        apps = [app for app in lock.apps if app.name not in stopped]
        directory = self._workspace.layout.certificates(lock.project) / CONTROL_PLANE

        def look(app: ResolvedApp) -> liveness.Silent:
            return liveness.silent_part(
                lock.gateway_port,
                app.name,
                directory,
                has_runner=app.has_runner,
                timeout=ANSWER_SECONDS,
            )

        with ThreadPoolExecutor(max_workers=8) as pool:
            found = list(pool.map(look, apps))
        if {*found} == {"handshake"} and time.monotonic() > self._gateway_until:
            return {_GATEWAY}
        roles = {"handshake": "envoy", "envoy": "envoy", "app": "app"}
        return {
            Part(app.name, roles[silent]) for app, silent in zip(apps, found, strict=True) if silent
        }

    def _restart(self, lock: LockFile, hung: Collection[Part]) -> None:
        if _GATEWAY in hung:
            self._again([gateway_name(lock.project)])
            self._gateway_until = time.monotonic() + GATEWAY_SECONDS
            return
        for part in sorted(hung):
            roles = ("envoy", "app") if part.role == "envoy" else ("app",)
            self._again([container_name(lock.project, part.service, role) for role in roles])

    def _again(self, names: Sequence[str]) -> None:
        """Restart containers, a network's owner first."""
        engine, what = self._workspace.engine, " and ".join(names)
        self._workspace.progress(f"{names[0]} does not answer any more: {what} restarted")
        for name in names:
            container = engine.container(name)
            if container is None or not container.running:
                continue
            try:
                own = container.stop_seconds if container.foreign else GRACE_SECONDS
                engine.restart(container, grace=own)
            except EngineError:
                raise
            except CommandError as error:
                self._workspace.warn(f"{name} cannot be restarted: {error.found}")


_GATEWAY = Part("", "gateway")


class EngineNews:
    """Wakes who waits when the engine tells of a change in one project, or comes back.

    On a thread that ends with the process.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._changed = threading.Event()
        threading.Thread(target=self._listen, name="engine-news", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether there are news; waits for them at most `seconds`."""
        if not self._changed.wait(seconds):
            return False
        # What follows within the moment belongs to it: a pair ends one after the other.
        time.sleep(0.2)
        self._changed.clear()
        return True

    def _listen(self) -> None:
        while True:
            try:
                for _ in engine_changes.news(
                    self._workspace.engine, self._workspace.project, EVENTS
                ):
                    self._changed.set()
            except IacError:
                pass
            time.sleep(1.0)
            self._changed.set()


def keep(workspace: Workspace) -> None:
    """Keep the project until nothing is deployed in it.

    The engine may go and come back; what goes wrong is said once, and tried again.
    """
    keeper, engine, said, news = Keeper(workspace), EngineNews(workspace), "", True
    while True:
        pause: float | None = LOOK_SECONDS
        try:
            pause, said = keeper.step(news=news), ""
        except (IacError, OSError) as error:
            if str(error) != said:
                said = str(error)
                workspace.warn(said)
        if pause is None:
            return
        news = engine.wait(pause)
