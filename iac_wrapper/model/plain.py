"""Text that cannot steer a terminal, whoever wrote it."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI sequences
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC sequences
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # other control characters but tab and newline
)


def plain(text: str) -> str:
    """`text` without anything that could steer a terminal (ECMA-48 sequences, C0 and C1)."""
    return _CONTROL.sub("", text)
