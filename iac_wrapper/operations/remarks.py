"""What a person should know of a service that is good: one line each, with the words to write.

It must not know how a service is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.diagnosis import more_memory, processes
from iac_wrapper.model.report import ServiceReport


def remarks(
    report: ServiceReport, memory_mb: int, log: Callable[[], Sequence[str]]
) -> Iterator[str]:
    """Sentences on a service, without its name.

    Args:
        report: of a service that is good.
        memory_mb: the limit of its memory, MiB.
        log: reads the end of its program's log.
    """
    health, app = report.health, report.app
    if app.foreign:
        yield from app.foreign.privileges(app.options.capabilities)
        yield from app.foreign.lost_data(app.options.mounted)
    if health.way == "COMPLETED" and app.run is None and (served := app.entrypoint.web_object):
        yield (
            f"{app.entrypoint.display} ran to its end and nothing serves;"
            f" to serve {served}, write `entrypoint: {served}` in its entry"
        )
    if health.way == "RUNNING" and app.run is None:
        yield (
            f"taken for a worker ({health.evidence}): write `run: web` in its entry"
            " if it is to answer requests, `run: worker` if not"
        )
    if health.other_ports:
        others = " and ".join(map(str, health.other_ports))
        lines = " or ".join(f"`port: {port}`" for port in health.other_ports)
        yield (
            f"requests go to port {health.port}, and it listens on {others} as well: write {lines}"
            f" in its entry to send them there, or `port: {health.port}` to keep them here"
        )
    if health.answer == HTTPStatus.BAD_REQUEST:
        # An answer, but most likely the one that everybody gets.
        yield f"answers 400 to GET {app.options.health or '/'}{_django(app, log())}"
    if health.to_https:
        yield (
            f"sends who calls it over HTTP to https://{app.name}, which nobody answers: other"
            " services call it over HTTP, and their sidecars encrypt that (Django:"
            " SECURE_SSL_REDIRECT)"
        )
    if health.oom_kills:  # it may have lost a worker, with the requests that this had
        yield (
            f"the kernel killed {processes(health.oom_kills)} for lack of memory"
            f" (limit {memory_mb} MiB); {more_memory(memory_mb)}"
        )


def _django(app: ResolvedApp, log: Sequence[str]) -> str:
    """Why Django answers so: it prints that in debug mode only."""
    if any("Invalid HTTP_HOST header" in line for line in log):
        return f"; Django: add {app.name!r} to ALLOWED_HOSTS in its settings"
    if re.search(r"\b[aw]sgi:application\b", app.entrypoint.display):
        return f"; Django does so where ALLOWED_HOSTS in its settings lacks {app.name!r}"
    return ""
