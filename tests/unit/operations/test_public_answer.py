"""An exposed service is asked where people ask: what they would get is said."""

from __future__ import annotations

import http.server
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from iac_wrapper.model.exposure import LOCAL, Exposure, Exposures
from iac_wrapper.model.options import Options
from iac_wrapper.operations.public_answer import faults
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings
from tests.support.deployed import app, deployed
from tests.support.running import running


class Ingress(http.server.BaseHTTPRequestHandler):
    """Knows one name; its service is not well."""

    def do_HEAD(self) -> None:
        known = (self.headers["Host"] or "").startswith(("web.localhost:", "plain.example.com:"))
        self.send_response(500 if known else 421)
        self.end_headers()

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
    assert "refused" in said(workspace, 1, "web", LOCAL)[0]
    assert said(workspace, port, "web", LOCAL, serves=False) == [
        f"http://web.localhost:{port}/ leads to a program that listens nowhere"
    ]
    assert said(workspace, port, "web", (Exposure("app.example.com"),)) == [
        "https://app.example.com/ no certificate yet"
    ]
    assert said(workspace, port, "web", ()) == []
