"""What is said of services that are good, with the words to write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.model.health import Health
from iac_wrapper.model.options import Run
from iac_wrapper.model.report import ServiceReport
from iac_wrapper.operations.remarks import remarks
from tests.unit.cli.test_render import _good

LIVES = "alive for more than 10 s, listens"


def said(report: ServiceReport, *log: str) -> list[str]:
    return list(remarks(report, 512, lambda: log))


def with_run(report: ServiceReport, run: Run | None) -> ServiceReport:
    return replace(report, app=replace(report.app, run=run))


@pytest.mark.parametrize("listens", ["nowhere", "on 127.0.0.1:40123 only"])
def test_who_is_taken_for_a_worker_is_told_what_to_write(listens: str) -> None:
    """Only where nobody has said what the program is for."""
    alive = with_run(_good("jobs", "RUNNING", evidence=f"{LIVES} {listens}"), None)
    assert said(alive) == [
        f"taken for a worker ({LIVES} {listens}): write `run: web` in its entry if it is"
        " to answer requests, `run: worker` if not"
    ]
    assert said(with_run(alive, "worker")) == said(with_run(alive, "job")) == []


def test_ports_beside_the_one_that_is_served_are_named() -> None:
    """Which gets requests, which do not, and what to write for either."""
    web = _good("web", "RUNNING", "127.0.0.1:9000", "200 in 4 ms on 9000")
    assert said(web) == []
    health: Health = replace(web.health, other_ports=(8000, 8001))
    assert said(replace(web, health=health)) == [
        "requests go to port 9000, and it listens on 8000 and 8001 as well: write `port: 8000` or"
        " `port: 8001` in its entry to send them there, or `port: 9000` to keep them here"
    ]


def test_an_answer_that_refuses_everybody_is_named() -> None:
    """With Django's own reason, if it printed that."""
    web = _good("web", "RUNNING", "127.0.0.1:9000", "an answer")
    web = replace(web, health=replace(web.health, answer=400))
    assert said(web) == ["answers 400 to GET /"]
    hint = said(web, "Invalid HTTP_HOST header: 'web'")[0].partition("; ")[2]
    assert hint == f"Django: add {web.app.name!r} to ALLOWED_HOSTS in its settings"

    entrypoint = replace(web.app.entrypoint, target="gunicorn", args=("shop.wsgi:application",))
    quiet = replace(web, app=replace(web.app, entrypoint=entrypoint))
    assert said(quiet)[0].endswith(f"where ALLOWED_HOSTS in its settings lacks {web.app.name!r}")


def test_a_web_object_that_nothing_serves_is_named() -> None:
    """The program ended well, and there was something to serve."""
    job = _good("job", "COMPLETED", evidence="exited with code 0")
    assert said(with_run(job, None)) == []
    entrypoint = replace(job.app.entrypoint, web_object="app:app")
    idle = replace(job, app=replace(job.app, entrypoint=entrypoint, run=None))
    assert said(idle)[0].endswith("to serve app:app, write `entrypoint: app:app` in its entry")
    assert said(with_run(idle, "job")) == []


def test_who_sends_its_callers_to_https_is_named() -> None:
    """Its peers speak HTTP to their sidecars, as the proof does."""
    web = _good("web", "RUNNING", "127.0.0.1:9000", "301 to https in 4 ms on 9000")
    (text,) = said(replace(web, health=replace(web.health, to_https=True)))
    assert text.startswith("sends who calls it over HTTP to https://web, which nobody answers")
