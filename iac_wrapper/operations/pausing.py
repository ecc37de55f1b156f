"""Calls to programs that are not ours: they end before Terraform stops the program.

Programs of ours have a runner, which waits for that. Terraform stops the program of a pair first,
so for the others nobody would.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from iac_wrapper.adapters.engine import Container
from iac_wrapper.files.layout import container_name
from iac_wrapper.identity.sidecar_policy import SidecarError
from iac_wrapper.operations import policy
from iac_wrapper.operations.workspace import Workspace

PAUSE_SECONDS = 30
"""After which a sidecar lets requests through again by itself: a Terraform that was killed has not
stopped the program. It stops them within seconds."""

_MARGIN_SECONDS = 5.0

_MOST_AT_ONCE = 32


def foreign_programs(workspace: Workspace) -> list[Container]:
    """Those of the project that run, and that callers reach."""
    found = workspace.engine.containers(workspace.project)
    return [each for each in found if each.foreign and each.running and each.role == "app"]


@contextmanager
def paused(workspace: Workspace, programs: Collection[Container]) -> Iterator[None]:
    """While the block runs, `programs` get no new requests; before it begins, those in flight have
    ended, or have had the service's ``stop_grace``.

    Callers wait meanwhile (decision 0043). A sidecar that cannot be asked is no error: its calls
    end with the program, as they do where somebody else stops it.
    """
    if programs:
        names = ", ".join(sorted(container.service for container in programs))
        workspace.progress(f"{names}: calls in flight end first")
    _tell(workspace, programs, PAUSE_SECONDS)
    try:
        yield
    finally:
        _tell(workspace, programs, 0)


def _tell(workspace: Workspace, programs: Collection[Container], seconds: int) -> None:
    lock = workspace.applied_lock()
    if lock is None or not programs:
        return

    def tell(program: Container) -> None:
        service = program.service
        patience = program.stop_seconds + _MARGIN_SECONDS
        client = policy.sidecars(workspace.layout, lock, patience)
        envoy = container_name(workspace.project, service, "envoy")
        try:
            client.pause(service, envoy, seconds)
        except SidecarError:
            return

    with ThreadPoolExecutor(min(_MOST_AT_ONCE, len(programs))) as pool:
        list(pool.map(tell, programs))
