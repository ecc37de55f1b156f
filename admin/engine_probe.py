"""Whether the Docker engine answers: asked at most every few seconds, and never for long."""

from __future__ import annotations

import threading
import time

from iac_wrapper.adapters import docker_endpoint
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CommandError
from iac_wrapper.settings import Settings

FRESH_SECONDS = 5.0
TIMEOUT_SECONDS = 2.0


class EngineProbe:
    """Asks the engine that the docker CLI uses."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = docker_endpoint.endpoint(settings.environment)
        self._guard = threading.Lock()
        self._asked = float("-inf")
        self._reachable = False

    def reachable(self) -> bool:
        """The answer, at most 5 seconds old."""
        with self._guard:
            if time.monotonic() - self._asked > FRESH_SECONDS:
                self._reachable = self._ask()
                self._asked = time.monotonic()
            return self._reachable

    def _ask(self) -> bool:
        try:
            Engine(self._endpoint, timeout=TIMEOUT_SECONDS).ping()
        except CommandError:
            return False
        return True
