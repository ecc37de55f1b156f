"""Staging and production of one repos file, side by side on one machine."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

pytestmark = [pytest.mark.integration]

PROGRAM = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
print("stage", os.environ["STAGE"], flush=True)
http.server.HTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
"""

FILE = """
defaults: {memory: 64m, env: {STAGE: none}}
apps:
- ./orders
environments:
  staging:
    defaults: {env: {STAGE: staging}}
  production:
    services: {orders: {memory: 96m}}
"""

MORE = """
apps:
- {name: orders, env: {STAGE: live}}
- ./tools
environments:
  production:
    except: [tools]
"""


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Project]:
    """A project that is never deployed: its environments are."""
    made = Project(f"t{secrets.token_hex(4)}", tmp_path)
    try:
        yield made
    finally:
        for environment in ("staging", "production"):
            made.iac("destroy", "--yes", "--if-exists", "--env", environment)


def test_two_environments_live_side_by_side(base: Project) -> None:
    """Each is a project with its own network, lock and state; a second file wins over the first;
    to destroy one leaves the other alone."""
    more = base.folder / "sub" / "more.yaml"
    for folder in (base.folder / "orders", more.parent / "tools"):
        folder.mkdir(parents=True)
        (folder / "main.py").write_text(PROGRAM)
    base.file.write_text(FILE)
    more.write_text(MORE)
    files = {
        "staging": ("--file", str(base.file)),
        "production": ("--file", str(base.file), "--file", str(more)),
    }
    refused = base.iac("deploy", *files["staging"], code=2)
    assert "the environments staging, production" in refused.stderr
    for name, stage in (("staging", "staging"), ("production", "live")):
        said = base.iac("deploy", *files[name], "--env", name)
        assert f"==> Project {base.name}-{name} (environment {name})" in said.stderr
        assert f"stage {stage}" in Project(f"{base.name}-{name}", base.folder).iac("logs").stdout
    base.iac("plan", *files["production"], "--env", "production", "--detailed-exitcode")

    lock = json.loads(base.file.with_name("repos.production.lock.json").read_text())
    assert (lock["project"], lock["environment"]) == (f"{base.name}-production", "production")
    assert lock["apps"].keys() == {"orders"}
    assert lock["apps"]["orders"]["env"] == {"STAGE": "live"}
    assert lock["apps"]["orders"]["options"] == {"memory_mb": 96}

    Project(f"{base.name}-staging", base.folder).iac("destroy", "--yes")
    left = json.loads(base.iac("health", "--env", "production", "--json").stdout)
    assert [service["status"] for service in left["services"]] == ["SERVING"]
