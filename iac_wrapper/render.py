"""Values as text for a terminal. Only the CLI uses it; it must not do I/O."""

from __future__ import annotations

from collections.abc import Sequence

import click

from iac_wrapper.model.plan import Action, Plan
from iac_wrapper.model.report import Report, ServiceReport

_SIGNS: dict[Action, str] = {"create": "+", "update": "~", "replace": "±", "delete": "-"}


def plan_text(plan: Plan, renewals: Sequence[str] = ()) -> str:
    """One line per change, then the count; `renewals` are services whose certificate is due."""
    lines = [f"  drifted: {drift}" for drift in plan.drift]
    lines += [f"  ~ certificate of {service} will be renewed" for service in renewals]
    lines += [
        f"  {_SIGNS[change.action]} {change.address}"
        + (f"  ({change.reason})" if change.reason else "")
        for change in plan.changes
    ]
    if plan.empty and not renewals:
        return "No changes."
    if plan.outputs_change and not plan.changes:
        lines.append("  ~ the record of what is deployed")
    return "\n".join([*lines, f"Plan: {plan.summary}."])


def report_table(report: Report) -> str:
    """The verdict table, a row per service, and the verdict in a sentence."""
    header = ("SERVICE", "COMMIT", "IMAGE", "ENTRYPOINT", "IDENTITY", "HEALTH", "SECONDS")
    rows = [_row(service) for service in report.services]
    good = sum(service.good for service in report.services)
    refused = sum(service.probe.refused is True for service in report.services)
    total = len(report.services)
    verdict = click.style(
        f"{good} of {total} services SERVING over mTLS; "
        f"{refused} of {total} refused a caller without a certificate.",
        fg="green" if report.good else "red",
    )
    return "\n".join([table(header, rows), "", verdict])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _row(service: ServiceReport) -> tuple[str, ...]:
    app, health = service.app, service.health
    state = health.status if service.good else f"{health.status} !"
    return (
        app.name,
        app.commit[:12] if app.commit else app.tree.removeprefix("sha256:")[:12] + " (local)",
        app.image,
        _short(f"{app.entrypoint.display} ({app.entrypoint.reason})", 60),
        service.identity,
        f"{state} ({health.evidence or health.phase.lower()})",
        f"{health.seconds:.1f}",
    )
