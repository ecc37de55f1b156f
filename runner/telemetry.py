"""Sets OpenTelemetry up in the user's program, as the standard variables say. Loaded by launch.py.

In the app's interpreter, which has none of our packages.
"""

# ruff: noqa: PLC0415 - the program must not pay time and memory for what it may not need

from __future__ import annotations

import importlib.util
import os
import sys

TYPE_CHECKING = False  # the constant that type checkers know, without the cost of typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OTEL_PATH, OTLP_PATH = "/opt/iac/otel", "/opt/iac/otlp"
"""Where the SDK lies, and its OTLP exporter with requests, protobuf and what else that needs."""

EXPORT_SECONDS = 2
"""How long one export may take: a collector that is down must not hold up the program's exit."""


class NotTraced(Exception):  # noqa: N818 - no fault of the program
    """Why there are no spans, in words."""


def tracer_provider() -> Any:
    """A provider that exports as the standard variables say; None where they name no place.

    It becomes the global one unless the program brings an SDK of its own: setting a provider works
    once, and then the program's own set-up would be ignored. What of OpenTelemetry the program does
    not bring it finds at the end of its path: there, its API does nothing until spans are sent.
    """
    own_sdk, own_api = _has("opentelemetry.sdk"), _has("opentelemetry.trace")
    path = os.environ.get("IAC_OTEL_PATH") or OTEL_PATH
    if not own_api:
        sys.path.append(path)
    choice = os.environ.get("OTEL_TRACES_EXPORTER") or ("otlp" if _endpoint() else "none")
    if choice == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if own_api and not own_sdk:
        _join_sdk(path)
    if not _has("opentelemetry.sdk"):
        return None  # an image without OpenTelemetry, nothing to warn about
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = os.environ.get("OTEL_SERVICE_NAME") or os.environ.get("IAC_SERVICE")
    # Shut down, and flushed, by the SDK's own atexit hook; signals stay the program's business.
    provider = TracerProvider(resource=Resource.create({"service.name": name} if name else {}))
    provider.add_span_processor(_processor(choice))
    if not own_sdk:
        trace.set_tracer_provider(provider)
    return provider


def _has(module: str) -> bool:
    importlib.invalidate_caches()
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _join_sdk(path: str) -> None:
    """Put our SDK beside the API that the program brings; only its own version fits."""
    from importlib.metadata import distributions, version

    theirs = version("opentelemetry-api")
    ours = [d.version for d in distributions(name="opentelemetry-api", path=[path])]
    if ours != [theirs]:
        wanted = "add opentelemetry-sdk to its requirements"
        raise NotTraced(f"the program brings opentelemetry-api {theirs} without its SDK; {wanted}")
    sys.path.append(path)


def _endpoint() -> str | None:
    specific = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return specific or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")


def _processor(choice: str) -> Any:
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    if choice == "otlp":
        return BatchSpanProcessor(_otlp_exporter())
    one_line: Callable[[Any], str] = lambda span: span.to_json(indent=None) + "\n"  # noqa: E731
    return SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr, formatter=one_line))


def _otlp_exporter() -> Any:
    """The exporter for OTEL_EXPORTER_OTLP_PROTOCOL: by HTTP unless gRPC is asked for."""
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", str(EXPORT_SECONDS))
    protocol = "grpc" if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" else "http"
    name = f"opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter"
    if not _has(name):  # the program's own comes first, whatever version it is
        sys.path.append(OTLP_PATH)
    if not _has(name):
        package = f"opentelemetry-exporter-otlp-proto-{protocol}"
        raise NotTraced(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} needs {package} in the requirements"
        )
    return importlib.import_module(name).OTLPSpanExporter()
