"""The ring: bounds, tail, following, slow readers."""

from __future__ import annotations

import threading

from runner.log_ring import LogRing


def texts(ring: LogRing, tail: int | None = None) -> list[str]:
    """What is held."""
    return [line.text for line in ring.read(tail=tail)]


def test_lines_are_bounded_by_number() -> None:
    """The oldest line goes when one too many comes."""
    ring = LogRing(max_lines=3)
    for i in range(5):
        ring.append("stdout", str(i))
    assert texts(ring) == ["2", "3", "4"]
    assert texts(ring, tail=1) == ["4"]
    assert texts(ring, tail=9) == ["2", "3", "4"]


def test_lines_are_bounded_by_size() -> None:
    """Long lines push out more than one old line."""
    ring = LogRing(max_chars=10)
    for text in ("aaaa", "bbbb", "cccccccc"):
        ring.append("stdout", text)
    assert texts(ring) == ["cccccccc"]


def test_slow_follower_is_told_what_it_missed() -> None:
    """A reader that falls behind loses the oldest lines, gets a count, and goes on."""
    ring = LogRing(max_lines=2)
    ring.append("stdout", "0")
    reader = ring.read(follow=True)
    assert next(reader).text == "0"
    for i in range(1, 6):
        ring.append("stdout", str(i))
    ring.close()
    seen = list(reader)
    assert [line.text for line in seen] == ["(3 lines lost: reader too slow)", "4", "5"]
    assert seen[0].stream == "runner"


def test_follower_waits_for_new_lines() -> None:
    """A line appended by another thread reaches a waiting reader."""
    ring = LogRing()

    def write() -> None:
        ring.append("stderr", "late")
        ring.close()

    threading.Timer(0.05, write).start()
    assert [line.text for line in ring.read(follow=True)] == ["late"]


def test_follower_ends_when_nobody_wants_more() -> None:
    """A reader whose client is gone stops waiting."""
    assert list(LogRing().read(follow=True, wanted=lambda: False)) == []
