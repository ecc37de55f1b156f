"""What PID 1 of an Envoy container is told by its environment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.sidecar import (
    environment,
)
from runner.sidecar.offers import Offer
from runner.sidecar.refused import Refused
from tests.unit.runner.sidecar.conftest import GATEWAY, GOOD, INGRESS, OPERATOR, SIDECAR


def test_the_environment_is_read_with_its_types() -> None:
    """Defaults where nothing is said; a gateway needs no service."""
    assert environment.read_environment(GOOD) == SIDECAR
    more = {"IAC_APP_UID": "20001", "IAC_PORT_DECLARED": "1", "IAC_MAX_HEADERS_KB": "90"}
    assert environment.read_environment({**GOOD, **more}) == replace(
        SIDECAR, app_uid=20001, port_declared=True, max_headers_kb=90
    )
    tcp = environment.read_environment({**GOOD, "IAC_TCP": "5432,6379", "IAC_TCP_ONLY": "1"})
    assert tcp == replace(SIDECAR, offer=Offer((5432, 6379), http=False))
    few = {name: GOOD[name] for name in ("IAC_SUBNET", "IAC_ENVOY_UID", "IAC_PROJECT")}
    assert environment.read_environment({**few, "IAC_ROLE": "gateway"}) == GATEWAY


def test_an_ingress_is_told_of_its_entrances() -> None:
    """Which are ports that Envoy, which is not root, can listen on."""
    few = {name: GOOD[name] for name in ("IAC_SUBNET", "IAC_ENVOY_UID", "IAC_PROJECT")}
    own = {"IAC_INGRESS_PORTS": "8000,8443", "IAC_TRUST_DOMAIN": "iacnet-shop"}
    assert environment.read_environment({**few, **own, "IAC_ROLE": "ingress"}) == INGRESS
    for wrong in ("", "80", "8000;8443", "8000,"):
        ports = {"IAC_ROLE": "ingress", "IAC_INGRESS_PORTS": wrong}
        with pytest.raises(Refused, match="IAC_INGRESS_PORTS"):
            environment.read_environment({**few, **own, **ports})


def test_an_operator_is_told_of_its_service_and_the_port_on_the_host() -> None:
    """And of the port there if that speaks something else than HTTP, which has a template."""
    told = {**GOOD, "IAC_ROLE": "operator", "IAC_LOCAL_PORT": "8099"}
    assert environment.read_environment(told) == OPERATOR
    tcp = environment.read_environment({**told, "IAC_TCP_PORT": "5432"})
    assert (OPERATOR.template, tcp.template, tcp.tcp_port) == ("operator", "operator-tcp", 5432)
    with pytest.raises(Refused, match="IAC_LOCAL_PORT"):
        environment.read_environment({**GOOD, "IAC_ROLE": "operator"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IAC_ROLE", "envoy"),
        ("IAC_SUBNET", "172.20.0.1/16"),
        ("IAC_SUBNET", "fd00::/64"),
        ("IAC_ENVOY_UID", "0"),
        ("IAC_ENVOY_UID", "10001"),
        ("IAC_ENVOY_UID", "me"),
        ("IAC_APP_UID", "10101"),
        ("IAC_PROJECT", "a.b"),
        ("IAC_SERVICE", "a\nadmin: {}"),
        ("IAC_SERVICE", ""),
        ("IAC_TRUST_DOMAIN", 'x"}'),
        ("IAC_PORT", "0"),
        ("IAC_PORT", "65536"),
        ("IAC_PORT", "15001"),
        ("IAC_PORT_DECLARED", "yes"),
        ("IAC_MAX_HEADERS", "-1"),
        ("IAC_POLICY", ""),
        ("IAC_POLICY", '{"callers":{"web":[]},"ingress":false,"services":[]}'),
        ("IAC_TCP", "5432, 6379"),
        ("IAC_TCP", "5432,"),
        ("IAC_TCP", "70000"),
        ("IAC_TCP", "15001"),
        ("IAC_TCP_ONLY", "yes"),
    ],
)
def test_a_bad_variable_is_refused_by_name(name: str, value: str) -> None:
    """Root and the app's own uid are bad uids: one reads every key, the other escapes the mesh;
    and nothing that is not YAML by itself reaches the template."""
    with pytest.raises(Refused, match=name):
        environment.read_environment({**GOOD, name: value})
