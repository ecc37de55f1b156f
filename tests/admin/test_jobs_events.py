from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from admin.jobs.event_log import EventLog
from admin.jobs.job import EventEntry
from admin.jobs.log_writer import LogWriter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_readers_that_join_at_any_time_see_each_event_once(path: Path) -> None:
    """Fifty of them, while events come: from the first to the last, none twice."""
    log, writer, count = EventLog(path), LogWriter(path), 400
    seen: list[list[int]] = [[] for _ in range(50)]

    def read(ids: list[int]) -> None:
        ended, after = False, 0
        while not ended:
            entries, ended = log.wait(after, 5)
            ids += [entry.id for entry in entries]
            after = ids[-1] if ids else 0

    def write() -> None:
        for number in range(1, count):
            writer.append("progress", f"event {number}")
        writer.append("finished", "done", {"status": "succeeded"})

    threads = [threading.Thread(target=write)]
    threads += [threading.Thread(target=read, args=(ids,)) for ids in seen]
    random.shuffle(threads)
    for thread in threads:
        thread.start()
        log.poll()
    deadline = time.monotonic() + 10
    while not log.is_ended:
        assert time.monotonic() < deadline
        log.poll()
    for thread in threads:
        thread.join(10)
    assert seen == [list(range(1, count + 1))] * 50


def test_events_can_be_read_from_where_one_left_off(path: Path) -> None:
    """After an id come the next ones only; ids that are too great or negative are harmless."""
    log, writer = EventLog(path), LogWriter(path)
    for number in range(3):
        writer.append("progress", str(number))
    log.poll()
    assert [entry.id for entry in log.read(1)[0]] == [2, 3]
    assert [entry.id for entry in log.read(-5)[0]] == [1, 2, 3]
    assert log.read(99) == ([], False)
    writer.append("finished", "done")
    log.poll()
    assert log.read(3)[1] is True
    assert log.wait(99, 60) == ([], True)


def test_waiting_ends_with_its_time_or_with_the_server(path: Path) -> None:
    """Nobody hangs on a log that nobody polls."""
    log = EventLog(path)
    assert log.wait(0, 0.01) == ([], False)
    waiter = threading.Thread(target=log.wait, args=(0, 60))
    waiter.start()
    log.close()
    waiter.join(5)
    assert not waiter.is_alive()


def test_an_unfinished_line_is_no_event(path: Path) -> None:
    """A writer killed within a line: readers wait, the next writer cuts it off, no id is lost."""
    writer = LogWriter(path)
    first = writer.append("started", "one")
    with path.open("ab") as file:
        file.write(b'{"id": 2, "at": "", "kind": "progress", "mess')
    log = EventLog(path)
    log.poll()
    log.poll()
    assert log.read(0) == ([first], False)
    last = LogWriter(path).append("finished", "interrupted", {"status": "interrupted"})
    log.poll()
    assert last.id == 2
    assert log.read(0) == ([first, last], True)


def test_a_write_that_was_interrupted_before_it_was_noted(path: Path) -> None:
    """The line is there and has its id; the same writer goes on behind it."""
    writer = LogWriter(path)
    writer.append("started", "one")
    other = LogWriter(path)  # stands for the interrupted call: it wrote, the first noted nothing
    other.append("progress", "two")
    assert writer.append("finished", "three").id == 3


def test_a_short_write_is_an_error_and_leaves_the_log_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full takes a part of a line; the next write puts that right."""
    writer = LogWriter(path)
    writer.append("started", "one")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
        with pytest.raises(OSError, match="event 2"):
            writer.append("progress", "two")
    writer.append("progress", "two again")
    log = EventLog(path)
    log.poll()
    assert [(entry.id, entry.message) for entry in log.read(0)[0]] == [(1, "one"), (2, "two again")]


@pytest.mark.parametrize("damage", [b"\0\0\0\n", b"[]\n", b'{"id": 7}\n', b"\xff\n"])
def test_a_damaged_line_keeps_its_number(path: Path, damage: bytes) -> None:
    """Readers learn that something is missing, and count on."""
    path.write_bytes(damage)
    LogWriter(path).append("finished", "done")
    log = EventLog(path)
    log.poll()
    assert [(entry.id, entry.kind) for entry in log.read(0)[0]] == [(1, "warning"), (2, "finished")]


def test_the_end_is_known_before_it_is_shown(path: Path) -> None:
    """Who reads the last event and asks for the job finds it ended."""
    order: list[str] = []
    log = EventLog(path, on_finished=lambda entry: order.append(f"noted {entry.id}"))
    reader = threading.Thread(target=lambda: order.append(f"read {log.wait(0, 5)[0][0].id}"))
    reader.start()
    LogWriter(path).append("finished", "done")
    log.poll()
    reader.join(5)
    assert order == ["noted 1", "read 1"]


def test_nothing_comes_after_the_end(path: Path) -> None:
    """A line behind the last event is not shown, in the same read or later."""
    writer = LogWriter(path)
    writer.append("finished", "done")
    writer.append("progress", "late")
    log = EventLog(path)
    log.poll()
    log.poll()
    assert len(log.read(0)[0]) == 1


def test_the_log_of_an_ended_job_is_whole_at_once(path: Path) -> None:
    """Also if its last event is missing, nobody waits for it."""
    assert EventLog(path, ended=True).read(0) == ([], True)
    entry = LogWriter(path).append("started", "x", {"a": "ü\x1b[0m"})
    assert EventLog(path, ended=True).wait(0, 60) == ([entry], True)
    assert EventEntry(**entry.to_dict()) == entry
