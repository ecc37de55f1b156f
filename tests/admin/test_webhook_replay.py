"""A delivery is accepted once, over threads and restarts; one that failed can come again."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from admin.problem import Problem
from admin.webhooks.replay import Replays


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def accept(replays: Replays, number: int) -> bool:
    with suppress(Problem), replays.once(key(number)):
        return True
    return False


def test_once_and_never_again(tmp_path: Path) -> None:
    """The second time is refused, by this server and by the next; others are not."""
    path = tmp_path / "admin" / "replays"
    replays = Replays(path)
    assert [accept(replays, n) for n in (1, 2, 1, 3, 2)] == [True, True, False, True, False]
    assert [accept(Replays(path), n) for n in (1, 2, 3, 4)] == [False, False, False, True]
    with pytest.raises(Problem, match="before") as caught, replays.once(key(1)):
        pass
    assert (caught.value.status, caught.value.code) == (409, "replayed")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_failed_can_come_again(tmp_path: Path) -> None:
    """A submit that raises leaves nothing behind, here or on disk."""
    replays = Replays(tmp_path / "replays")

    def fail() -> None:
        with replays.once(key(1)):
            raise RuntimeError("busy")

    with pytest.raises(RuntimeError):
        fail()
    assert not (tmp_path / "replays").exists()
    assert accept(replays, 1)
    assert not accept(replays, 1)


def test_two_at_once_are_one(tmp_path: Path) -> None:
    """Of many threads with one delivery exactly one gets in, while its work goes on, too."""
    replays = Replays(tmp_path / "replays")
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with replays.once(key(1)):
            inside.set()
            assert leave.wait(5)

    with ThreadPoolExecutor(9) as pool:
        working = pool.submit(first)
        assert inside.wait(5)
        assert not any(pool.map(lambda _: accept(replays, 1), range(32)))
        leave.set()
        working.result()
        assert sum(pool.map(lambda _: accept(replays, 2), range(32))) == 1
    assert (tmp_path / "replays").read_text().split() == [key(1), key(2)]


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    """The newest are kept; the file is written anew when it holds twice as many."""
    path = tmp_path / "replays"
    replays = Replays(path, keep=10)
    assert all(accept(replays, number) for number in range(95))
    assert 10 <= len(path.read_text().split()) <= 20
    for found in (replays, Replays(path, keep=10)):
        assert not any(accept(found, number) for number in range(85, 95))
    assert accept(replays, 0)


def test_a_torn_line_costs_nothing_else(tmp_path: Path) -> None:
    """After a crash in the middle of a line, the lines before and after it still count."""
    path = tmp_path / "replays"
    path.write_text(key(1) + "\n" + key(2)[:30])
    replays = Replays(path)
    assert not accept(replays, 1)
    assert accept(replays, 3)
    assert path.read_text().split() == [key(1), key(3)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_disk_that_fails_does_not_undo_the_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The delivery was accepted: it is remembered in memory, and the log says what that means."""
    path = tmp_path / "admin" / "replays"
    replays = Replays(path)
    path.parent.write_text("in the way")
    with caplog.at_level(logging.WARNING, "iac.admin"):
        assert accept(replays, 1)
    assert not accept(replays, 1)
    assert "until the next start only" in caplog.text
    path.parent.unlink()
    assert accept(replays, 2)
    assert path.read_text().split() == [key(1), key(2)]
