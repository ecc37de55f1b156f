"""What the kernel killed for lack of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.memory import RECENT_SECONDS, KernelKills, oom_kills


@pytest.mark.parametrize(
    ("file", "text", "count"),
    [
        ("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0),
    ],
    ids=["cgroup v2", "cgroup v1", "old kernel"],
)
def test_oom_kills_are_counted(tmp_path: Path, file: str, text: str, count: int) -> None:
    """Both cgroup versions give the number; a kernel without it gives 0."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert oom_kills(tmp_path) == count


def test_no_cgroup_is_no_oom(tmp_path: Path) -> None:
    """Without a cgroup file nothing was killed."""
    assert oom_kills(tmp_path) == 0


def test_killed_processes_are_those_of_the_current_start() -> None:
    """Each is new once; what fails soon after one fails for it, what fails later does not."""
    count, now = 4, 100.0
    kernel = KernelKills(lambda: count, lambda: now)
    assert not kernel.look()
    assert not kernel.recent
    count = 6
    assert (kernel.look(), kernel.look(), kernel.killed) == (True, False, 2)
    now += RECENT_SECONDS
    assert kernel.recent
    now += 0.1
    assert not kernel.recent
    kernel.started()
    assert (kernel.look(), kernel.killed, kernel.recent) == (False, 0, False)
