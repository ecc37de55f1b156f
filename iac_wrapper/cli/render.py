"""Values as text for a terminal. Only the CLI uses it; it must not do I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.plan import Action, TerraformChange
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.model.service_change import ServiceAction, ServiceChange, summary
from iac_wrapper.model.text_table import text_table

_WORDS: dict[ServiceAction, tuple[str, str]] = {
    "add": ("+", "new"),
    "remove": ("-", "removed"),
    "replace": ("±", "replaced"),
    "restart": ("~", "restarted"),
    "update": ("~", "updated in place, no restart"),
    "renew": ("~", "no restart"),
    "record": ("~", "containers stay as they are"),
}
"""A sign for each action, and what becomes of the service."""

_OTHERS: dict[Action, tuple[str, str]] = {
    "create": ("+", "new"),
    "update": ("~", "changed in place"),
    "replace": ("±", "replaced"),
    "delete": ("-", "removed"),
}
"""The same for what is no service."""

WIDTH = 100
"""Columns that a table may take where no terminal says how wide it is."""

_HEADER = ("SERVICE", "COMMIT", "IMAGE", "ENTRYPOINT", "HEALTH", "SECONDS")
_RUNS = _HEADER.index("ENTRYPOINT")

_DIGITS, _SHORT_DIGITS = 12, 7
"""Hexadecimal digits of a commit and an image: as everywhere here, and as git shortens them."""

_FORMS = ((_DIGITS, 24), (_SHORT_DIGITS, len("ENTRYPOINT")))
"""Digits, and how many columns that must leave to what runs; the last form is taken anyway."""

_WAYS = {"SERVING": "", "RUNNING": "alive, listens nowhere", "COMPLETED": "exit code 0"}
"""How a service can be good, and the words for it where its evidence is none for a table."""

_CAUSES = {
    "envoy": "sidecar failed",
    "own-health": "its own health check",
    "stranger": "clients not verified",
    "unreachable": "nobody answers",
}
"""Cause codes that are no words for people as they are."""


def plan_text(
    changes: Sequence[ServiceChange], others: Sequence[TerraformChange] = (), *, empty: bool
) -> str:
    """A line per service with what happens and why, one for each of `others` that main.py has
    beside them, then the count; `empty`: nothing happens."""
    if empty:
        return "No changes."
    lines = [_change_line(change) for change in changes]
    lines += [_other_line(change) for change in others]
    beside = f"{len(others)} beside the services" if others else ""
    parts = [part for part in (summary(changes), beside) if part]
    lines.append(f"Plan: {', '.join(parts) or 'only the record of what is deployed changes'}.")
    if any(change.action == "remove" for change in changes):
        lines.append("`iac deploy` asks before it removes; without a terminal it needs --prune.")
    return "\n".join(lines)


def _change_line(change: ServiceChange) -> str:
    sign, words = _WORDS[change.action]
    reasons = "; ".join(reason.text for reason in change.reasons)
    return f"  {sign} {change.service}: {words}" + (f" ({reasons})" if reasons else "")


def _other_line(change: TerraformChange) -> str:
    sign, words = _OTHERS[change.action]
    return f"  {sign} {change.address}: {words} (of your own in main.py)"


def destroyed_text(project: str, resources: int, swept: int) -> str:
    """What a destroy removed: resources of the state, and what it found by label besides."""
    strays = f", {swept} more found by label" if swept else ""
    return f"Project {project} is gone: {resources} resources destroyed{strays}; nothing is left."


def removed_text(services: Sequence[str], volumes: Sequence[str], listed: Sequence[str]) -> str:
    """What a remove did; `volumes` it left, `listed` is where a repos file still names them."""
    lines = [f"Removed {', '.join(services)}, with keys and secret values."]
    if volumes:
        lines.append(f"Data volumes stay: {', '.join(volumes)} (docker volume rm removes them).")
    if listed:
        lines.append(f"{', '.join(listed)}: the next `iac deploy --file` brings it back.")
    else:
        lines.append("A repos file that still lists it brings it back with `iac deploy --file`.")
    return "\n".join(lines)


def report_table(report: ProjectReport, width: int = WIDTH) -> str:
    """The verdict table, a row per service, and the verdict in a sentence.

    Args:
        width: how many columns it may take; it takes more only if its shortest form does.
    """
    verdict = click.style(_verdict(report), fg="green" if report.good else "red")
    lines = [_fitted(report.services, width), "", *_in_common(report.services), verdict]
    lines += [
        f"{service.app.name}: the previous version ({_version(service.previous)})"
        f" {'was put back' if service.put_back else 'still serves'}."
        for service in report.services
        if service.previous
    ]
    if before := report.broken_before:
        names, first = ", ".join(service.app.name for service in before), before[0]
        step = f"iac logs --service {first.app.name} --project {report.project}"
        if first.health.cause == "stopped":  # by a deploy, and only one that names it starts it
            step = first.health.next_step or step
        lines.append(f"Already broken before this deploy: {names}. Next: {step}")
    return "\n".join(lines)


def _fitted(services: Sequence[ServiceReport], width: int) -> str:
    """The table; what runs is cut to the room that is left, hashes are where that is little."""
    for digits, least in _FORMS:
        rows = [_row(service, digits) for service in services]
        longest = max((len(row[_RUNS]) for row in rows), default=0)
        room = longest + width - max(map(len, text_table([_HEADER, *rows]).splitlines()))
        if room >= min(least, longest):
            break
    room = max(room, least)
    cut = [(*row[:_RUNS], _short(row[_RUNS], room), *row[_RUNS + 1 :]) for row in rows]
    return text_table([_HEADER, *cut])


def _in_common(services: Sequence[ServiceReport]) -> list[str]:
    """What every row would repeat: names that differ by the service only."""
    if not services:
        return []
    one = services[0]
    identity = one.identity.removesuffix(one.app.name)
    ours = [s.app for s in services if not (s.app.foreign and s.app.foreign.pinned)]
    if not ours:
        return [f"Identities: {identity}<service>."]
    image = ours[0].image.rpartition(":")[0].removesuffix(ours[0].name)
    return [f"Identities: {identity}<service>. Images: {image}<service>:<image>."]


def _verdict(report: ProjectReport) -> str:
    """How many services are good; what serves nothing is not called SERVING."""
    total = len(report.services)
    ways = Counter(service.health.way for service in report.services if service.good)
    if ways.keys() <= {"SERVING"}:
        healthy = f"{ways['SERVING']} of {total} services SERVING over mTLS"
    else:
        counts = ", ".join(f"{ways[way]} {way}" for way in _WAYS if ways[way])
        healthy = f"{ways.total()} of {total} services healthy: {counts}"
    refused = sum(service.probe.refused is True for service in report.services)
    return f"{healthy}; {refused} of {total} refused a caller without a certificate."


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _version(app: ResolvedApp) -> str:
    if app.commit:
        return app.commit[:12]
    kind = "image" if app.foreign and app.foreign.pinned else "local"
    return f"{app.tree.removeprefix('sha256:')[:12]} ({kind})"


def _state(service: ServiceReport) -> str:
    """A good service with its evidence, another with its cause."""
    health = service.health
    if not service.good:
        code = service.diagnosis.finding.code if service.diagnosis else health.cause
        words = _CAUSES.get(code, code.replace("-", " ")) or health.phase.lower()
        return f"{health.status} ({words})"
    why = _WAYS[health.way] or health.evidence or health.phase.lower()
    if health.way == "RUNNING" and service.app.run is None:
        why = "alive, taken for a worker"  # nobody said so: a warning has the words to write
    return f"{health.way} ({why})"


def _row(service: ServiceReport, digits: int) -> tuple[str, ...]:
    app, runs = service.app, service.app.entrypoint
    whole = digits == _DIGITS
    return (
        app.name,
        _version(app) if whole else app.commit[:digits] if app.commit else _version(app)[14:-1],
        app.image.rpartition(":")[2][:digits],
        _short(f"{runs.display} ({runs.reason.removeprefix(runs.display).lstrip()})", 60),
        _state(service),
        f"{service.health.seconds:.1f}",
    )
