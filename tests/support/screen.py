"""A command at a real terminal, and what is left on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_IAC = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # else ignored in a background job
from iac_wrapper.cli import main
main()
"""
IAC = [sys.executable, "-c", _IAC]

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[\?[0-9;]*[A-Za-z]|\x1b\[[0-9;]*[A-Za-z]|.", re.S)


class Terminal:
    """What `argv` wrote to a terminal of `columns`; `on_output` gets all of it so far, and the
    process, each time there is more."""

    def __init__(
        self,
        argv: list[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        columns: int = 80,
        rows: int = 24,
        on_output: Callable[[str, subprocess.Popen[bytes]], None] = lambda *_: None,
    ) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        before = termios.tcgetattr(theirs)
        keep = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "FORCE_COLOR")}
        with subprocess.Popen(
            argv,
            cwd=folder,
            env={**keep, "TERM": "xterm", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            said = b""
            while process.poll() is None or _is_readable(ours):
                if _is_readable(ours):
                    said += os.read(ours, 65536)
                    on_output(said.decode(errors="replace"), process)
        self.is_as_before = termios.tcgetattr(theirs) == before
        os.close(theirs)
        os.close(ours)
        self.code = process.returncode
        self.written = said.decode()

    @property
    def lines(self) -> list[str]:
        """The lines that are left: what was erased is not."""
        return [line.rstrip() for line in _left(self.written)]


def _is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0.05)[0])


def _left(written: str) -> Iterator[str]:
    """Knows line feeds, carriage returns, the cursor up and the erasing of a line."""
    lines, row, column = [""], 0, 0
    for token in _TOKEN.finditer(written):
        text, count, command = token[0], token[1], token[2]
        if text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text == "\r":
            column = 0
        elif command == "A":
            row = max(0, row - int(count or 1))
        elif command == "K":
            lines[row] = ""
        elif not text.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + 1 :]
            column += 1
    return iter(lines)
