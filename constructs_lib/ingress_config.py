"""Listeners and routes of the ingress as Envoy reads them from files: values in, text out.

It must not know cdktf, Docker, or where files lie on the host. The container's own part, the way to
the services, is in templates/ingress.yaml.j2. Routes change without a listener's change, and a
listener's change of one host leaves the connections of all others alone: Envoy replaces the filter
chains that differ, as long as nothing else of the listener does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from constructs_lib import ingress_http
from constructs_lib.envoy_config import PATIENCE_RETRIES, TYPES, UNREACHED_HEADER, extension
from iac_wrapper.model.exposure import Route
from iac_wrapper.model.ingress import Ingress, ServedCertificate, Shown
from iac_wrapper.model.mesh import ENTRANCES, INGRESS_DIRECTORY, PORTS

LISTENERS = "listeners.json"

_Json = dict[str, Any]

_CIPHERS = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
]
"""Of TLS 1.2: Mozilla's "intermediate" list (Server Side TLS 5.7) without finite-field DH, which
Envoy's TLS library does not have. Those of 1.3 are not a choice."""

ANY = "0.0.0.0"  # noqa: S104 - inside the container

_NOT_HERE = "no service is exposed under this name and port\n"


def files(ingress: Ingress, shown: Shown) -> dict[str, str]:
    """Every file by name, in the order in which they have to be replaced: routes first."""
    made: dict[str, str] = {}
    listeners = []
    if ingress.has_local:
        made["routes-local.json"] = _routes("local", _local_hosts(ingress))
        listeners.append(_listener(ingress, "local", [{}]))
    if ingress.has_public:
        made["routes-http.json"] = _routes("http", _plain_hosts(ingress, shown))
        listeners.append(_listener(ingress, "http", [{}]))
    if ingress.has_tls:
        made["routes-https.json"] = _routes("https", _secure_hosts(ingress))
        chains = [
            {
                "filter_chain_match": {"server_names": [host]},
                "transport_socket": _tls(shown.certificates[host]),
                "transport_socket_connect_timeout": "10s",
            }
            for host, found in _by_host(ingress.routes)
            if host in shown.certificates and any(_is_secure(route) for route in found)
        ]
        if chains:
            listeners.append(_listener(ingress, "https", chains))
    kind = f"{TYPES}/envoy.config.listener.v3.Listener"
    return {**made, LISTENERS: _resources({"@type": kind, **each} for each in listeners)}


def _listener(ingress: Ingress, entrance: str, chains: Sequence[_Json]) -> _Json:
    """A listener; each of `chains` twice if there are proxies to be believed."""
    found = []
    for chain in chains:
        name = chain.get("filter_chain_match", {}).get("server_names", [entrance])[0]
        manager = ingress_http.manager(ingress, entrance, _source(entrance), believed=False)
        found.append({"name": name, **chain, "filters": [manager]})
        if ingress.trusted_proxies and entrance != "local":
            manager = ingress_http.manager(ingress, entrance, _source(entrance), believed=True)
            match = {
                **chain.get("filter_chain_match", {}),
                "source_prefix_ranges": list(map(_range, ingress.trusted_proxies)),
            }
            believing = {**chain, "filter_chain_match": match, "filters": [manager]}
            found.append({"name": f"{name} behind a proxy", **believing})
    listener: _Json = {
        "name": entrance,
        "traffic_direction": "INBOUND",
        "address": {"socket_address": {"address": ANY, "port_value": ENTRANCES[entrance]}},
        "per_connection_buffer_limit_bytes": ingress_http.BUFFER,
        "filter_chains": found,
    }
    if entrance == "https":
        inspector = extension(
            "envoy.filters.listener.tls_inspector",
            "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        )
        listener |= {"listener_filters": [inspector], "listener_filters_timeout": "10s"}
    return listener


def _range(network: str) -> _Json:
    address, _, length = network.partition("/")
    return {"address_prefix": address, "prefix_len": int(length)}


def _source(entrance: str) -> _Json:
    path = f"{INGRESS_DIRECTORY}/routes-{entrance}.json"
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}


def _tls(certificate: ServedCertificate) -> _Json:
    pair = {
        "certificate_chain": {"filename": certificate.cert},
        "private_key": {"filename": certificate.key},
    }
    context = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "cipher_suites": _CIPHERS},
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificates": [pair],
    }
    return extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=context,
    )


def _routes(name: str, hosts: Sequence[_Json]) -> str:
    kind = f"{TYPES}/envoy.config.route.v3.RouteConfiguration"
    rest = {"name": "elsewhere", "domains": ["*"], "routes": [_answer(421, _NOT_HERE)]}
    config = {"@type": kind, "name": name, "virtual_hosts": [*hosts, rest]}
    return _resources([config])


def _resources(resources: Iterable[_Json]) -> str:
    return json.dumps({"resources": list(resources)}, indent=1) + "\n"


def _by_host(routes: Iterable[Route]) -> list[tuple[str, list[Route]]]:
    ordered = sorted(routes, key=lambda route: route.host)
    return [(host, list(found)) for host, found in groupby(ordered, lambda route: route.host)]


def _local_hosts(ingress: Ingress) -> list[_Json]:
    return [
        _host(host, ingress.ports.local or 0, map(_to_service, found))
        for host, found in _by_host(r for r in ingress.routes if r.is_local)
    ]


def _plain_hosts(ingress: Ingress, shown: Shown) -> list[_Json]:
    """Public hosts on the HTTP port: challenges first, then whatever each path is for there."""
    challenges = [_challenge(token, text) for token, text in sorted(shown.challenges.items())]
    return [
        _host(
            host,
            ingress.ports.http,
            [*challenges, *(_plain(ingress, shown, route) for route in _longest_first(found))],
        )
        for host, found in _by_host(r for r in ingress.routes if not r.is_local)
    ]


def _secure_hosts(ingress: Ingress) -> list[_Json]:
    return [
        _host(host, ingress.ports.https, map(_to_service, _longest_first(found)))
        for host, found in _by_host(r for r in ingress.routes if _is_secure(r))
    ]


def _is_secure(route: Route) -> bool:
    return not route.is_local and route.exposure.tls != "off"


def _longest_first(found: Sequence[Route]) -> list[Route]:
    return sorted(found, key=lambda route: -len(route.exposure.path))


def _host(host: str, port: int, routes: Iterable[_Json]) -> _Json:
    return {
        "name": host,
        "domains": [host, f"{host}:{port}"],
        "routes": [*routes, _answer(404, "no service is exposed under this path\n")],
    }


def _match(route: Route) -> _Json:
    path = route.exposure.path
    return {"prefix": "/"} if path == "/" else {"path_separated_prefix": path}


def _plain(ingress: Ingress, shown: Shown, route: Route) -> _Json:
    one = route.exposure
    if one.tls == "off":
        return _to_service(route)
    if route.host not in shown.certificates:
        text = f"{route.host} has no certificate yet, so it does not answer over HTTPS\n"
        return _answer(503, text, _match(route))
    if not one.redirect:
        return _to_service(route)
    redirect: _Json = {"https_redirect": True, "response_code": "PERMANENT_REDIRECT"}
    if ingress.ports.https != 443 or ingress.ports.http != 80:
        redirect["port_redirect"] = ingress.ports.https
    return {"match": _match(route), "redirect": redirect}


def _to_service(route: Route) -> _Json:
    made: _Json = {
        "match": _match(route),
        "route": {
            "cluster": "services",
            "timeout": "0s",
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream,reset-before-request,retriable-headers",
                "retriable_headers": [{"name": UNREACHED_HEADER, "present_match": True}],
                "num_retries": PATIENCE_RETRIES,
                "retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"},
            },
        },
        "typed_per_filter_config": {
            "envoy.filters.http.dynamic_forward_proxy": {
                "@type": f"{TYPES}/envoy.extensions.filters.http.dynamic_forward_proxy.v3"
                ".PerRouteConfig",
                "host_rewrite_literal": f"{route.service}:{PORTS['mtls']}",
            }
        },
    }
    if route.exposure.hsts:
        header = {
            "key": "strict-transport-security",
            "value": f"max-age={route.exposure.hsts}",
        }
        made["response_headers_to_add"] = [
            {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ]
    return made


def _challenge(token: str, text: str) -> _Json:
    return _answer(200, text, {"path": f"/.well-known/acme-challenge/{token}"})


def _answer(status: int, text: str, match: _Json | None = None) -> _Json:
    return {
        "match": match or {"prefix": "/"},
        "direct_response": {"status": status, "body": {"inline_string": text}},
    }
