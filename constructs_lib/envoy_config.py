"""Renders the templates of Envoy's configuration that the sidecar image holds: text in, text out.

It must not know cdktf, Docker, or which services exist. What differs between containers stays
open as ``${name}``: PID 1 (runner/sidecar) fills it in. The text is a stream of YAML documents;
each opens with ``--- # <file name>`` and PID 1 writes it to a file of that name. The first is
Envoy's bootstrap, the others are what it watches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS, spiffe_id
from iac_wrapper.model.mesh import INGRESS_DIRECTORY, OVERLOADED, PORTS, PROGRAMS, TLS_DIRECTORY

ROLES = ("sidecar", "gateway", "operator", "operator-tcp", "ingress")
"""Names of the templates: the roles of Envoy containers, of which one has two."""

RUN_DIRECTORY = "/run/envoy"
"""Where PID 1 writes the documents; a tmpfs in the container."""

LABEL = "[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*"
"""What can be dialled: one DNS label with at least one letter, so never an address (RE2, whole)."""

SNI = f"{LABEL}|[0-9]{{12}}"
"""What the gateway passes on: also a container's short id, of which one in 280 has no letter."""

NAME = "%FILTER_STATE(iac.name:PLAIN)%"
"""What a program dialled, in Envoy's log format."""

_LIMITS = "${max_headers} headers and ${max_headers_kb} KiB (IAC_MAX_HEADERS, IAC_MAX_HEADERS_KB)"

_DETAILS = "response.code_details"
_REQUEST_TOO_LARGE = (
    f"{_DETAILS}.endsWith('headers_too_large') || {_DETAILS}.endsWith('too_many_headers')"
)

OWN_ANSWERS = (
    f"{_DETAILS} == 'direct_response' || {_DETAILS} == 'sub_cluster_warming_timeout'"
    f" || {_DETAILS}.startsWith('rbac_') || {_DETAILS}.startsWith('http1.')"
    f" || ({_DETAILS}.startsWith('http2.') && !{_DETAILS}.startsWith('http2.remote_'))"
    f" || {_DETAILS} == 'request_headers_too_large' || {_DETAILS} == 'overload'"
)
"""Calls that Envoy itself answered, without a flag that says so."""

NOT_AN_OFFER = "!(has(request.path) && request.path == '${offer_path}')"
"""Not a sidecar's question to another, what that offers over TCP; it asks again by itself."""

NOT_ASKED_BY_US = (
    f"{NOT_AN_OFFER} && "
    "!(connection.uri_san_peer_certificate == '"
    + spiffe_id("${trust_domain}", CONTROL_PLANE)
    + "' && (request.path.startsWith('/iac.controlplane.')"
    " || request.path.startsWith('/iac.sidecar/')))"
)
"""Not a question of the proven control plane to a runner, which may not be there yet: it tells."""

_TLS_FAULT = "connection.transport_failure_reason"
_NO_CERTIFICATE = f"{_TLS_FAULT}.contains('PEER_DID_NOT_RETURN_A_CERTIFICATE')"

STRANGERS = (
    # Nothing in such a handshake can be trusted, so this tool's own cannot be told from another's.
    (
        _NO_CERTIFICATE,
        "no certificate, turned away as it must be; `iac deploy`, `iac health` and"
        " `iac admin serve` try this themselves, through the gateway",
    ),
    (
        f"{_TLS_FAULT} != '' && !{_NO_CERTIFICATE}",
        "the handshake failed before it proved that it belongs to project ${project}",
    ),
)
"""Callers that could not prove who they are: (CEL, what their line in the log says)."""

PASSED_ON_BUFFER = 16_384
"""Bytes in each direction of a connection that is passed on as it is: a record of TLS (RFC 8446,
5.1). Measured at 16 KiB to 1 MiB: throughput does not differ by more than the noise."""

UNREACHED_HEADER = "x-iac-unreached"
"""By it a callee's Envoy tells the caller's that a request did not reach the program."""

REFUSED_HEADER = "x-iac-refused"
"""By it a callee's Envoy tells the caller's that its `allow:` refused a request."""

_NOT_ALLOWED = f"{_DETAILS}.startsWith('rbac_')"

PATIENCE_RETRIES = 20
"""Of a caller: 9 s in the mean, as each pause is a random part of 0.1 to 1 s that doubles."""

UNREACHED = (
    f"{_DETAILS}.contains('connection_failure')",
    f"{_DETAILS} == 'no_healthy_upstream'",
)
"""Answers of a callee's Envoy (CEL) to a request that has not reached the program: nothing accepts
there, or no new request shall come, because one of the two containers is being stopped."""

MARKS = {**dict.fromkeys(UNREACHED, UNREACHED_HEADER), _NOT_ALLOWED: REFUSED_HEADER}
"""The headers of a callee's Envoy for those of its own answers that the caller's tells apart."""

_OVERLOAD = (
    f"{_DETAILS} == 'overload'",
    None,
    f"the sidecar of service ${{service}} {OVERLOADED}, and takes no more at the moment",
)

INBOUND_SENTENCES = (
    # Between two Envoys an accepted WebSocket is a 200: passed on, another 200 would become a 101.
    (
        f"{_DETAILS} == 'websocket_handshake_unsuccessful' && response.code < 300",
        502,
        "service ${service} knows no WebSocket here: it gave an ordinary answer",
    ),
    (
        f"{_DETAILS}.startsWith('rbac_') && connection.uri_san_peer_certificate == '"
        + spiffe_id("${trust_domain}", INGRESS)
        + "'",
        None,
        "service ${service} is not exposed",
    ),
    (
        _NOT_ALLOWED,
        None,
        "%DOWNSTREAM_PEER_URI_SAN% may not call this on service ${service}",
    ),
    (
        f"{_DETAILS}.contains('{{overflow}}')",
        None,
        "service ${service} has ${max_connections} requests that it has not answered,"
        " and takes no more at a time",
    ),
    _OVERLOAD,
    *(
        (
            condition,
            None,
            "service ${service} does not answer: nothing accepts connections there"
            " (`iac health` says why)",
        )
        for condition in UNREACHED
    ),
    (
        f"{_DETAILS}.contains('protocol_error')",
        502,
        "the answer of service ${service} is no valid HTTP,"
        f" or its headers are more than {_LIMITS}",
    ),
)

OUTBOUND_SENTENCES = (
    _OVERLOAD,
    (
        f"{_DETAILS} == 'no_healthy_upstream' || {_DETAILS} == 'sub_cluster_warming_timeout'",
        None,
        f"no service {NAME} in project ${{project}}:"
        " `iac health --project ${project}` lists its services",
    ),
    (
        f"{_DETAILS}.contains('connection_failure')",
        None,
        f"service {NAME} cannot be reached: its sidecar does not answer (`iac health` says why)",
    ),
    (_REQUEST_TOO_LARGE, None, "the request's headers are more than " + _LIMITS),
    (
        f"{_DETAILS}.startsWith('http1.') || {_DETAILS}.startsWith('http2.')",
        None,
        "this is not HTTP/1, HTTP/2 or gRPC without TLS (%RESPONSE_CODE_DETAILS%):"
        " call a service as http://NAME:PORT/, the sidecar encrypts;"
        " for other protocols its entry of repos.yaml names the port, as in `tcp: [5432]`",
    ),
)

OPERATOR_SENTENCES = (
    (
        f"{_DETAILS} == 'no_healthy_upstream'",
        None,
        "service ${service} of project ${project} is not there (`iac health` says why)",
    ),
    (
        f"{_DETAILS}.contains('connection_failure')",
        None,
        "service ${service} cannot be reached: its sidecar does not answer (`iac health` says why)",
    ),
    (_REQUEST_TOO_LARGE, None, "the request's headers are more than " + _LIMITS),
    (
        f"{_DETAILS}.startsWith('http1.') || {_DETAILS}.startsWith('http2.')",
        None,
        "this is not HTTP/1, HTTP/2 or gRPC without TLS (%RESPONSE_CODE_DETAILS%):"
        " call service ${service} as http://localhost:${local_port}/",
    ),
)

REFUSAL = (
    f"sidecar: %REQ(:METHOD)% http://{NAME}%PATH(NQ)% was refused:"
    f" `allow:` of service {NAME} in repos.yaml does not let ${{service}} call this\n"
)
"""The line in a caller's log; the callee's has one of Envoy's, with everything."""

HOP_HEADERS = ("forwarded", "x-real-ip", "x-forwarded-port", "x-forwarded-prefix")
"""What a client may have written about hops, beside what is overwritten."""

_LOCAL_HOSTS = r"(localhost|127\.0\.0\.1|\[::1\]|${service}\.localhost)"
"""Of an operator's port, RE2."""


TYPES = "type.googleapis.com"


def extension(name: str, kind: str, **config: Any) -> dict[str, Any]:
    """One of Envoy's extensions, by its name and the type of its configuration."""
    return {"name": name, "typed_config": {"@type": f"{TYPES}/{kind}", **config}}


def cel(condition: str) -> dict[str, Any]:
    """A condition on a call, in CEL."""
    kind = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return {
        "extension_filter": extension(
            "envoy.access_loggers.extension_filters.cel", kind, expression=condition
        )
    }


def template(role: str) -> str:
    """The configuration of every sidecar or of every gateway, a ``string.Template``."""
    values = {"service": "${service}", "trust_domain": "${trust_domain}"}
    return _environment().get_template(f"{role}.yaml.j2").render(values)


def not_exactly(word: str) -> list[str]:
    """Regular expressions (RE2), of which one matches every text but `word` in whatever case.

    Several, because Envoy bounds the size of each.
    """
    other = [f"(?i){word[:at]}([^{letter}].*)?" for at, letter in enumerate(word)]
    return [*other, f"(?i){word}.+"]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; PID 1 checks what it fills in
        keep_trailing_newline=True,
    )
    environment.globals.update(
        ports=PORTS,
        label=LABEL,
        sni=SNI,
        other_upgrades=not_exactly("websocket"),
        programs=PROGRAMS,
        peer_header="x-iac-peer",
        run=RUN_DIRECTORY,
        tls_directory=TLS_DIRECTORY,
        identities=spiffe_id("${trust_domain}", ""),
        ingress=spiffe_id("${trust_domain}", INGRESS),
        ingress_directory=INGRESS_DIRECTORY,
        control_plane=spiffe_id("${trust_domain}", CONTROL_PLANE),
        own_origin=f"http://{_LOCAL_HOSTS}:${{local_port}}",
        local_origin=f"https?://{_LOCAL_HOSTS}(:[0-9]+)?",
        hop_headers=HOP_HEADERS,
        name=NAME,
        own_answers=OWN_ANSWERS,
        passed_on_buffer=PASSED_ON_BUFFER,
        marks=MARKS,
        refused_header=REFUSED_HEADER,
        refusal=REFUSAL,
        unreached_header=UNREACHED_HEADER,
        patience_retries=PATIENCE_RETRIES,
        strangers=STRANGERS,
        not_an_offer=NOT_AN_OFFER,
        not_asked_by_us=NOT_ASKED_BY_US,
        inbound_sentences=INBOUND_SENTENCES,
        outbound_sentences=OUTBOUND_SENTENCES,
        operator_sentences=OPERATOR_SENTENCES,
    )
    return environment
