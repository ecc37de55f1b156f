"""Bytes to lines."""

from __future__ import annotations

from runner.line_splitter import MAX_LINE, LineSplitter


def split(*pieces: bytes, flush: bool = True) -> list[str]:
    """Lines of the pieces."""
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    for piece in pieces:
        splitter.feed(piece)
    if flush:
        splitter.flush()
    return lines


def test_lines_across_reads_are_joined() -> None:
    """A line is whole however its bytes arrive; CRLF and empty lines are lines."""
    assert split(b"a", b"b\r\n\nc", b"d\n") == ["ab", "", "cd"]


def test_unfinished_line_waits_for_flush() -> None:
    """Without its end a line comes only when flushed, once."""
    assert split(b"x\npart", flush=False) == ["x"]
    assert split(b"x\npart") == ["x", "part"]


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    """Bad bytes become U+FFFD, and a character split over two reads survives."""
    assert split(b"\xff!\n", b"\xc3", b"\xa9\n") == ["\ufffd!", "é"]


def test_very_long_line_is_cut_and_says_so() -> None:
    """Memory stays bounded by the line limit, and the next line is whole again."""
    first, second = split(b"x" * MAX_LINE, b"y" * 10, b"z\nnext\n")
    assert first == "x" * MAX_LINE + " (11 more bytes cut)"
    assert second == "next"
