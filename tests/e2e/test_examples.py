"""The bundled examples, as `make demo` deploys them."""

from __future__ import annotations

import json
import shutil
import time

import grpc
import pytest

from tests.e2e.conftest import ROOT, Project
from tests.support.proxying import plain, proxying

pytestmark = pytest.mark.integration

ASK_CALLER = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:50051/').read().decode())"
)


def test_the_examples_serve_and_call_each_other(project: Project) -> None:
    """All five are SERVING; the caller reaches Flask and gRPC by plain names through the mesh, and
    so does this machine through `iac proxy`."""
    shutil.copytree(ROOT / "examples", project.folder, dirs_exist_ok=True)
    report = project.deploy()
    assert report["verdict"] == "ok"
    assert {s["name"]: s["phase"] for s in report["services"]} == {
        "caller": "RUNNING",
        "flask-app": "RUNNING",
        "greeter-grpc": "RUNNING",
        "hello-main": "COMPLETED",
        "shell-main": "RUNNING",
    }
    evidence = {s["name"]: s["evidence"] for s in report["services"]}
    assert evidence["greeter-grpc"].startswith("gRPC UNIMPLEMENTED in ")
    assert evidence["flask-app"].startswith("200 in ")
    app = project.container("caller", "app")
    wanted = {"flask-app": "Hello from repos.yaml", "greeter-grpc": "Hello, caller!"}
    deadline = time.monotonic() + 10
    while (said := app.exec_run(["/venv/bin/python", "-c", ASK_CALLER])[1]) and (
        time.monotonic() < deadline
    ):
        if said.startswith(b"{") and json.loads(said) == wanted:
            break
        time.sleep(0.2)
    else:
        pytest.fail(f"the caller said {said!r}")
    _answer_here(project)


def _answer_here(project: Project) -> None:
    """Flask and gRPC from this machine, as plain as from another service; a destroy ends that."""
    with proxying(project, "flask-app") as flask, proxying(project, "greeter-grpc") as greeter:
        with plain(f"http://localhost:{flask.port}/", timeout=5) as answer:
            assert json.load(answer) == {"greeting": "Hello from repos.yaml"}
        options = (("grpc.enable_http_proxy", 0),)
        with grpc.insecure_channel(f"localhost:{greeter.port}", options=options) as channel:
            say = channel.unary_unary(
                "/greeter.Greeter/SayHello",
                request_serializer=str.encode,
                response_deserializer=bytes.decode,
            )
            assert say("you", timeout=5) == "Hello, you!"
        done = project.iac("destroy", "--yes")
        assert "warning: flask-app: ending the `iac proxy` that is open" in done.stderr
        assert flask.process.wait(10) == greeter.process.wait(10) == 5
