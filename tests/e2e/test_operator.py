"""A person's way to one service, and whom a service lets in, on real Envoys."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.identity.operator import handover as own_leaf
from runner.sidecar import handover
from runner.sidecar.handover import parse
from tests.e2e.test_mesh import WEBSOCKET, serving
from tests.support.envoy_lab import DOMAIN, Lab, Service, call, eventually, raw

pytestmark = pytest.mark.integration

LOCAL, INSIDE = 8099, 15443
"""The port on the host that the operator's Envoy is told of, and the one where it listens."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("operator"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def web(lab: Lab) -> Iterator[Service]:
    made = lab.service("web")
    with serving(made.app):
        yield made


@pytest.fixture(scope="module")
def operator(lab: Lab, web: Service) -> Service:
    return lab.service("web", role="operator", local_port=LOCAL)


def ask(operator: Service, host: str = f"localhost:{LOCAL}", **headers: str) -> tuple[int, Any]:
    """What a client on the host gets: the status, and what the program saw or the text."""
    connection = http.client.HTTPConnection(operator.ip, INSIDE, timeout=15)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", "/", headers={"Host": host, **names})
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if response.status == 200 else text
    finally:
        connection.close()


def test_the_service_sees_its_own_name_and_who_asks(operator: Service) -> None:
    """Host and caller as in the mesh; what the client wrote about hops is replaced or gone."""
    lies = {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "https", "Forwarded": "for=6.6.6.6"}
    status, seen = ask(operator, **lies, X_Forwarded_Host="evil", X_Real_IP="6.6.6.6")
    assert status == 200
    assert seen["host"] == "web"
    assert seen["x-forwarded-client-cert"].endswith(f"URI=spiffe://{DOMAIN}/operator")
    # The lab puts an address of its own in the place of 127.0.0.1.
    assert seen["x-forwarded-for"] == operator.ip
    assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("http", f"localhost:{LOCAL}")
    assert "6.6.6.6" not in json.dumps(seen)


@pytest.mark.parametrize("host", ["localhost", "LocalHost:1", "[::1]:8099", "web.localhost:8099"])
def test_the_names_of_loopback_are_answered(operator: Service, host: str) -> None:
    """With any port: a person may forward the port to another machine's."""
    assert ask(operator, host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:8099", "localhost.evil.example", "evil.localhost", "web", "10.0.0.1", "::1"],
)
def test_a_name_that_leads_here_by_dns_is_refused(operator: Service, host: str) -> None:
    """DNS rebinding: the browser sends the name that the page came from."""
    status, text = ask(operator, host)
    assert (status, text) == (
        421,
        f"this is not a name of service web here: open http://localhost:{LOCAL}/\n",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://evil.localhost:8099"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
def test_a_page_of_another_site_reaches_nothing(operator: Service, headers: dict[str, str]) -> None:
    """Whatever it sends, to whatever name of loopback: a fetch, a form, an image."""
    status, text = ask(operator, **headers)
    assert status == 403
    assert text.startswith("pages of other sites may not call service web")


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("http://web/next?a=b", "/next?a=b"),
        ("/next", "/next"),
        ("http://web.example/", "http://web.example/"),
        ("https://web/", "https://web/"),
    ],
)
def test_a_redirect_to_the_services_own_name_stays_here(
    operator: Service, said: str, seen: str
) -> None:
    """Others lead where they say."""
    connection = http.client.HTTPConnection(operator.ip, INSIDE, timeout=15)
    connection.request("GET", f"/to/{said}", headers={"Host": "localhost"})
    assert connection.getresponse().headers["location"] == seen
    connection.close()


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Origin": f"http://localhost:{LOCAL}"}, "http://web"),
        ({"Origin": f"http://web.localhost:{LOCAL}"}, "http://web"),
        ({"Origin": "http://localhost:3000"}, "http://localhost:3000"),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, None),
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, None),
    ],
)
def test_its_own_pages_have_the_origin_that_the_service_knows(
    operator: Service, headers: dict[str, str], origin: str | None
) -> None:
    """Host and Origin agree, or Django refuses every form; a page of another local port says so."""
    status, seen = ask(operator, **headers)
    assert (status, seen.get("origin")) == (200, origin)


def test_bytes_that_are_no_http_get_a_sentence(operator: Service) -> None:
    """Such as those of another protocol."""
    got = raw(operator, b"*1\r\n$4\r\nPING\r\n", port=INSIDE)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert f"call service web as http://localhost:{LOCAL}/".encode() in got


def test_a_websocket_is_opened(operator: Service) -> None:
    """Through two Envoys."""
    text = f"GET /accept HTTP/1.1\r\n{WEBSOCKET}".replace("Host: b", "Host: localhost")
    got = raw(operator, text.encode(), seconds=1, port=INSIDE)
    assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert got.endswith(b"frame")


def test_a_program_that_does_not_answer_is_told_by_its_sidecar(lab: Lab) -> None:
    """The same sentence as in the mesh; where nobody is at all, the operator's own."""
    lab.service("mute")
    status, text = ask(lab.service("mute", role="operator", local_port=LOCAL))
    assert status == 503
    assert text.startswith("service mute does not answer: ")
    status, text = ask(lab.service("gone", role="operator", local_port=LOCAL))
    assert status == 503
    assert text.startswith("service gone of project shop is not there")


def test_another_service_and_another_project_are_refused(lab: Lab, web: Service) -> None:
    """Who answers must prove the service's name; who asks must be of the project's own CA."""
    lab.dns.names["imposter"] = [web.ip]
    assert ask(lab.service("imposter", role="operator", local_port=LOCAL))[0] == 503
    secrets = lab.folder / "other"
    leaf = ensure_leaf(
        ensure_ca(secrets),
        secrets / "x",
        name="operator",
        trust_domain=DOMAIN,
        owner_uid=os.geteuid(),
    )
    mixed = lab.folder / "mixed"
    mixed.mkdir()
    for path in (leaf.certificate, leaf.key, lab.leaf("operator") / "ca.crt"):
        shutil.copy(path, mixed)
    assert ask(lab.service("web", role="operator", local_port=LOCAL, leaf=mixed))[0] == 503
    refused = f"listener.{web.ip}_15000.ssl.fail_verify_error"
    assert web.stat(refused.replace(".", r"\.")) > 0


def test_a_renewed_leaf_is_taken_without_a_restart(lab: Lab, operator: Service) -> None:
    """As the line of a command that runs for long brings it."""
    taken = r"cluster\.service\.client_ssl_socket_factory\.ssl_context_update_by_sds"
    before = operator.stat(taken)
    handover.write(operator.run, parse(own_leaf(ensure_ca(lab.folder / "secrets"), DOMAIN)))
    eventually(lambda: operator.stat(taken) > before, 5)
    assert ask(operator)[0] == 200


def test_the_runner_is_not_the_operators(operator: Service) -> None:
    """Logs and health are for the control plane's identity."""
    connection = http.client.HTTPConnection(operator.ip, INSIDE, timeout=15)
    for path in ("/iac.controlplane.v1.ControlPlane/StreamLogs", "/grpc.health.v1.Health/Check"):
        connection.request("POST", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 403
        assert f"spiffe://{DOMAIN}/operator may not call this on service web" in text
    connection.close()


def test_the_ingress_is_let_in_where_a_service_is_exposed(lab: Lab, web: Service) -> None:
    """By the sidecar's own rule; nowhere to the runner."""
    ingress = lab.service("ingress")
    assert call(ingress, "web")[:2] == (403, "service web is not exposed\n")
    shown = lab.service("shown", exposed=True)
    with serving(shown.app):
        assert call(ingress, "shown")[0] == 200
        assert call(web, "shown")[0] == 200
        assert call(ingress, "shown", "/grpc.health.v1.Health/Check")[0] == 403
