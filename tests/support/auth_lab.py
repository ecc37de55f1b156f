"""A gate before a double of the auth server, and clocks that tests turn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from admin.actor import Actor
from admin.auth.gate import Gate
from admin.problem import Problem
from iac_wrapper.settings import Settings
from tests.support.auth_server import AuthServer

PEER = "192.0.2.7"


@dataclass
class Clock:
    """Seconds that pass when a test says so; `step` of them with each look at it."""

    seconds: float = field(default_factory=time.time)
    step: float = 0.0

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


@dataclass
class Lab:
    """One server's gate. `clock` is for the caches, `now` for claims."""

    server: AuthServer
    gate: Gate
    clock: Clock
    now: Clock

    def ask(self, token: str, *, mutating: bool = False, peer: str = PEER) -> Actor:
        """The actor of a Bearer token."""
        return self.gate.authenticate(f"Bearer {token}", peer=peer, mutating=mutating)

    def refusal(self, token: str, *, mutating: bool = False, peer: str = PEER) -> Problem:
        """The problem that a Bearer token gets; an actor fails the test."""
        with pytest.raises(Problem) as caught:
            self.ask(token, mutating=mutating, peer=peer)
        return caught.value


def lab(server: AuthServer, users: str, *, timeout: float = 3.0, key: str = "") -> Lab:
    """A gate for `server` with this allow-list."""
    settings = Settings(
        SUPABASE_URL=server.url,
        SUPABASE_SERVICE_ROLE_KEY=key or server.service_key,
        IAC_ADMIN_USERS=users,
    )
    clock, now = Clock(1000.0), Clock()
    return Lab(server, Gate(settings, timeout=timeout, clock=clock, now=now), clock, now)
