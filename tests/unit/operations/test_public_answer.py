"""An exposed service is asked where people ask: what they would get is said."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib import ingress_http
from iac_wrapper.model.exposure import LOCAL, Exposure, Exposures
from iac_wrapper.model.options import Options
from iac_wrapper.operations.public_answer import faults
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.deployed import app, deployed
from tests.support.running import running


class Ingress(http.server.BaseHTTPRequestHandler):
    """Knows three names; the service of one is not well, and that of another does not answer."""

    def do_GET(self) -> None:
        name = (self.headers["Host"] or "").partition(":")[0]
        known = {"web.localhost": 500, "plain.example.com": 503, "down.localhost": 503}
        self.send_response(known.get(name, 421))
        self.end_headers()
        said = "it is being repaired" if name.startswith("plain") else ingress_http.NO_ANSWER
        self.wfile.write(f"503: {said}\n".encode())

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ingress)
    with running(server):
        yield server.server_address[1]


def said(
    workspace: Workspace, port: int, name: str, expose: Exposures, *, serves: bool = True
) -> list[str]:
    exposed = replace(app(name), options=Options(expose=expose))
    lock = replace(deployed(workspace.layout, exposed), ingress_port=port)
    there = replace(workspace, settings=Settings(IAC_HTTP_PORT=str(port)))
    found = faults(there, lock, exposed, serves=serves, patience=0.0)
    return [f"{fault.url} {fault.why}{' !' * fault.outage}" for fault in found]


def test_what_people_get_is_said(workspace: Workspace, port: int) -> None:
    """Any answer of the service is one; a name that the ingress does not know and an ingress that
    is not there are outages (!), a program without a port and a host without a certificate not."""
    plain = (Exposure("plain.example.com", tls="off"),)
    assert said(workspace, port, "web", (*LOCAL, *plain)) == []
    assert said(workspace, port, "other", LOCAL) == [
        f"http://other.localhost:{port}/ does not answer: the ingress does not know it !"
    ]
    assert said(workspace, port, "down", LOCAL) == [
        f"http://down.localhost:{port}/ does not answer: the ingress does not reach the service !"
    ]
    assert "refused" in said(workspace, 1, "web", LOCAL)[0]
    assert said(workspace, port, "web", LOCAL, serves=False) == [
        f"http://web.localhost:{port}/ leads to a program that listens nowhere"
    ]
    assert said(workspace, port, "web", (Exposure("app.example.com"),)) == [
        "https://app.example.com/ no certificate yet"
    ]
    assert said(workspace, port, "web", ()) == []
