"""How a command speaks: as what, how much, in which colours. What operations say goes to stderr,
so that stdout holds only the result; with ``--json`` of a verb that changes something both are
lines of JSON on stdout (docs/output.md).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any

import click

from iac_wrapper import settings
from iac_wrapper.errors import Interrupted
from iac_wrapper.model.event import Emit, Event, Stage
from iac_wrapper.model.plain import plain
from iac_wrapper.model.redact import Redactor

Meta = MutableMapping[str, Any]
"""What a command and its groups share (`click.Context.meta`)."""

_VIEW = "view"
"""In Meta: what shows events for now."""

_REACHED = "reached"
"""In Meta: what the last step did to the project."""

_AGAIN = "run the same command again"
_UNCHANGED = ("before anything was replaced: what ran still runs", _AGAIN)
_STATES: Mapping[Stage | None, tuple[str, str]] = {
    "apply": (
        "while changes were applied: those that are made are recorded",
        f"{_AGAIN}, which makes the others; iac status shows what runs",
    ),
    "prove": (
        "after changes were applied: they run, but are not all proven",
        f"{_AGAIN}, which proves them; iac health looks only",
    ),
    "remove": (
        "while the project was removed: what is gone is recorded",
        f"{_AGAIN}, which removes the rest",
    ),
}
"""What an interrupted command has done, by the last step that changes anything; what goes on."""

_PREFIXES = {"step": "==> ", "progress": "    ", "warning": "warning: "}


def is_stream(meta: Meta) -> bool:
    """Whether stdout gets a line of JSON for each event, the result last."""
    return bool(meta.get("as_json") and meta.get("streams"))


def is_live(meta: Meta) -> bool:
    """Whether progress is lines that change: a person looks on, and wants no other form."""
    other = any(meta.get(name) for name in ("as_json", "quiet", "verbose"))
    return not other and sys.stderr.isatty() and settings.can_move_cursor()


def interrupted(meta: Meta) -> Interrupted:
    """What a person is told who ended a command: what state things are in, and what goes on."""
    message, step = _STATES[meta[_REACHED]] if _REACHED in meta else _UNCHANGED
    return Interrupted(
        f"interrupted {message}" if meta.get("streams") else "interrupted", next_step=step
    )


@contextmanager
def shown_by(meta: Meta, show: Emit) -> Iterator[None]:
    """Give the events of a block to `show`; it must not raise."""
    meta[_VIEW] = show
    try:
        yield
    finally:
        del meta[_VIEW]


class Command(click.Command):
    """A command that takes the options of the group too: a person adds them at the end."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own, and those, which its help leaves out."""
        return [*super().get_params(ctx), *options(hidden=True)]


def options(*, hidden: bool = False) -> list[click.Option]:
    """``--verbose``, ``--quiet``, ``--wide`` and ``--color``."""
    option = partial(click.Option, expose_value=False, hidden=hidden)
    flag = partial(option, is_flag=True, callback=_note)
    return [
        flag(
            ["--verbose", "-v"],
            help="Show every line of progress, one below the other; with --json too.",
        ),
        flag(
            ["--quiet", "-q"],
            help="Show no progress: only warnings, errors and the result.",
        ),
        flag(["--wide"], help="Tables take the room that they need: nothing is cut."),
        option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            callback=_color,
            help="Colours; auto, the default: on a terminal, as NO_COLOR and FORCE_COLOR say.",
        ),
    ]


def _note(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    if given:
        ctx.meta[str(option.name)] = True


def _color(ctx: click.Context, _: click.Parameter, when: str | None) -> None:
    if when is None and ctx.parent:
        return
    wanted = {"always": True, "never": False}.get(when or "", settings.wants_color())
    for each in (ctx, ctx.find_root()):  # an error is shown when the verb's own has ended
        each.color = wanted


def result_line(data: Mapping[str, Any]) -> str:
    """The last line of a stream."""
    code = data.get("error", {}).get("exit_code", 0)
    return json.dumps({"at": _now(), "kind": "result", "exit_code": code, "result": data})


def progress(meta: Meta, redact: Redactor) -> Emit:
    """Where a command's events go, without secrets."""
    streams, beside = is_stream(meta), _lines(meta)
    said: set[Event] = set()
    guard = Lock()

    def emit(event: Event) -> None:
        if event.kind == "step" and event.stage in _STATES:
            meta[_REACHED] = event.stage
        if event.kind == "warning":  # each proof has its own, of the same services
            if event in said:
                return
            said.add(event)
        text = event.message if streams else plain(event.message)
        clean = replace(event, message=redact(text))
        with guard, suppress(OSError):  # a closed stderr must not end a deploy half-way
            if streams:
                _stream(clean)
            meta.get(_VIEW, beside)(clean)

    return emit


def line_of(event: Event) -> str:
    """An event as a line of a terminal."""
    return _PREFIXES[event.kind] + plain(event.message)


def _lines(meta: Meta) -> Emit:
    def show(event: Event) -> None:
        quiet = meta.get("quiet") or (meta.get("as_json") and not meta.get("verbose"))
        if event.kind == "warning" or not (quiet or event.kind == "stage"):
            bold, dim = event.kind == "step", event.kind == "progress"
            click.secho(line_of(event), err=True, bold=bold, dim=dim)

    return show


def _stream(event: Event) -> None:
    facts = {"service": event.service, "stage": event.stage}
    known = {name: value for name, value in facts.items() if value}
    click.echo(json.dumps({"at": _now(), "kind": event.kind, "message": event.message, **known}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
