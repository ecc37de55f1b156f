"""Sends finished spans to an OTLP endpoint, with nothing but the standard library.

Loaded by launch.py into the user's program, beside the OpenTelemetry SDK. OpenTelemetry's own
exporter needs requests, protobuf and six more packages: the program would find them without having
asked for them, or get in their way with versions of its own. What is written here are the messages
of opentelemetry-proto 1 (collector/trace/v1/trace_service.proto and what it imports), whose field
numbers do not change.
"""

from __future__ import annotations

import gzip
import http.client
import logging
import ssl
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

TRY_AGAIN = (429, 502, 503, 504)
"""What an endpoint answers that may take the same later (OTLP specification, "Retryable Response
Codes")."""

PAUSE_SECONDS = 0.5
"""Before the one repetition."""

_log = logging.getLogger("karstkit.otlp")


class Exporter(SpanExporter):  # type: ignore[misc] # untyped here
    """Posts spans as binary protobuf, as the standard variables say.

    Args:
        environ: OTEL_EXPORTER_OTLP_… variables; those for traces win over those for everything.
        seconds: how long one export may take, unless they say it.
    """

    def __init__(self, environ: Mapping[str, str], seconds: float) -> None:
        def setting(name: str) -> str:
            traces, common = f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"
            return environ.get(traces) or environ.get(common) or ""

        own = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        common = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
        self._url = own or common.rstrip("/") + "/v1/traces"
        self._seconds = float(setting("TIMEOUT") or seconds)
        self._gzip = setting("COMPRESSION") == "gzip"
        self._headers = {"Content-Type": "application/x-protobuf", **_headers(setting("HEADERS"))}
        if self._gzip:
            self._headers["Content-Encoding"] = "gzip"
        self._tls = None
        if self._url.startswith("https:"):
            self._tls = ssl.create_default_context(cafile=setting("CERTIFICATE") or None)
            if setting("CLIENT_CERTIFICATE"):
                key = setting("CLIENT_KEY") or None
                self._tls.load_cert_chain(setting("CLIENT_CERTIFICATE"), key)
        self._down = False

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Send them; what cannot be sent is lost, which is said once until it works again."""
        body = encode(spans)
        why, again = self._post(body)
        if again:
            time.sleep(PAUSE_SECONDS)
            why, _ = self._post(body)
        if why and not self._down:
            host = urllib.parse.urlsplit(self._url).hostname
            _log.warning("spans are lost: %s does not take them (%s)", host, why)
        self._down = bool(why)
        return SpanExportResult.FAILURE if why else SpanExportResult.SUCCESS

    def _post(self, body: bytes) -> tuple[str, bool]:
        """Why it was not taken, empty if it was, and whether to try again."""
        data = gzip.compress(body) if self._gzip else body
        request = urllib.request.Request(self._url, data, self._headers)  # noqa: S310 - configured
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=self._seconds, context=self._tls
            ) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            return str(error), error.code in TRY_AGAIN
        except (OSError, http.client.HTTPException) as error:
            timeout = isinstance(getattr(error, "reason", error), TimeoutError)
            return str(error) or type(error).__name__, not timeout
        return "", False


def _headers(text: str) -> dict[str, str]:
    """``key=value,key=value``, percent-encoded, as in W3C Baggage."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {key.strip(): urllib.parse.unquote(value.strip()) for key, _, value in pairs}


def encode(spans: Sequence[Any]) -> bytes:
    """An ExportTraceServiceRequest with these spans, grouped by resource and scope."""
    groups: dict[Any, dict[Any, list[bytes]]] = {}
    for span in spans:
        scopes = groups.setdefault(span.resource, {})
        scopes.setdefault(span.instrumentation_scope, []).append(_span(span))
    return b"".join(
        _message(
            1,
            _message(1, _attributes(1, resource.attributes)),
            *(_scope_spans(scope, encoded) for scope, encoded in scopes.items()),
            _text(3, resource.schema_url),
        )
        for resource, scopes in groups.items()
    )


def _scope_spans(scope: Any, spans: Sequence[bytes]) -> bytes:
    if scope is None:
        return _message(2, _message(1), *(_message(2, span) for span in spans))
    own = (_text(1, scope.name), _text(2, scope.version), _attributes(3, scope.attributes))
    shown = (_message(2, span) for span in spans)
    return _message(2, _message(1, *own), *shown, _text(3, scope.schema_url))


def _span(span: Any) -> bytes:
    context, parent, status = span.get_span_context(), span.parent, span.status
    return b"".join(
        (
            _bytes(1, context.trace_id.to_bytes(16, "big")),
            _bytes(2, context.span_id.to_bytes(8, "big")),
            _text(3, _trace_state(context)),
            _bytes(4, parent.span_id.to_bytes(8, "big")) if parent else b"",
            _text(5, span.name),
            _number(6, span.kind.value + 1),
            _fixed(7, span.start_time, 8),
            _fixed(8, span.end_time, 8),
            _attributes(9, span.attributes),
            _number(10, span.dropped_attributes),
            *(_event(event) for event in span.events),
            _number(12, span.dropped_events),
            *(_link(link) for link in span.links),
            _number(14, span.dropped_links),
            _message(15, _text(2, status.description), _number(3, status.status_code.value)),
            _fixed(16, _flags(parent), 4),
        )
    )


def _event(event: Any) -> bytes:
    dropped = _number(4, event.dropped_attributes)
    named = _fixed(1, event.timestamp, 8) + _text(2, event.name)
    return _message(11, named, _attributes(3, event.attributes), dropped)


def _link(link: Any) -> bytes:
    context = link.context
    return _message(
        13,
        _bytes(1, context.trace_id.to_bytes(16, "big")),
        _bytes(2, context.span_id.to_bytes(8, "big")),
        _attributes(4, link.attributes),
        _number(5, link.dropped_attributes),
        _fixed(6, _flags(context), 4),
    )


def _trace_state(context: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in (context.trace_state or {}).items())


def _flags(context: Any) -> int:
    """SpanFlags: that it is known whether `context` came from elsewhere, and whether it did."""
    return 0x100 | (0x200 if context and context.is_remote else 0)


def _attributes(field: int, attributes: Mapping[str, Any] | None) -> bytes:
    return b"".join(_pair(field, key, value) for key, value in (attributes or {}).items())


def _pair(field: int, key: str, value: Any) -> bytes:
    return _message(field, _text(1, key), _message(2, _value(value)))


_VALUES: dict[type, Callable[[Any], bytes]] = {
    bool: lambda value: _key(2, 0) + _varint(value),
    int: lambda value: _key(3, 0) + _varint(value & (1 << 64) - 1),
    float: lambda value: _key(4, 1) + struct.pack("<d", value),
    bytes: lambda value: _message(7, value),
    list: lambda value: _message(5, *(_message(1, _value(one)) for one in value)),
    tuple: lambda value: _message(5, *(_message(1, _value(one)) for one in value)),
    dict: lambda value: _message(6, *(_pair(1, str(key), one) for key, one in value.items())),
    type(None): lambda _: b"",
}
"""An AnyValue by type: one field, written also if zero or empty. First fits: a bool is an int."""


def _value(value: Any) -> bytes:
    for kind, encoded in _VALUES.items():
        if isinstance(value, kind):
            return encoded(value)
    return _message(1, str(value).encode(errors="replace"))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _message(field: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return _key(field, 2) + _varint(len(data)) + data


def _bytes(field: int, data: bytes) -> bytes:
    return _message(field, data) if data else b""


def _text(field: int, text: str | None) -> bytes:
    return _bytes(field, (text or "").encode(errors="replace"))


def _number(field: int, number: int) -> bytes:
    return _key(field, 0) + _varint(number) if number else b""


def _fixed(field: int, number: int | None, size: int) -> bytes:
    return _key(field, 1 if size == 8 else 5) + (number or 0).to_bytes(size, "little")
