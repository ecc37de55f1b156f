"""What runs: health, the document, services and their logs, over HTTP."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import pytest

from admin import contract
from iac_wrapper import __version__
from tests.support.admin_api import PROJECT, Api, admin_api, check_schema, code, events
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import FakeContainer
from tests.support.jobs_lab import until

LINES = "/services/web/logs"


def container(*lines: bytes, role: str = "app", quiet: bool = False) -> FakeContainer:
    log = [(1, line) for line in lines]
    return FakeContainer(f"c-{role}", PROJECT, "web", role, log=log, quiet=quiet)


def test_health_tells_no_more_than_it_must(api: Api) -> None:
    """Alive, the version, whether the engine answers."""
    answer = api.http().get("/health")
    expected = {"status": "ok", "version": __version__, "engine": {"reachable": True}}
    assert (answer.status_code, answer.json()) == (200, expected)


def test_health_without_an_engine(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Still 200: the API itself is alive. The engine is asked at most every few seconds."""
    Path(api.engine.host.removeprefix("unix://")).unlink()
    answer = api.http().get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    check_schema("Alive", answer.json())

    def never(_probe: object) -> bool:
        raise AssertionError

    monkeypatch.setattr("admin.engine_probe.EngineProbe._ask", never)
    assert api.http().get("/health").json()["engine"] == {"reachable": False}


def test_the_document_is_served(shared_api: Api) -> None:
    """As it is checked in."""
    served = shared_api.http().get("/openapi.json")
    assert served.json() == contract.document()
    assert served.json()["openapi"] == "3.1.0"


def test_metrics(shared_api: Api) -> None:
    """In the text format of Prometheus."""
    answer = shared_api.http("reader").get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "iac_build_info" in answer.text


def test_nothing_is_deployed(shared_api: Api) -> None:
    """No services is an answer; a service that is not there is none."""
    reader = shared_api.http("reader")
    found = reader.get("/services").json()
    check_schema("Services", found)
    assert (found["project"], found["verdict"], found["services"]) == (PROJECT, "empty", [])
    assert reader.get("/services?project=other").json()["project"] == "other"
    for path in ("/services/web", LINES, f"{LINES}?follow=true"):
        answer = reader.get(path)
        assert (answer.status_code, code(answer)) == (404, "no-such-service")


def test_a_service_that_serves(api: Api) -> None:
    """Its state was proven over mTLS; one service is asked for the answer itself."""
    with service(api.layout, "web") as web:
        web.serving()
        db = app("db")
        deployed(api.layout, app("web"), db, gateway_port=web.port, stopped=["db"])
        for role in ("app", "envoy"):
            api.engine.add(container(role=role))
        reader = api.http("reader")
        found = reader.get("/services").json()
        check_schema("Services", found)
        (row,), (stopped,) = found["services"], found["stopped"]
        assert (stopped["name"], stopped["next_step"]) == ("db", "iac start db --project demo")
        assert (row["name"], row["status"]) == ("web", "SERVING")
        assert row["identity_proven"] is row["no_certificate_refused"] is True
        one = reader.get("/services/web").json()
        check_schema("Service", one)
        assert one["status"] == "SERVING"
        assert one["checked_at"]
        assert reader.get("/services/other").status_code == 404


def test_services_while_the_engine_is_down(api: Api) -> None:
    """503 with what to do, rather than an old or empty answer."""
    deployed(api.layout, app("web"))
    Path(api.engine.host.removeprefix("unix://")).unlink()
    for path in ("/services", LINES):
        answer = api.http("reader").get(path)
        assert (answer.status_code, code(answer)) == (503, "engine-unreachable"), answer.text


def test_logs_in_three_forms(api: Api) -> None:
    """Lines as objects, events, or as they were printed; of the Envoy only if asked for."""
    deployed(api.layout, app("web"))
    api.engine.add(container(b"one\ntwo \xe2\x80\xa8\n", b"three"))
    api.engine.add(container(b"envoy says\n", role="envoy"))
    reader = api.http("reader")
    lines = [json.loads(line) for line in reader.get(LINES).text.split("\n") if line]
    assert [line["line"] for line in lines] == ["one", "two \u2028", "three"]
    for line in lines:
        check_schema("LogLine", line)
    text = reader.get(LINES, headers={"Accept": "text/plain"})
    assert text.text == "one\ntwo \u2028\nthree\n"
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    stream = reader.get(LINES, headers={"Accept": "text/event-stream"}).text
    assert json.loads(events(stream)[0]["data"])["line"] == "one"
    both = reader.get(f"{LINES}?envoy=true", headers={"Accept": "text/plain"}).text
    assert "envoy says" in both
    html = reader.get(LINES, headers={"Accept": "text/html"})
    assert (html.status_code, code(html)) == (406, "not-acceptable")
    assert reader.get("/services/other/logs").status_code == 404


def test_logs_hide_secrets(tmp_path: Path) -> None:
    """Settings' secrets and what looks like one, whatever a program prints."""
    with admin_api(tmp_path, GITHUB_TOKEN="sentinel-of-a-token") as api:
        deployed(api.layout, app("web"))
        api.engine.add(container(b"sentinel-of-a-token\n", b"ghp_" + b"A" * 30 + b"\n"))
        for media in ("text/plain", "text/event-stream", "application/x-ndjson"):
            text = api.http("reader").get(LINES, headers={"Accept": media}).text
            assert text.count("[redacted]") == 2
            assert "sentinel" not in text


def test_logs_can_be_followed_and_left(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats while nothing is printed; a reader that leaves is noticed at one of them."""
    monkeypatch.setattr("admin.routes.state.BEAT_SECONDS", 0.05)
    monkeypatch.setattr("admin.streams.HEARTBEAT_BEATS", 1)
    deployed(api.layout, app("web"))
    api.engine.add(container(b"hello\n", quiet=True))
    connection, response = follow(api)
    until(lambda: response.readline() == b"hello\n")
    assert [response.readline() for _ in range(2)] == [b"\n", b"\n"]
    assert api.streams() == 1
    response.close()
    connection.close()
    until(lambda: api.streams() == 0)


def test_followed_logs_end_when_the_server_stops(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if they are quiet, long before the next heartbeat."""
    monkeypatch.setattr("admin.routes.state.BEAT_SECONDS", 0.05)
    deployed(api.layout, app("web"))
    api.engine.add(container(b"hello\n", quiet=True))
    connection, response = follow(api)
    until(lambda: response.readline() == b"hello\n")
    api.backend.close()
    assert response.read() == b""
    connection.close()
    until(lambda: api.streams() == 0)


def follow(api: Api) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    assert api.server.address
    connection = http.client.HTTPConnection(*api.server.address, timeout=10)
    headers = {"Authorization": f"Bearer {api.token('reader')}", "Accept": "text/plain"}
    connection.request("GET", f"{LINES}?follow=true", headers=headers)
    return connection, connection.getresponse()


def test_one_stream_too_many(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused before the engine is asked to follow anything."""
    monkeypatch.setattr("admin.streams.MAX_OPEN", 0)
    deployed(api.layout, app("web"))
    api.engine.add(container(b"hello\n"))
    answer = api.http("reader").get(LINES)
    assert (answer.status_code, code(answer)) == (503, "too-many-streams")
