"""Puts a policy into effect, and ends an operator's lease."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from runner.sidecar import envoy, threads
from runner.sidecar.log import say
from runner.sidecar.policy import Policy
from runner.sidecar.policy_files import ROUTES, Admission
from runner.sidecar.policy_store import PolicyStore

TAKE_SECONDS = 5.0
"""How long Envoy may take for a change; measured: 5 to 30 ms."""

MOST_SECONDS = 3600
"""The longest lease of an operator; a command renews it while it runs."""

_VERSION = r"^http\.inbound\.rds\.inbound\.version_text$"
_COUNTS = (
    r"^(http\.inbound\.rbac\.(denied|policy\..*\.allowed)"
    r"|tcp\.(own-.*|refused)\.downstream_cx_total)$"
)
_CALLS = r"^(?:http\.inbound\.rbac\.policy\.|tcp\.own-)(.*)\.\w+: (\d+)"
_REFUSED = r"^(?:http\.inbound\.rbac\.denied|tcp\.refused\.downstream_cx_total): (\d+)"


class TcpAdmission(Protocol):
    """What keeps the TCP callers."""

    def admit(self, admission: Admission) -> None:
        """Let these in, and nobody else."""

    def admitted(self, admission: Admission) -> bool:
        """Whether Envoy does."""


class NotTaken(Exception):  # noqa: N818 - a fact, not a fault
    """Envoy has not taken a policy in time. Its files are there: it does when it can."""


class PolicyKeeper:
    """The policy in effect. Used by several threads.

    Args:
        admission: what there is at first, see `PolicyStore.load`.
        documents: Envoy's template, see `config`.
        store: keeps what is pushed.
        directory: where Envoy watches its files.
        tcp: told of every change.
    """

    def __init__(
        self,
        admission: Admission,
        documents: Mapping[str, str],
        store: PolicyStore,
        directory: Path,
        tcp: TcpAdmission,
    ) -> None:
        self._now, self._documents, self._store = admission, documents, store
        self._served = admission.policy
        self._directory, self._tcp = directory, tcp
        self._text = admission.routes(documents)
        self._ends: float | None = None
        self._lease, self._lock = threading.Event(), threading.Lock()

    @property
    def served(self) -> Policy:
        """The one that Envoy serves: what it was told last, once it has taken that."""
        now = self._now
        if self._is_served(now, now.routes(self._documents)):
            self._served = now.policy
        return self._served

    def push(self, policy: Policy) -> bool:
        """Put `policy` into effect; whether it will outlive a restart.

        Raises:
            NotTaken: as `NotTaken` says.
        """
        with self._lock:
            kept = self._store.save(policy)  # first: what Envoy takes late is right after a restart
            self._apply(replace(self._now, policy=policy))
            return kept

    def lend(self, seconds: int) -> None:
        """Let an operator in for so long, 0: no more.

        Raises:
            NotTaken: as `NotTaken` says.
        """
        with self._lock:
            self._ends = time.monotonic() + seconds
            self._lease.set()
            self._apply(replace(self._now, operator=seconds > 0))

    def step(self) -> None:
        """Wait for the end of a lease, and see to it."""
        ends = self._ends
        self._lease.wait(None if ends is None else max(0.0, ends - time.monotonic()))
        self._lease.clear()
        with self._lock:
            if self._ends is None or time.monotonic() < self._ends:
                return
            self._ends = None
            try:
                self._apply(replace(self._now, operator=False))
            except NotTaken as error:
                say(str(error))

    def counts(self) -> tuple[dict[str, int], int]:
        """Calls by caller, and those refused, since Envoy has started; a TCP connection is one."""
        text = envoy.ask("GET", f"/stats?filter={_COUNTS}", self._directory / "admin.sock")
        calls = dict.fromkeys(sorted(self._now.policy.callers), 0)
        for name, number in re.findall(_CALLS, text, re.M):
            calls[name] = calls.get(name, 0) + int(number)
        return calls, sum(map(int, re.findall(_REFUSED, text, re.M)))

    def _apply(self, wanted: Admission) -> None:
        self._now = wanted
        text = wanted.routes(self._documents)
        if text != self._text:
            fresh = self._directory / f"{ROUTES}.new"
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._directory / ROUTES)
            self._text = text
        self._tcp.admit(wanted)
        deadline = time.monotonic() + TAKE_SECONDS
        while not self._is_served(wanted, text):
            if time.monotonic() > deadline:
                raise NotTaken(f"Envoy has not taken the policy within {TAKE_SECONDS:g} s")
            time.sleep(0.005)
        self._served = wanted.policy

    def _is_served(self, wanted: Admission, text: str) -> bool:
        """Whether Envoy has the routes of `text`, and lets in over TCP whom `wanted` does."""
        said = envoy.ask("GET", f"/stats?filter={_VERSION}", self._directory / "admin.sock")
        found = re.search(r'version_text: ("[0-9a-f]+")', said)
        taken = found is not None and f"version_info: {found[1]}" in text
        return taken and self._tcp.admitted(wanted)


def follow(keeper: PolicyKeeper) -> None:
    """End leases on a thread that ends with the process."""
    threads.keep(keeper.step)
