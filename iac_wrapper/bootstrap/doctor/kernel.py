"""Checks of what the kernel has left: memory, processes, and the limits that services meet.

Of this machine's kernel, which must be the engine's.
"""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.adapters import capacity
from iac_wrapper.bootstrap.doctor.machine import ThisMachine
from iac_wrapper.errors import CommandError
from iac_wrapper.model import envoy_container
from iac_wrapper.model.checkup import Check, Seen
from iac_wrapper.operations.capacity import SERVICE_MB, SERVICE_TASKS

ENVOY_INSTANCES = 9
"""inotify instances of an Envoy, each for files that it watches; tests/e2e/test_mesh.py counts."""

SHARED_INSTANCES = 1024
"""For a hundred services whose Envoys the kernel counts as one user's."""

SERVICES = 20
"""How many more services there should be processes for: a deploy that replaces ten needs them."""

FILES = 10_000
"""Open files that should be left: an Envoy at its limits has two for each of 1,280 connections."""

_FULL_PERCENT = 90


def has_memory(machine: ThisMachine) -> Seen:
    """One more service fits, with what it may use."""
    left = capacity.available_memory(machine.proc)
    if left is None:
        return Seen("this system does not say what is free")
    seen, step = f"{left} MiB are free", "`docker stats` shows what uses the rest"
    if left < SERVICE_MB:
        raise CommandError(
            "no service fits into memory any more",
            found=seen,
            expected=f"{SERVICE_MB} MiB for one that is idle",
            next_step=step,
        )
    wanted = machine.settings.memory_mb + envoy_container.MEMORY_MB
    short = left < wanted
    return Seen(f"{seen}, one service may use {wanted}" if short else seen, step if short else "")


def has_processes(machine: ThisMachine) -> Seen:
    """The kernel starts the processes of more services."""
    left, limit = capacity.free_tasks(machine.proc)
    if left is None:
        return Seen("this system does not say how many are allowed")
    seen = f"{left} more processes and threads are allowed (kernel.{limit})"
    step = f"sudo sysctl kernel.{limit}=131072"
    if left < SERVICE_TASKS:
        raise CommandError(
            "no service can start any more",
            found=seen,
            expected=f"{SERVICE_TASKS} for one that is idle",
            next_step=step,
        )
    return Seen(seen, step if left < SERVICES * SERVICE_TASKS else "")


def has_inotify(machine: ThisMachine) -> Seen:
    """Every Envoy can watch its certificates; the kernel counts by user, and each has its own."""
    name = "fs.inotify.max_user_instances"
    limit = _number(machine.proc / "sys/fs/inotify/max_user_instances")
    if limit is None:
        return Seen(f"this system has no {name}")
    seen, step = f"{name} is {limit}", f"sudo sysctl {name}={SHARED_INSTANCES}"
    if limit < ENVOY_INSTANCES:
        raise CommandError(
            "no Envoy can start",
            found=seen,
            expected=f"{ENVOY_INSTANCES} for each Envoy",
            next_step=step,
        )
    if machine.shares_users and limit < SHARED_INSTANCES:
        fit = limit // ENVOY_INSTANCES
        return Seen(f"{seen}: enough for {fit} services, as all are one user's here", step)
    return Seen(f"{seen}, an Envoy takes {ENVOY_INSTANCES}")


def has_open_files(machine: ThisMachine) -> Seen:
    """The whole system may open more files and sockets."""
    fields = _fields(machine.proc / "sys/fs/file-nr")
    if len(fields) != 3:
        return Seen("this system has no fs.file-nr")
    left = int(fields[2]) - int(fields[0])
    step = f"sudo sysctl fs.file-max={int(fields[2]) * 4}" if left < FILES else ""
    return Seen(f"{fields[0]} of {fields[2]} are open (fs.file-max)", step)


def forwards_packets(machine: ThisMachine) -> Seen:
    """Packets go from one network of the engine to the next, and out."""
    value = _number(machine.proc / "sys/net/ipv4/ip_forward")
    if value == 0:
        raise CommandError(
            "containers reach nothing outside of their network",
            found="net.ipv4.ip_forward is 0",
            expected="1, as Docker sets it when it starts",
            next_step="sudo sysctl net.ipv4.ip_forward=1",
        )
    return Seen("net.ipv4.ip_forward is 1" if value else "this system has no net.ipv4.ip_forward")


def tracks_connections(machine: ThisMachine) -> Seen:
    """The firewall has room for more connections: a full table drops packets, and logs nothing."""
    folder = machine.proc / "sys/net/netfilter"
    now, most = _number(folder / "nf_conntrack_count"), _number(folder / "nf_conntrack_max")
    if now is None or not most:
        return Seen("this kernel tracks none yet")
    full = now * 100 >= most * _FULL_PERCENT
    step = f"sudo sysctl net.netfilter.nf_conntrack_max={most * 4}" if full else ""
    return Seen(f"{now} of {most} are tracked (net.netfilter.nf_conntrack_max)", step)


def _number(path: Path) -> int | None:
    fields = _fields(path)
    return int(fields[0]) if fields else None


def _fields(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []


CHECKS = (
    Check("memory", has_memory, after=("settings",)),
    Check("processes", has_processes),
    Check("inotify", has_inotify, after=("engine",)),
    Check("open files", has_open_files),
    Check("forwarding", forwards_packets),
    Check("connections", tracks_connections),
)
