"""Events and log lines as they come over the wire."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from admin.jobs.event_log import EventLog
from admin.jobs.job import EventEntry
from admin.metrics import Metrics
from admin.problem import Problem
from admin.streams import NDJSON, SSE, TEXT, Encoding, Streams, job_events, log_lines
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.operations.log_source import LogRecord
from tests.support.admin_api import PROJECT, Api, check_schema, code, events, wait_for
from tests.support.jobs_lab import until

pytestmark = pytest.mark.slow

DESTROY = {"confirm": PROJECT}
ENTRY = EventEntry(7, "2026-01-01T00:00:00.000+00:00", "step", "zwölf\nlines\u2028", {"a": "\n\n"})


def test_events_as_server_sent_events() -> None:
    """Three fields and an empty line; no line end of a text ends the data."""
    text = Encoding(SSE).event(ENTRY).decode()
    assert text.startswith("id: 7\nevent: step\ndata: {")
    assert text.endswith("}\n\n")
    assert text.count("\n") == 4
    assert json.loads(events(text)[0]["data"]) == ENTRY.to_dict()
    check_schema("Event", json.loads(events(text)[0]["data"]))


def test_events_as_lines() -> None:
    """One JSON text a line; heartbeats are empty lines, and comments in the other form."""
    line = Encoding(NDJSON).event(ENTRY)
    assert line.count(b"\n") == 1
    assert json.loads(line) == ENTRY.to_dict()
    assert Encoding(NDJSON).heartbeat == b"\n"
    assert events(Encoding(SSE).heartbeat.decode()) == []


def test_log_lines_in_three_forms() -> None:
    """Objects, events of them, or what was printed as it is."""
    record = {"service": "web", "role": "app", "line": "hi 🎈"}
    assert Encoding(TEXT).line(record) == "hi 🎈\n".encode()
    assert json.loads(Encoding(NDJSON).line(record)) == record
    assert Encoding(SSE).line(record).startswith(b"data: {")
    colours = {"line": "a\x1b[31mb\x1b]0;title\x07\tc\r"}
    assert Encoding(TEXT).line(colours) == b"ab\tc\n"


def test_quiet_logs_have_a_heartbeat_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each beat lets the server look whether it stops; not each is sent."""
    monkeypatch.setattr("admin.streams.HEARTBEAT_BEATS", 3)
    record = LogRecord("web", "app", "x")

    def records() -> Iterator[LogRecord | None]:
        yield from [None, None, record, None, None, None, None]

    chunks = list(log_lines(records(), Encoding(TEXT)))
    assert chunks == [b"", b"", b"x\n", b"", b"", b"\n", b""]


def test_a_stream_ends_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """With whoever lost the right to read it meanwhile; nothing stays open behind it."""
    monkeypatch.setattr("admin.streams.MAX_SECONDS", 0.0)
    closed = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.set()

    streams = Streams(Metrics(), threading.Event())
    response = streams.respond("logs", endless(), TEXT)
    assert b"".join(response.response) == b"x"  # type: ignore[arg-type]
    assert closed.is_set()


def test_room_is_counted_over_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused until another has ended, whichever thread that was in."""
    monkeypatch.setattr("admin.streams.MAX_OPEN", 8)
    streams = Streams(Metrics(), threading.Event())
    go = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"x"
        go.wait(5)

    def read() -> None:
        for _ in streams.respond("events", chunks(), SSE).response:
            pass

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()

    def full() -> bool:
        try:
            streams.check_room()
        except Problem as problem:
            return problem.status == 503
        return False

    until(full)
    go.set()
    for thread in threads:
        thread.join()
    streams.check_room()


def test_heartbeats_come_while_nothing_happens(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at once, so that the reader sees the headers, then one per pause."""
    monkeypatch.setattr("admin.streams.HEARTBEAT_SECONDS", 0.01)
    stream = job_events(EventLog(tmp_path / "none"), 0, Encoding(SSE))
    assert [next(stream) for _ in range(3)] == [b": alive\n\n"] * 3


class Reader:
    """Reads a stream byte by byte as it comes, and can leave."""

    def __init__(self, api: Api, method: str, path: str, body: Any = None, **headers: str) -> None:
        assert api.server.address
        self._connection = http.client.HTTPConnection(*api.server.address, timeout=15)
        self._connection.request(
            method,
            path,
            json.dumps(body) if body else None,
            {
                "Authorization": f"Bearer {api.token('service')}",
                "Content-Type": "application/json",
                "Accept": SSE,
                **headers,
            },
        )
        self.response = self._connection.getresponse()

    def event(self, kind: str | None = None) -> dict[str, str]:
        """The next event, or the next of a kind."""
        text = ""
        while not (found := events(text)) or (kind and found[0]["event"] != kind):
            text = ""
            while not text.endswith("\n\n"):
                byte = self.response.read(1)
                assert byte, "the stream has ended"
                text += byte.decode("latin-1")
        return found[0]

    def rest(self) -> list[dict[str, str]]:
        return events(self.response.read().decode())

    def leave(self) -> None:
        self.response.close()  # it may be what holds the connection
        self._connection.close()


def test_the_answer_to_a_deploy_can_be_its_events(api: Api) -> None:
    """202 with the address and the events from the first to the last, while they happen."""
    api.block()
    reader = Reader(api, "POST", "/destroy", DESTROY)
    assert reader.response.status == 202
    assert reader.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert reader.response.headers["X-Accel-Buffering"] == "no"
    path = reader.response.headers["Location"]
    assert reader.event()["id"] == "1"
    assert reader.event("started")["id"] == "2"
    assert api.streams() == 1
    assert api.http("reader").get(path).json()["status"] == "running"
    api.let_go()
    rest = reader.rest()
    assert [event["id"] for event in rest] == [str(n) for n in range(3, 3 + len(rest))]
    assert rest[-1]["event"] == "finished"
    assert json.loads(rest[-1]["data"])["data"]["status"] == "succeeded"
    for event in rest:
        check_schema("Event", json.loads(event["data"]))
    until(lambda: api.streams() == 0)


def test_the_answer_can_be_lines(api: Api) -> None:
    """The same as JSON texts for programs."""
    answer = api.socket().post("/destroy", json=DESTROY, headers={"Accept": NDJSON})
    assert (answer.status_code, answer.headers["Content-Type"]) == (202, f"{NDJSON}; charset=utf-8")
    found = [json.loads(line) for line in answer.text.splitlines() if line]
    assert [event["id"] for event in found] == list(range(1, len(found) + 1))
    assert found[-1]["kind"] == "finished"


def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice(api: Api) -> None:
    """By header or parameter, while the job is writing, and when it has ended."""
    api.block()
    first = Reader(api, "POST", "/destroy", DESTROY)
    path = first.response.headers["Location"] + "/events"
    seen = [first.event("queued"), first.event("started")]
    first.leave()
    second = Reader(api, "GET", path, **{"Last-Event-ID": seen[-1]["id"]})
    assert second.response.status == 200
    third = Reader(api, "GET", f"{path}?after=1")
    api.let_go()
    seen += second.rest()
    assert [event["id"] for event in seen] == [str(n + 1) for n in range(len(seen))]
    assert third.rest() == seen[1:]
    last = seen[-1]["id"]
    again = api.http("reader").get(path, headers={"Last-Event-ID": last})
    assert (again.status_code, again.content) == (204, b"")
    assert api.http("reader").get(f"{path}?after=999999999").status_code == 204
    whole = events(api.http("reader").get(path, headers={"Last-Event-ID": "0"}).text)
    assert whole == seen
    both = api.http("reader").get(f"{path}?after=0", headers={"Last-Event-ID": last})
    assert both.status_code == 204


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "1234567890"])
def test_bad_event_ids(api: Api, last: str) -> None:
    """Are refused rather than guessed at."""
    answer = api.socket().get(
        "/deployments/20260101T000000-00000000/events", headers={"Last-Event-ID": last}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "Last-Event-ID")


def test_a_reader_that_leaves_frees_its_thread(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the next heartbeat, though the job says nothing."""
    monkeypatch.setattr("admin.streams.HEARTBEAT_SECONDS", 0.05)
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        readers = [Reader(api, "POST", "/destroy?wait=60", DESTROY) for _ in range(3)]
        for reader in readers:
            reader.event("queued")
        assert api.streams() == 3
        for reader in readers:
            reader.leave()
        until(lambda: api.streams() == 0)
        for job in api.backend.jobs.list():
            api.backend.jobs.cancel(job.id)


def test_streams_end_when_the_server_stops(api: Api) -> None:
    """At once, also quiet ones; the reader comes back to the next server with the id it has."""
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        readers = [Reader(api, "POST", "/destroy?wait=60", DESTROY) for _ in range(2)]
        for reader in readers:
            reader.event("queued")
        began = time.monotonic()
        api.backend.close()
        for reader in readers:
            reader.rest()
        assert time.monotonic() - began < 1.0
        until(lambda: api.streams() == 0)


def test_one_stream_too_many(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and nothing started; plain JSON is still served."""
    monkeypatch.setattr("admin.streams.MAX_OPEN", 1)
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        first = Reader(api, "POST", "/destroy?wait=60", DESTROY)
        first.event("queued")
        path = first.response.headers["Location"]
        client = api.http("service")
        for answer in (
            client.get(f"{path}/events"),
            client.post("/destroy?wait=60", json=DESTROY, headers={"Accept": SSE}),
        ):
            assert (answer.status_code, code(answer)) == (503, "too-many-streams")
            assert answer.headers["Retry-After"]
        assert len(client.get("/deployments").json()["deployments"]) == 1
        assert client.post(f"{path}/cancel").status_code == 202
        assert first.rest()[-1]["event"] == "finished"
    until(lambda: api.streams() == 0)
    ended = client.post("/destroy", json=DESTROY)
    assert wait_for(client, ended.json())["status"] == "succeeded"
