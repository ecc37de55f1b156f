"""``iac releases``, ``iac show`` and ``iac diff``: what was done to the project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from iac_wrapper.cli.group import columns, dumps, verb
from iac_wrapper.model.plain import plain
from iac_wrapper.model.text_table import WHOLE, cut, text_table

if TYPE_CHECKING:
    from iac_wrapper.model.ledger import LedgerEntry
    from iac_wrapper.model.lock_difference import Change, ServiceDifference
    from iac_wrapper.operations.history import ReleaseDetail, ReleaseDifference
    from iac_wrapper.operations.workspace import Workspace

_WHO = 14
"""Characters of a name in the list."""

_SHOWN = 12
"""Digits of a hash; of a commit, git's own abbreviation is seven."""


@verb
@click.option(
    "-n",
    "limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="The newest N.",
)
def releases(workspace: Workspace, as_json: bool, limit: int) -> None:
    """List what was done to the project, newest first: releases, and events such as a heal.

    iac show N tells all of one, iac diff N M what differs between two.
    """
    from iac_wrapper.operations.history import history

    found = history(workspace, limit=limit)
    if as_json:
        click.echo(dumps({"project": workspace.project, **found.to_dict()}))
        return
    text = _table(found.entries, columns()) if found.entries else ""
    click.echo(plain(text or "Nothing was done to this project yet."))
    for remark in found.remarks:
        click.echo(plain(f"warning: {remark}"), err=True)


@verb
@click.argument("number", type=click.IntRange(1), metavar="N")
def show(workspace: Workspace, as_json: bool, number: int) -> None:
    """Show all of one release or event: who, when, from where, how it ended, what ran after it."""
    from iac_wrapper.operations.history import show as operation

    found = operation(workspace, number)
    data = {"project": workspace.project, **found.to_dict()}
    click.echo(dumps(data) if as_json else plain("\n".join(_shown(found, columns()))))


@verb
@click.argument("old", type=click.IntRange(1), metavar="N")
@click.argument("new", type=click.IntRange(1), metavar="M")
def diff(workspace: Workspace, as_json: bool, old: int, new: int) -> None:
    """Show what differs between what ran after release N and after release M.

    Commits, images, ports and names of variables; no values.
    """
    from iac_wrapper.operations.history import difference

    found = difference(workspace, old, new)
    if as_json:
        click.echo(dumps({"project": workspace.project, **found.to_dict()}))
        return
    text = "\n".join(_differences(found))
    click.echo(plain(text or f"After {old} and after {new} the same is deployed."))


def _table(entries: Sequence[LedgerEntry], width: int) -> str:
    head = ("N", "WHEN (UTC)", "WHAT", "BY", "VERDICT", "TOOK", "ABOUT")
    rows = [
        (
            str(entry.number),
            f"{entry.at:%Y-%m-%d %H:%M}",
            entry.kind,
            entry.who if width == WHOLE else cut(entry.who, _WHO),
            entry.verdict,
            _seconds(entry.facts.get("seconds")),
            _about(entry),
        )
        for entry in entries
    ]
    return text_table([head, *rows], width, names=range(len(head) - 1), one_line=True)


def _about(entry: LedgerEntry) -> str:
    """Which services moved, came, went and failed, what an event did, or the error."""
    facts = entry.facts
    bad = {name: f"{name} failed" for name in facts.get("failed", ())}
    bad |= {name: f"{name} was broken before" for name in facts.get("broken", ())}
    changed = {
        name: name if kind == "changed" else f"{name} {kind}"
        for name, kind in facts.get("changed", {}).items()
    }
    moved = {name: name for name in facts.get("moved", ())} | changed
    to = [f"to {facts['to']}"] if "to" in facts else []
    told = [text for name, text in moved.items() if name not in bad]
    said = [*to, *told, *bad.values(), *facts.get("done", ())]
    return ", ".join(said) or str(facts.get("error", {}).get("message", ""))


def _shown(found: ReleaseDetail, width: int) -> Iterator[str]:
    facts, by = found.entry.facts, found.entry.facts.get("by", {})
    person = " ".join(filter(None, (by.get("name"), by.get("subject"))))
    machine = f"{by.get('user')} (uid {by.get('uid')}) on {by.get('host')}" if "uid" in by else ""
    pairs = {
        "release" if found.entry.is_release else "event": f"{found.entry.number}",
        "what": found.entry.kind,
        "to": facts.get("to"),
        "named": ", ".join(facts.get("named", ())),
        "verdict": found.entry.verdict,
        "began": facts.get("at"),
        "ended": facts.get("ended_at"),
        "applied": facts.get("applied_at"),
        "seconds": facts.get("seconds"),
        "by": ", as ".join(filter(None, (person, machine))),
        "from": by.get("source"),
        "job": by.get("job"),
        "tool": facts.get("tool") and f"iac {facts['tool']}",
        "plan": facts.get("plan"),
        "plan file": facts.get("plan_file"),
        "lock": facts.get("lock"),
        "before": facts.get("before"),
        "authority": ", ".join(facts.get("authority", ())),
        "moved": ", ".join(facts.get("moved", ())),
        "failed": ", ".join(facts.get("failed", ())),
        "broken": ", ".join(facts.get("broken", ())),
        "error": _error(facts.get("error", {})),
    }
    yield from (f"{name:<10}{value}" for name, value in pairs.items() if value)
    yield from (f"{'done':<10}{sentence}" for sentence in facts.get("done", ()))
    for hook in facts.get("hooks", ()):
        how = hook.get("fault") or "ended with 0"
        yield f"{'hook':<10}{hook.get('hook')} {how}, {_seconds(hook.get('seconds'))}"
        yield from (f"{'':<10}| {line}" for line in hook.get("output", "").splitlines())
    if found.lock:
        rows = [
            (app.name, (app.commit or "-")[:_SHOWN], app.image.rpartition("/")[2], str(app.port))
            for app in found.lock.apps
        ]
        yield ""
        yield text_table([("SERVICE", "COMMIT", "IMAGE", "PORT"), *rows], width)
        if found.lock.parked:
            yield f"stopped: {', '.join(app.name for app in found.lock.parked)}"


def _error(error: dict[str, Any]) -> str:
    return ": ".join(filter(None, map(error.get, ("where", "message", "found"))))


def _differences(found: ReleaseDifference) -> Iterator[str]:
    for service in found.services:
        yield f"{service.name}: {service.kind}"
        yield from (f"  {line}" for line in _service(service, found))
    for name, change in found.mesh.items():
        yield f"{name.replace('_', ' ')}: {_arrow(change)}"
    if found.authorities:
        old, new = (", ".join(each[:_SHOWN] for each in side) for side in found.authorities)
        yield f"certificate authority: {old} -> {new}"


def _service(service: ServiceDifference, found: ReleaseDifference) -> Iterator[str]:
    for name, change in service.changes.items():
        yield f"{name}: {_arrow(change)}"
        if name == "commit":
            for sha in filter(None, change):
                if subject := found.subjects.get(sha):
                    yield f"  {sha[:_SHOWN]} {subject}"
    names = {
        "env added": service.env_added,
        "env removed": service.env_removed,
        "env changed": service.env_changed,
        "also changed": service.keys_changed,
    }
    yield from (f"{what}: {', '.join(each)}" for what, each in names.items() if each)


def _arrow(change: Change) -> str:
    old, new = (_value(side) for side in change)
    return f"{old} -> {new}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    text = "none" if value is None else str(value)
    is_hash = len(text) >= 40 and not set(text.removeprefix("sha256:")) - set("0123456789abcdef")
    return text.removeprefix("sha256:")[:_SHOWN] if is_hash else text


def _seconds(value: Any) -> str:
    return f"{value:.1f} s" if isinstance(value, int | float) else "-"
