"""Values as text for a terminal. Only the CLI uses it; it must not do I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from iac_wrapper.model import egress
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.certificate import INGRESS
from iac_wrapper.model.health import Health
from iac_wrapper.model.plan import Action, TerraformChange
from iac_wrapper.model.public_host import CertificateResult
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.model.service_change import (
    ServiceAction,
    ServiceChange,
    UnhealthyService,
    summary,
)
from iac_wrapper.model.text_table import WIDTH, cut, text_table

if TYPE_CHECKING:
    from iac_wrapper.operations.destroy import DestroyResult
    from iac_wrapper.operations.policy import PolicyRow
    from iac_wrapper.operations.schedules import State as ScheduleState
    from iac_wrapper.operations.volume_copies import Copied
    from iac_wrapper.operations.volumes import VolumeRow

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

_HEADER = ("SERVICE", "COMMIT", "IMAGE", "ENTRYPOINT", "HEALTH", "SECONDS")
_RUNS = _HEADER.index("ENTRYPOINT")

DIGITS, SHORT_DIGITS = 12, 7
"""Hexadecimal digits of a commit and an image: as everywhere here, and as git shortens them."""

_FORMS = ((DIGITS, 24), (SHORT_DIGITS, len("ENTRYPOINT")))
"""Digits, and how many columns that must leave to what runs; the last form is taken anyway."""

_WAYS = {"SERVING": "", "RUNNING": "alive, listens nowhere", "COMPLETED": "exit code 0"}
"""How a service can be good, and the words for it where its evidence is none for a table."""

_CAUSES = {
    "command-line": "printed its usage",
    "envoy": "sidecar failed",
    "own-health": "its own health check",
    "stopped-container": "stopped",
    "stranger": "clients not verified",
    "unreachable": "nobody answers",
}
"""Cause codes that are no words for people as they are."""


def plan_text(
    changes: Sequence[ServiceChange],
    others: Sequence[TerraformChange] = (),
    unhealthy: Sequence[UnhealthyService] = (),
    *,
    empty: bool,
) -> str:
    """A line per service with what happens and why, one for each of `others` that main.py has
    beside them, and for each that stays `unhealthy`; then the count; `empty`: nothing happens."""
    ill = [line for service in unhealthy for line in _unhealthy_lines(service)]
    if empty:
        return "\n".join([*ill, "No changes."])
    lines = [_change_line(change) for change in changes]
    lines += [_other_line(change) for change in others] + ill
    beside = f"{len(others)} beside the services" if others else ""
    parts = [part for part in (summary(changes), beside) if part]
    lines.append(f"Plan: {', '.join(parts) or 'only the record of what is deployed changes'}.")
    if any(change.action == "remove" and change.service != INGRESS for change in changes):
        lines.append("`iac deploy` asks before it removes; without a terminal it needs --prune.")
    return "\n".join(lines)


def _change_line(change: ServiceChange) -> str:
    sign, words = _WORDS[change.action]
    reasons = "; ".join(reason.text for reason in change.reasons)
    return f"  {sign} {change.service}: {words}" + (f" ({reasons})" if reasons else "")


def _unhealthy_lines(service: UnhealthyService) -> list[str]:
    return [
        f"  ! {service.service}: is not healthy, and a deploy leaves it so ({service.cause})",
        f"      next: {service.next_step}",
    ]


def _other_line(change: TerraformChange) -> str:
    sign, words = _OTHERS[change.action]
    return f"  {sign} {change.address}: {words} (of your own in main.py)"


def destroyed_text(project: str, done: DestroyResult) -> str:
    """What a destroy removed, and what it left."""
    strays = f", {len(done.swept)} more found by label" if done.swept else ""
    gone = f"Project {project} is gone: {done.resources} resources destroyed{strays}; nothing is"
    kinds = {"volumes": done.volumes_kept, "images": done.images_kept}
    kept = ", and its ".join(
        f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names
    )
    said = [f"{gone} left but its {kept}." if kept else f"{gone} left."]
    if done.volumes_kept:
        said.append(
            "The next deploy finds their data;"
            f" `iac destroy --volumes --project {project}` removes them."
        )
    if done.images_kept:
        said.append(
            "The next deploy need not build the images;"
            f" `iac images prune --project {project}` removes them."
        )
    return "\n".join(said)


def volumes_table(project: str, rows: Sequence[VolumeRow], width: int = WIDTH) -> str:
    """A row per data volume."""
    if not rows:
        return f"Project {project} has no volumes."
    header = ("VOLUME", "SERVICE", "PATH", "SIZE", "USED BY", "SINCE")
    cells = [
        (
            row.name,
            row.service,
            row.path or "-",
            "?" if row.size_bytes is None else size_text(row.size_bytes),
            ", ".join(row.used_by) or "nobody: kept",
            row.since[:10],
        )
        for row in rows
    ]
    return text_table([header, *cells], width)


def schedule_table(states: Sequence[ScheduleState], width: int = WIDTH) -> str:
    """A row per scheduled command, and below what went wrong."""
    if not states:
        return "Nothing is scheduled: `schedule:` in a repos file does that."
    rows = [("SERVICE", "NAME", "WHEN (UTC)", "NEXT", "LAST")]
    for state in states:
        entry, last, upcoming = state.entry, state.past.last, state.next_time
        ended = (
            f"{last.due:%Y-%m-%d %H:%M} {'running' if state.running else last.text}"
            if last
            else "-"
        )
        ended += f" ({last.run})" if last and last.run else ""
        due = f"{upcoming:%Y-%m-%d %H:%M}" if upcoming else "-"
        rows.append((entry.service, entry.name, entry.when, due, ended))
    table = text_table(rows, width, names=(0, 1))
    return "\n".join([table, *(text for s in states for text in s.warnings)])


def size_text(count: int) -> str:
    """Bytes with a unit: ``812 B``, ``1.4 MB``."""
    size, units = float(count), ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f} {units[0]}" if count >= 1000 else f"{count} B"


def copied_text(done: Copied, what: str) -> str:
    """What a backup or restore did, and who stood still for it."""
    files = f"{done.files} file{'s' * (done.files != 1)}"
    text = f"{what} {done.volume}: {files}, {size_text(done.bytes)}."
    if done.stopped:
        text += f" {', '.join(done.stopped)} stood still for {done.seconds:.1f} s."
    if done.skipped:
        text += f" {done.skipped} sockets and pipes are left out."
    if done.changed:
        text += f" {done.changed} files changed while they were read."
    return text


def removed_text(services: Sequence[str], volumes: Sequence[str], listed: Sequence[str]) -> str:
    """What a remove did; `volumes` it left, `listed` is where a repos file still names them."""
    lines = [f"Removed {', '.join(services)}, with keys and secret values."]
    if volumes:
        lines.append(f"Data volumes stay: {', '.join(volumes)} (`iac volumes remove` deletes one).")
    if listed:
        lines.append(f"{', '.join(listed)}: the next `iac deploy --file` brings it back.")
    else:
        lines.append("A repos file that still lists it brings it back with `iac deploy --file`.")
    return "\n".join(lines)


def certificates_table(results: Sequence[CertificateResult], width: int = WIDTH) -> str:
    """A row per public host: who issued its certificate, until when, and what was done."""
    if not results:
        return "No public host with TLS: `expose:` in a repos file names them."
    rows = [("HOST", "ISSUER", "EXPIRES", "RESULT")]
    for result in results:
        found, until = result.certificate, result.until
        again = f", next try after {until:%Y-%m-%d %H:%M} UTC" if until else ""
        issuer, expires = (found.issuer, f"{found.not_after:%Y-%m-%d}") if found else ("-", "-")
        rows.append((result.host, issuer, expires, result.action + again))
    return text_table(rows, width)


def report_table(report: ProjectReport, width: int = WIDTH) -> str:
    """The verdict table, a row per service, and the verdict in a sentence.

    Args:
        width: how many columns it may take.
    """
    verdict = click.style(_verdict(report), fg="green" if report.good else "red")
    shown = [(service.app, service.identity) for service in report.services]
    lines = [_fitted(report.services, width), "", *in_common(shown), verdict]
    lines += [line for service in report.services for line in _url_lines(service)]
    lines += [
        f"{service.app.name}: the previous version ({_version(service.previous)})"
        f" {'was put back' if service.put_back else 'still serves'}."
        for service in report.services
        if service.previous
    ]
    if before := report.broken_before:
        names, first = ", ".join(service.app.name for service in before), before[0]
        step = f"iac logs {first.app.name} --project {report.project}"
        if first.health.cause == "stopped":  # by a deploy, and only one that names it starts it
            step = first.health.next_step or step
        lines.append(f"Already broken before this deploy: {names}. Next: {step}")
    return "\n".join(lines)


def next_line(report: ProjectReport, options: str) -> str:
    """What a person types to see what was deployed: for the first web service, one with a URL
    before others, else for the first that speaks gRPC; empty where nothing can be looked at.
    `options` end the command."""
    if not report.good:
        return ""  # each failure has its own next step
    for protocol, verb in (("HTTP", "open"), ("GRPC", "proxy")):
        for service in sorted(report.services, key=lambda service: not service.urls):
            if service.good and service.health.listening and service.health.protocol == protocol:
                return f"Next: iac {verb} {service.app.name}{options}"
    return ""


def age_text(span: timedelta) -> str:
    """The two largest units of a time, as in ``3d 4h``."""
    seconds = max(0, int(span.total_seconds()))
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    at = next((n for n, (_, size) in enumerate(sizes) if seconds >= size), len(sizes) - 1)
    parts = []
    for name, size in sizes[at : at + 2]:
        parts.append(f"{seconds // size}{name}")
        seconds %= size
    return " ".join(parts)


def _fitted(services: Sequence[ServiceReport], width: int) -> str:
    """The table; what runs is cut to the room that is left, hashes are where that is little."""
    for digits, least in _FORMS:
        rows = [_row(service, digits) for service in services]
        longest = max((len(row[_RUNS]) for row in rows), default=0)
        room = longest + width - max(map(len, text_table([_HEADER, *rows]).splitlines()))
        if room >= min(least, longest):
            break
    room = max(room, least)
    fitted = [(*row[:_RUNS], cut(row[_RUNS], room), *row[_RUNS + 1 :]) for row in rows]
    return text_table([_HEADER, *fitted], width)


def in_common(services: Sequence[tuple[ResolvedApp, str]]) -> list[str]:
    """What every row would repeat: names (of each, with its identity) that differ by the service
    only."""
    if not services:
        return []
    app, whole = services[0]
    identity = whole.removesuffix(app.name)
    ours = [app for app, _ in services if not (app.foreign and app.foreign.pinned)]
    if not ours:
        return [f"Identities: {identity}<service>."]
    image = ours[0].image.rpartition(":")[0].removesuffix(ours[0].group)
    return [f"Identities: {identity}<service>. Images: {image}<service>:<image>."]


def policy_table(rows: Sequence[PolicyRow], width: int = WIDTH) -> str:
    """A line for each service and caller of it; then what is to be known of sidecars."""
    found = [("SERVICE", "CALLER", "MAY CALL", "CALLS")]
    for row in rows:
        said = row.to_dict()
        for caller in said["callers"]:
            rules = ", ".join(caller["rules"]) or "everything"
            calls = "-" if caller["calls"] is None else str(caller["calls"])
            gone = "removed from the project" if caller["removed"] else "nothing any more"
            found.append((row.service, caller["name"], rules if caller["allowed"] else gone, calls))
        if row.policy.ingress:
            calls = str(said["others"].get(INGRESS, 0)) if row.state else "-"
            found.append((row.service, INGRESS, "everything over HTTP", calls))
    return "\n".join([text_table(found, width, names=(0, 1)), *_policy_notes(rows)])


def _policy_notes(rows: Sequence[PolicyRow]) -> Iterator[str]:
    for row in rows:
        if row.egress is not None:
            yield f"{row.service}: may reach {egress.shown(row.egress)} outside of the project"
    for row in rows:
        if row.state and row.state.refused:
            yield f"{row.service}: refused {row.state.refused} since its sidecar started"
    words = {
        "another policy": "holds another policy than what is deployed; iac heal tells it",
        "earlier version": "is of an earlier version and lets everybody of the project in;"
        " iac deploy replaces it",
        "down": "does not answer",
    }
    for row in rows:
        if row.sidecar != "current":
            yield f"{row.service}: its sidecar {words[row.sidecar]}"


def _url_lines(service: ServiceReport) -> Iterator[str]:
    """Where people reach a service, and where they do not."""
    faults = {fault.url: f" ({fault.why})" for fault in service.url_faults}
    return (f"{service.app.name}: {url}{faults.get(url, '')}" for url in service.urls)


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
    unreached = sum(service.good and not service.reached for service in report.services)
    reached = f"; {unreached} of {total} not reached by people" if unreached else ""
    return f"{healthy}; {refused} of {total} refused a caller without a certificate{reached}."


def commit_text(app: ResolvedApp, digits: int) -> str:
    """What a table says of a version: with few digits the kind alone where there is no commit."""
    if digits == DIGITS:
        return _version(app)
    return app.commit[:digits] if app.commit else _kind(app)


def _kind(app: ResolvedApp) -> str:
    return "image" if app.foreign and app.foreign.pinned else "local"


def _version(app: ResolvedApp) -> str:
    if app.commit:
        return app.commit[:12]
    return f"{app.tree.removeprefix('sha256:')[:12]} ({_kind(app)})"


def cause_text(code: str, health: Health) -> str:
    """A cause's code in words."""
    return _CAUSES.get(code, code.replace("-", " ")) or health.phase.lower()


def _state(service: ServiceReport) -> str:
    """A good service with its evidence, another with its cause."""
    health = service.health
    if not service.good:
        if health.cause == "waiting":
            return f"NOT STARTED ({health.message})"
        code = service.diagnosis.finding.code if service.diagnosis else health.cause
        return f"{health.status} ({cause_text(code, health)})"
    why = _WAYS[health.way] or health.evidence or health.phase.lower()
    if health.way == "RUNNING" and service.app.run is None:
        why = "alive, taken for a worker"  # nobody said so: a warning has the words to write
    return f"{health.way} ({why})"


def _row(service: ServiceReport, digits: int) -> tuple[str, ...]:
    app, runs = service.app, service.app.entrypoint
    return (
        app.name,
        commit_text(app, digits),
        app.image.rpartition(":")[2][:digits],
        cut(f"{runs.display} ({runs.reason.removeprefix(runs.display).lstrip()})", 60),
        _state(service),
        f"{service.health.seconds:.1f}",
    )
