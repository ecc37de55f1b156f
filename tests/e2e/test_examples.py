"""The bundled examples, as `make demo` deploys them."""

from __future__ import annotations

import json
import shutil
import time

import pytest

from tests.e2e.conftest import ROOT, Project

pytestmark = pytest.mark.integration

ASK_CALLER = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:50051/').read().decode())"
)


def test_the_examples_serve_and_call_each_other(project: Project) -> None:
    """All five are SERVING; the caller reaches Flask and gRPC by plain names through the mesh."""
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
            return
        time.sleep(0.2)
    pytest.fail(f"the caller said {said!r}")
