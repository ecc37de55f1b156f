"""The live view: on a terminal, a line for each service that says what is being done to it.

What stays true (warnings, remarks) is printed above the view, which goes with the operation.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

import click

from iac_wrapper.cli import output
from iac_wrapper.model.event import Event, Stage
from iac_wrapper.model.text_table import WIDTH, cut

_NAME = 24
"""Characters of a service's name."""

_ENDED: dict[Stage, tuple[str, str]] = {"done": ("✓", "green"), "failed": ("✗", "red")}
"""A sign and a colour for what is over."""

_AT_WORK = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PER_SECOND = 8

_WORDS: dict[Stage, str] = {
    "resolve": "resolving",
    "fetch": "fetching",
    "detect": "detecting",
    "build": "building:",
    "prove": "proving",
    "remove": "removing",
}
"""What is said before an event's words; some say it themselves."""


@dataclass(frozen=True)
class _Line:
    """What is being done, and since when; `ended`: how many seconds it took in the end."""

    words: str
    since: float
    stage: Stage | None = None
    ended: float | None = None


class View:
    """What the events so far come to, as lines for a terminal. Any thread may tell it one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._step = _Line("", clock())
        self._detail = ""
        self._services: dict[str, _Line] = {}

    def tell(self, event: Event) -> bool:
        """Take an event in; False if it is to be printed, as it stays true."""
        if event.kind != "step" and not event.stage:
            return False
        now = self._clock()
        with self._lock:
            if event.kind == "step":
                self._step, self._detail = _Line(event.message, now), ""
            elif event.service:
                known = self._services.get(event.service)
                self._services[event.service] = _after(known, event, now)
            else:
                self._detail = event.message
        return True

    def lines(self, width: int, height: int) -> list[tuple[str, str]]:
        """Each with its colour, of `width` characters at most: the step, then a line a service,
        those at work first if `height` has no room for all.

        None takes a wide terminal's room: one that is made narrower breaks no line then.
        """
        now, most = self._clock(), min(width, WIDTH) - 1
        with self._lock:
            step, detail, services = self._step, self._detail, sorted(self._services.items())
        head = f"{step.words} ({now - step.since:.0f} s)" + (f"  {detail}" if detail else "")
        longest = min(_NAME, max((len(name) for name, _ in services), default=0))
        room = max(1, height - 3)
        shown = services
        if len(services) > room:
            shown = sorted(services, key=lambda pair: (pair[1].ended is not None, pair[0]))[:room]
        found = [(head, "bold")] if step.words else []
        found += [self._line(name.ljust(longest), line, now) for name, line in shown]
        if len(shown) < len(services):
            found.append((f"  … and {len(services) - len(shown)} more", "dim"))
        return [(cut(re.sub(r"\s*[\n\t]\s*", " ", text), most), style) for text, style in found]

    def _line(self, name: str, line: _Line, now: float) -> tuple[str, str]:
        spent = now - line.since if line.ended is None else line.ended
        turning = _AT_WORK[int(now * _PER_SECOND) % len(_AT_WORK)], ""
        sign, style = _ENDED.get(line.stage, turning) if line.stage else turning
        return f"  {sign} {cut(name, _NAME)} {spent:6.1f} s  {line.words}", style


def _after(known: _Line | None, event: Event, now: float) -> _Line:
    """A service's line after an event about it."""
    since = known.since if known else now
    said = event.message.removeprefix(f"{event.service}: ")
    before = _WORDS.get(event.stage, "") if event.stage and event.kind == "stage" else ""
    line = _Line(f"{before} {said}".strip(), since, event.stage)
    return replace(line, ended=now - since) if event.stage in _ENDED else line


@contextmanager
def live() -> Iterator[None]:
    """Show what the operation in the block says: live where a person looks on, else as it comes."""
    ctx = click.get_current_context()
    if not output.is_live(ctx.meta):
        yield
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    class Screen(Console):
        """The cursor stays: whatever ends this process, there is nothing to restore."""

        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
            return False

    view = View()
    screen = Screen(
        file=sys.stderr,
        force_terminal=True,
        color_system=None if ctx.color is False else "standard",
        highlight=False,
    )

    def render() -> Text:
        size = screen.size
        lines = [Text(*line) for line in view.lines(size.width, size.height)]
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)

    with Live(
        console=screen,
        get_renderable=render,
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    ) as drawn:

        def show(event: Event) -> None:
            if not view.tell(event) and drawn.is_started:
                style = "" if event.kind == "warning" else "dim"
                screen.print(Text(output.line_of(event), style), soft_wrap=True)

        with output.shown_by(ctx.meta, show):
            yield
