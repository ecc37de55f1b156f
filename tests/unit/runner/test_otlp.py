"""Our encoding of spans, held against OpenTelemetry's own, and what an endpoint gets of it."""

from __future__ import annotations

import gzip
import http.server
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from runner import otlp


@pytest.fixture(scope="module")
def spans() -> Sequence[ReadableSpan]:
    """Finished spans of two resources and three scopes, with everything that a span may hold."""
    kept = InMemorySpanExporter()
    remote = SpanContext(
        2**127 + 5, 2**63 + 7, True, TraceFlags(1), TraceState([("vendor", "x"), ("other", "y")])
    )
    for resource in (Resource({"service.name": "wéb"}, "http://schema/1"), Resource({})):
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(SimpleSpanProcessor(kept))
        tracer = provider.get_tracer("lib", "1.2", "http://schema/2", {"a": 1})
        with tracer.start_as_current_span(
            "parent",
            set_span_in_context(NonRecordingSpan(remote)),
            kind=SpanKind.SERVER,
            links=[Link(remote, {"why": "because"})],
            attributes={
                "text": "ü", "none": "", "yes": True, "no": False, "zero": 0, "less": -3,
                "much": 2**62, "half": 0.5, "list": ["a", "b"], "numbers": (1, 2), "bytes": b"\0x",
                "map": {"a": {"b": [1, None]}},
            },
        ) as span:  # fmt: skip
            span.add_event("happened", {"n": 300}, timestamp=1)
            span.set_status(Status(StatusCode.ERROR, "bad"))
            provider.get_tracer("").start_span("child").end()
    found: Sequence[ReadableSpan] = kept.get_finished_spans()
    return found


def test_the_encoding_is_opentelemetrys(spans: Sequence[ReadableSpan]) -> None:
    """Message for message, field for field."""
    assert len(spans) == 4
    assert ExportTraceServiceRequest.FromString(otlp.encode(spans)) == encode_spans(spans)


def test_what_is_no_text_does_not_lose_a_span() -> None:
    """A file's name, say, that is no UTF-8."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    provider.get_tracer("x").start_span("\udcff", attributes={"file": "a\udcff"}).end()
    sent = ExportTraceServiceRequest.FromString(otlp.encode(kept.get_finished_spans()))
    [span] = sent.resource_spans[0].scope_spans[0].spans
    assert (span.name, span.attributes[0].value.string_value) == ("?", "a?")


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers with the next of `codes`, the last one for ever, and keeps what came."""

    codes: list[int] = []  # noqa: RUF012 - set anew by the fixture
    came: list[tuple[str, dict[str, str], bytes]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        """Take it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append((self.path, headers, body))
        self.send_response(self.codes.pop(0) if len(self.codes) > 1 else self.codes[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        """Be quiet."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(otlp, "PAUSE_SECONDS", 0.01)
    Endpoint.codes, Endpoint.came = [200], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_endpoint_gets_what_the_variables_say(
    endpoint: str, spans: Sequence[ReadableSpan]
) -> None:
    """Headers, compression, and the path of traces."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{endpoint}/base/",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, x=1",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
    }
    assert otlp.Exporter(environ, 2).export(spans) == SpanExportResult.SUCCESS
    [(path, headers, body)] = Endpoint.came
    assert (path, headers["api-key"], headers["x"]) == ("/base/v1/traces", "a b", "1")
    assert headers["content-type"] == "application/x-protobuf"
    assert gzip.decompress(body) == otlp.encode(spans)


@pytest.mark.parametrize(
    ("codes", "posts", "result"),
    [
        ([503, 200], 2, SpanExportResult.SUCCESS),
        ([503, 503], 2, SpanExportResult.FAILURE),
        ([400], 1, SpanExportResult.FAILURE),
    ],
)
def test_what_may_be_taken_later_is_sent_again(
    endpoint: str,
    spans: Sequence[ReadableSpan],
    codes: list[int],
    posts: int,
    result: Any,
) -> None:
    """Once; what the endpoint does not understand is not repeated."""
    Endpoint.codes = codes
    exporter = otlp.Exporter({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/t"}, 2)
    assert exporter.export(spans) == result
    assert [path for path, _, _ in Endpoint.came] == ["/t"] * posts


def test_a_loss_is_said_once(
    endpoint: str, spans: Sequence[ReadableSpan], caplog: pytest.LogCaptureFixture
) -> None:
    """Until the endpoint takes spans again; no credentials of its address are shown."""
    Endpoint.codes = [401, 401, 200, 401]
    exporter = otlp.Exporter({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/?key=secret"}, 2)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            exporter.export(spans)
    assert len(caplog.messages) == 2
    assert "127.0.0.1 does not take them" in caplog.messages[0]
    assert "secret" not in caplog.text
