"""Pythons that a base could be made for, and the making."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import base_image, python_offer, setup
from iac_wrapper.files import host
from iac_wrapper.files.host import Host, PythonBase
from tests.unit.bootstrap.conftest import Rig

BASE = PythonBase("iac/python:3.11-slim", "iac/runtime:3.11-x")


class _Engine(BaseHTTPRequestHandler):
    """An engine whose registry has two of the images, or cannot be reached."""

    reachable = True

    def do_GET(self) -> None:
        name = self.path.partition("/distribution/")[2].partition("/json")[0]
        found = name in ("python:3.13-slim", "python:3.12-slim")
        status = 200 if not name or (found and self.reachable) else 404 if self.reachable else 500
        body = json.dumps({"ApiVersion": "1.41", "message": "manifest unknown"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(_Engine, "reachable", True)
    yield f"tcp://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def recorded(rig: Rig) -> Rig:
    docker = str(rig.tools / "docker")
    record = Host(docker, "terraform", "node", "embedded", "iac/envoy:x", {"3.11": BASE})
    host.save_host(record, rig.context.home)
    return rig


def test_the_registry_is_asked(make_rig: Callable[..., Rig], endpoint: str) -> None:
    """Each Python by its image, with the engine's own registry."""
    rig = recorded(make_rig(DOCKER_HOST=endpoint))
    assert python_offer.offered(rig.context) == ["3.13", "3.12"]


def test_without_a_registry_the_mirror_is_asked(
    make_rig: Callable[..., Rig], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """apt says what the releases have."""
    monkeypatch.setattr(_Engine, "reachable", False)
    rig = recorded(make_rig(DOCKER_HOST=endpoint))
    printed = "   python3 |   3.13.5-1 | http://m/debian trixie/main amd64 Packages"
    rig.tool("apt-get", "#!/bin/sh\n")
    rig.tool("apt-cache", f"#!/bin/sh\necho '{printed}'\n")
    rig.tool("mmdebstrap", "#!/bin/sh\n")
    monkeypatch.setattr(base_image, "sources", lambda *_: ["deb http://m s main"])
    assert python_offer.offered(rig.context) == ["3.13"]


def test_an_answer_holds_also_where_nobody_answers(
    make_rig: Callable[..., Rig], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image must not depend on the network of the minute."""
    rig = recorded(make_rig(DOCKER_HOST=endpoint, IAC_BASE_IMAGES="registry"))
    assert python_offer.offered(rig.context) == ["3.13", "3.12"]
    monkeypatch.setattr(_Engine, "reachable", False)
    assert python_offer.offered(rig.context) == ["3.13", "3.12"]
    monkeypatch.setattr(python_offer, "ASKED_FOR", 0.0)
    assert python_offer.offered(rig.context) == ["3.13", "3.12"]


def test_an_image_that_was_loaded_counts(make_rig: Callable[..., Rig], endpoint: str) -> None:
    """docker load from a file is the way where nothing can be pulled."""
    rig = recorded(make_rig(DOCKER_HOST=endpoint, IAC_BASE_IMAGES="registry"))
    (rig.engine / "python_3.14-slim.json").write_text(
        '[{"Id": "sha256:1", "RootFS": {}, "Config": {}, "RepoDigests": []}]'
    )
    assert python_offer.offered(rig.context) == ["3.14", "3.13", "3.12"]


def test_a_base_is_made_once(rig: Rig) -> None:
    """It is added to the record; what was there stays, and no sidecar is built anew."""
    rig.flag("registry")
    recorded(rig)
    made = setup.add_python(rig.context, "3.13")
    assert made.image == "python:3.13-slim@sha256:d1"
    record = host.load_host(rig.context.home)
    assert record.bases == {"3.11": BASE, "3.13": made}
    assert record.sidecar_image == "iac/envoy:x"
    builds = (rig.engine / "builds").read_text()
    assert setup.add_python(rig.context, "3.13") == made
    assert (rig.engine / "builds").read_text() == builds


def test_nobody_answers(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    """Nothing is offered, and nothing is remembered of that."""
    rig = recorded(make_rig(DOCKER_HOST="tcp://127.0.0.1:1", IAC_BASE_IMAGES="registry"))
    assert python_offer.offered(rig.context) == []
    assert not (tmp_path / ".iac" / "pythons.json").exists()
