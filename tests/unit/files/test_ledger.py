"""The file format of the ledger: real files, writers that are killed, writers side by side."""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from pathlib import Path

import pytest

from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.files.ledger import Ledger
from iac_wrapper.model.ledger import entries

FORK = multiprocessing.get_context("fork")


def _write(folder: Path, times: int) -> None:
    ledger = Ledger(folder)
    for _ in range(times):
        number = ledger.append({"type": "started", "kind": "deploy", "filler": "x" * 2000})
        ledger.append({"type": "ended", "verdict": "good"}, number=number)


def _size(ledger: Ledger) -> int:
    return ledger.path.stat().st_size if ledger.path.exists() else 0


def test_numbers_count_releases_and_events(tmp_path: Path) -> None:
    """A release keeps its number for its end, and has one end."""
    ledger = Ledger(tmp_path / "demo")
    assert ledger.read().lines == ()
    assert ledger.append({"type": "started", "kind": "deploy"}) == 1
    assert ledger.append({"type": "event", "kind": "heal"}) == 2
    assert ledger.append({"type": "ended", "verdict": "good"}, number=1) == 1
    assert ledger.append({"type": "ended", "verdict": "interrupted"}, number=1) == 1
    found = [(e.number, e.is_release, e.ended, e.verdict) for e in entries(ledger.read().lines)]
    assert found == [(1, True, True, "good"), (2, False, True, "interrupted")]
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert ledger.folder.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_cut_at_any_byte_is_read_and_gone_on_with(tmp_path: Path) -> None:
    """What is whole counts, what is cut off is named, and no number is given twice."""
    whole = Ledger(tmp_path / "whole")
    whole.append({"type": "started", "kind": "deploy"})
    whole.append({"type": "ended", "verdict": "gööd"}, number=1)
    whole.append({"type": "event", "kind": "heal"})
    data = whole.path.read_bytes()
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]
    cut = Ledger(tmp_path / "cut")
    cut.folder.mkdir()
    for size in range(len(data) + 1):
        cut.path.write_bytes(data[:size])
        pages = cut.read()
        assert len(pages.lines) == sum(end <= size for end in ends), "a whole line needs no feed"
        begun = size - max((end + 1 for end in ends if end < size), default=0)
        is_torn = begun > 0 and size not in ends
        assert len(pages.torn) == is_torn
        if size % 9 and size not in ends:  # a line of ours takes a sync of the disk
            continue
        number = cut.append({"type": "event", "kind": "renew"})
        after = cut.read()
        assert number == pages.last_number + 1
        assert after.lines[:-1] == pages.lines
        assert (after.lines[-1]["n"], after.torn) == (number, pages.torn)


def test_killed_writers_cost_at_most_the_line_they_wrote(tmp_path: Path) -> None:
    """kill -9 again and again: every other line stays, numbers have no gaps and no doubles."""
    ledger = Ledger(tmp_path / "demo")
    for attempt in range(10):
        writer = FORK.Process(target=_write, args=(ledger.folder, 10_000))
        wanted = _size(ledger) + 1 + 500 * (attempt % 7)
        writer.start()
        while _size(ledger) < wanted and writer.is_alive():
            time.sleep(0.0005)
        writer.kill()
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
    pages = ledger.read()
    numbers = [line["n"] for line in pages.lines if line["type"] == "started"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) + len(pages.torn) >= 10, "each has written something"
    assert len(pages.torn) <= 10
    unended = [entry for entry in entries(pages.lines) if not entry.ended]
    assert len(unended) <= 10
    assert ledger.append({"type": "event", "kind": "heal"}) == len(numbers) + 1


def test_writers_side_by_side(tmp_path: Path) -> None:
    """Each waits for the other: no line is mixed, no number given twice."""
    writers = [FORK.Process(target=_write, args=(tmp_path / "demo", 20)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    pages = Ledger(tmp_path / "demo").read()
    assert pages.torn == ()
    numbers = [line["n"] for line in pages.lines if line["type"] == "started"]
    assert numbers == list(range(1, 41))
    assert all(entry.ended for entry in entries(pages.lines))


def test_a_newer_version_is_refused_and_newer_fields_are_passed_on(tmp_path: Path) -> None:
    """A type of line that is not known changes nothing of what is; a field of it is kept."""
    ledger = Ledger(tmp_path)
    more = [
        {"v": 1, "n": 1, "type": "started", "kind": "deploy", "later": [1]},
        {"v": 1, "n": 1, "type": "hook", "output": "done"},
        {"v": 1, "n": 1, "type": "ended", "verdict": "good"},
    ]
    ledger.path.write_text("".join(f"{json.dumps(line)}\n" for line in more))
    (entry,) = entries(ledger.read().lines)
    assert (entry.verdict, entry.facts["later"]) == ("good", [1])
    with ledger.path.open("a") as file:
        file.write('{"v": 2, "n": 2, "type": "event"}\n')
    with pytest.raises(ConfigError, match="a newer version of iac wrote the ledger") as caught:
        ledger.append({"type": "event"})
    assert caught.value.where == f"{ledger.path}:4"


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "7", '{"v": 1, "n": 1}', '{"v": 1, "n": true, "type": "event"}'),
        '{"v": 1, "n": 1, "type": "event", "by": "me"}',
    ],
)
def test_what_is_no_line_is_named(tmp_path: Path, text: str) -> None:
    """JSON alone makes no line."""
    ledger = Ledger(tmp_path)
    ledger.path.write_text(f'{text}\n{{"v": 1, "n": 4, "type": "event"}}\n')
    pages = ledger.read()
    assert pages.torn == ((1,) if text else ())
    assert ledger.append({"type": "event", "at": "today"}) == 5
    assert [entry.at.year for entry in entries(ledger.read().lines)] == [1, 1]


def test_a_ledger_is_never_written_through_a_link(tmp_path: Path) -> None:
    """Who may make a link in the folder must not choose what is overwritten."""
    ledger = Ledger(tmp_path / "demo")
    ledger.folder.mkdir()
    (tmp_path / "other").write_text("mine")
    ledger.path.symlink_to(tmp_path / "other")
    with pytest.raises(CommandError, match="cannot write the ledger"):
        ledger.append({"type": "event"})
    assert (tmp_path / "other").read_text() == "mine"


def test_locks_are_kept_once_and_checked(tmp_path: Path) -> None:
    """By their digest; one that was edited is not shown as what ran."""
    ledger = Ledger(tmp_path / "demo")
    digest = ledger.keep_lock("{}\n")
    assert ledger.keep_lock("{}\n") == digest
    assert ledger.lock_text(digest) == "{}\n"
    (path,) = (ledger.folder / "locks").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{ }\n")
    with pytest.raises(ConfigError, match="lock of a release cannot be read"):
        ledger.lock_text(digest)
    with pytest.raises(ConfigError, match="lock of a release cannot be read"):
        ledger.lock_text("0" * 64)
