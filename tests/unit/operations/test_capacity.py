"""What is said when the machine will not do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.adapters import capacity as machine
from iac_wrapper.adapters.capacity import FreeCapacity
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.model.event import Event
from iac_wrapper.operations import capacity
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.docker_daemon import Daemon

PLENTY = FreeCapacity(memory=8_000, disk=50_000, tasks=20_000, tasks_limit="pid_max")


def test_enough_of_everything_is_not_worth_a_word() -> None:
    """Neither is what cannot be seen from here, or what is not needed."""
    unknown = FreeCapacity(None, None, None, "")
    assert list(capacity.shortages(PLENTY, 60, 60)) == []
    assert list(capacity.shortages(unknown, 60, 60)) == []
    assert list(capacity.shortages(FreeCapacity(0, 0, 0, "pid_max"), 0, 0)) == []


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (replace(PLENTY, memory=4_000), ("60 more services", "4000 MiB", "`docker stats`")),
        (replace(PLENTY, tasks=1_000), ("allows 1000 more", "sysctl kernel.pid_max=")),
        (replace(PLENTY, disk=100), ("100 MiB are free", "`docker builder prune`")),
    ],
)
def test_each_shortage_names_figures_and_a_command(
    left: FreeCapacity, words: tuple[str, ...]
) -> None:
    """One sentence for one cause."""
    (said,) = capacity.shortages(left, 60, 1)
    assert all(word in said for word in words), said


def test_this_machine_is_read(
    engine_double: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the kernel's own files, and from the folder that the engine names."""
    for name, text in (
        ("meminfo", "MemTotal: 9 kB\nMemAvailable:  2048000 kB\n"),
        ("loadavg", "0.1 0.2 0.3 1/456 789\n"),
        ("sys/kernel/pid_max", "32768\n"),
        ("sys/kernel/threads-max", "1456\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "_PROC", tmp_path)
    engine_double.root = str(tmp_path)
    left = machine.free_capacity(Engine(engine_double.host))
    assert (left.memory, left.tasks, left.tasks_limit) == (2000, 1000, "threads-max")
    assert left.disk is not None
    monkeypatch.setattr(machine, "_PROC", tmp_path / "none")
    engine_double.root = "/nowhere/docker"
    assert machine.free_capacity(Engine(engine_double.host)) == FreeCapacity(None, None, None, "")


def test_the_machine_of_a_remote_engine_is_not_this_one(
    workspace: Workspace, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said of it, and nothing is asked."""
    empty = FreeCapacity(0, 0, 0, "pid_max")
    monkeypatch.setattr(machine, "free_capacity", lambda _engine: empty)
    capacity.warn(workspace, 1, 1)
    assert len(events) == 3
    remote = Settings(environment={"DOCKER_HOST": "tcp://build.example:2376"})
    capacity.warn(replace(workspace, settings=remote), 1, 1)
    assert len(events) == 3
