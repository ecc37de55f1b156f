"""How the ingress speaks HTTP with people: limits, headers, words. Values in, values out.

Numbers are those of Envoy's "Configuring Envoy as an edge proxy" unless their names say otherwise
(docs/public-hosts.md has them in a table).
"""

from __future__ import annotations

from typing import Any

from constructs_lib.envoy_config import OWN_ANSWERS, cel, extension
from iac_wrapper.model.ingress import Ingress

_Json = dict[str, Any]

BUFFER = 65_536
"""Bytes that one connection may have waiting in each direction: twice what the guide says, so that
an upload is not slowed by it."""

STREAM_WINDOW, CONNECTION_WINDOW = 262_144, 1_048_576
"""Bytes of HTTP/2's flow control. The guide has 64 KiB for a stream, with which one upload gets
6 MB/s at 10 ms; four times that."""

STREAMS = 100
"""Of one HTTP/2 connection at a time; RFC 9113, 6.5.2 recommends no fewer."""

HEADERS_SECONDS = 10
"""For all headers of a request."""

IDLE_SECONDS = 300
"""For a request or an upgraded connection on which nothing moves: Envoy's own default."""

KEEP_SECONDS = 300
"""For a connection without a request."""

_DETAILS = "response.code_details"

NO_ANSWER = "the service does not answer at the moment"

SENTENCES = (
    (
        f"{_DETAILS}.endsWith('headers_too_large') || {_DETAILS}.endsWith('too_many_headers')",
        "the request's headers are too large",
    ),
    (
        f"{_DETAILS} == 'request_header_timeout' || {_DETAILS}.contains('idle_timeout')",
        "the request took too long",
    ),
    (f"{_DETAILS} == 'overload'", "too many requests at the moment"),
    ("response.code == 400", "this is not a valid HTTP request"),
    (
        f"response.code >= 500 && {_DETAILS} != 'direct_response'",
        NO_ANSWER,
    ),
)
"""(CEL, sentence) for answers that are the ingress's own."""

_FORGEABLE = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port")
"""Headers of a client that say where a request comes from."""

_ENVOYS = ("x-envoy-external-address", "x-envoy-internal", "x-envoy-expected-rq-timeout-ms")


def manager(ingress: Ingress, entrance: str, routes: _Json, *, believed: bool) -> _Json:
    """The HTTP connection manager of one entrance.

    Args:
        routes: where Envoy finds its routes.
        believed: the client is a proxy whose X-Forwarded headers are true.
    """
    config: _Json = {
        "stat_prefix": "ingress",
        "codec_type": "AUTO",
        "http_protocol_options": {"accept_http_10": True, "enable_trailers": True},
        "http2_protocol_options": {
            "allow_connect": True,
            "max_concurrent_streams": STREAMS,
            "initial_stream_window_size": STREAM_WINDOW,
            "initial_connection_window_size": CONNECTION_WINDOW,
        },
        "server_header_transformation": "PASS_THROUGH",
        "use_remote_address": True,
        "xff_num_trusted_hops": 1 if believed else 0,
        "normalize_path": True,
        "max_request_headers_kb": ingress.max_headers_kb,
        "request_headers_timeout": f"{HEADERS_SECONDS}s",
        "stream_idle_timeout": f"{IDLE_SECONDS}s",
        "common_http_protocol_options": {
            "idle_timeout": f"{KEEP_SECONDS}s",
            "max_headers_count": ingress.max_headers,
            # WSGI has one name for X_Forwarded_For and X-Forwarded-For.
            "headers_with_underscores_action": "DROP_HEADER",
        },
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "local_reply_config": _replies(),
        "access_log": [_failures(ingress.project)],
        "http_filters": _filters(believed=believed),
        "rds": {"route_config_name": entrance, "config_source": routes},
    }
    if not believed:
        config["early_header_mutation_extensions"] = [_mutation("early", _FORGEABLE)]
    return extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **config,
    )


def _mutation(when: str, names: tuple[str, ...]) -> _Json:
    removed = [{"remove": name} for name in names]
    return extension(
        f"envoy.http.{when}_header_mutation.header_mutation",
        f"envoy.extensions.http.{when}_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=removed,
    )


def _filters(*, believed: bool) -> list[_Json]:
    said = {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"}
    action = "ADD_IF_ABSENT" if believed else "OVERWRITE_IF_EXISTS_OR_ADD"
    mutations = [
        {"append": {"header": said, "append_action": action}},
        *({"remove": name} for name in _ENVOYS),
    ]
    return [
        extension(
            "envoy.filters.http.header_mutation",
            "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            mutations={"request_mutations": mutations},
        ),
        extension(
            "envoy.filters.http.dynamic_forward_proxy",
            "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
            sub_cluster_config={"cluster_init_timeout": "3s"},
        ),
        extension(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            suppress_envoy_headers=True,
        ),
    ]


def _replies() -> _Json:
    text = "%RESPONSE_CODE%: {}\n"
    return {
        "mappers": [
            {"filter": cel(condition), "body_format_override": _text(text.format(words))}
            for condition, words in SENTENCES
        ]
    }


def _text(words: str) -> _Json:
    return {"text_format_source": {"inline_string": words}}


def _failures(project: str) -> _Json:
    """A JSON line for each request that got no answer of a service."""
    flags = ["UF", "UH", "UO", "UC", "URX", "NR", "UPE", "DPE", "OM", "SI", "DC"]
    return {
        **extension(
            "envoy.access_loggers.stdout",
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            log_format={
                "json_format": {
                    "time": "%START_TIME%",
                    "project": project,
                    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                    "method": "%REQ(:METHOD)%",
                    "authority": "%REQ(X-FORWARDED-HOST?:AUTHORITY)%",
                    "path": "%PATH(NQ)%",
                    "status": "%RESPONSE_CODE%",
                    "flags": "%RESPONSE_FLAGS%",
                    "details": "%RESPONSE_CODE_DETAILS%",
                    "tls": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
                    "ms": "%DURATION%",
                }
            },
        ),
        "filter": {
            "or_filter": {
                "filters": [
                    {"response_flag_filter": {"flags": flags}},
                    cel(OWN_ANSWERS),
                ]
            }
        },
    }
