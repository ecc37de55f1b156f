"""Durations as Go writes them (``1m30s``), in nanoseconds: the form Docker and Terraform share."""

from __future__ import annotations

import re

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNITS["h"] = 60 * _UNITS["m"]
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def parse(text: str) -> int:
    """Nanoseconds of a duration such as ``1.5s``; an empty text is 0.

    Raises:
        ValueError: it is not a duration.
    """
    if text in {"", "0"}:
        return 0
    if not re.fullmatch(rf"(?:{_PART.pattern})+", text):
        raise ValueError(f"{text!r} is not a duration such as 30s or 1m30s")
    return sum(round(float(number) * _UNITS[unit]) for number, unit in _PART.findall(text))


def render(nanoseconds: int) -> str:
    """A duration as text, down to the millisecond: ``1m30s``, ``0s``, ``500ms``."""
    seconds, rest = divmod(nanoseconds, 10**9)
    if seconds == 0 and rest:
        return f"{rest / 10**6:g}ms"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f"{rest / 10**9:.3f}"[1:].rstrip("0").rstrip(".") if rest else ""
    text = f"{seconds}{fraction}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
