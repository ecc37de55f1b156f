"""Somebody's own cdktf app: KarstKit from a wheel, in a fresh virtual environment elsewhere."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import NO_SPARE, ROOT, Project
from tests.support import own_venv
from tests.support.documented import own_app
from tests.support.stream import result_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

WEB = """\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("GREETING", "hello").encode())
    def log_message(self, *_): pass
if __name__ == "__main__":
    print("sentinel: web is up", flush=True)
    http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""

ADDED = """\
from cdktf import DataResource, TerraformOutput
from cdktf_cdktf_provider_docker.network import Network
from cdktf_cdktf_provider_docker.provider import DockerProvider

Network(stack, "extra", name="{name}-extra", provider=DockerProvider(stack, "second", alias="b"))
DataResource(stack, "note", input={{"a": "x"}})
TerraformOutput(stack, "nothing", value="${{null}}")
TerraformOutput(stack, "wide", value=mesh.network.name)
TerraformStack(app, "other")
app.synth()
"""


class OwnProject(Project):
    """Runs its own `iac` in its own folder."""

    def run(self, argv: list[str], *, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.patience,
        )
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def argv(self, *arguments: str) -> list[str]:
        """No --project: `.env` has it."""
        return [str(self.folder / ".venv" / "bin" / "iac"), *arguments]


def _environment() -> dict[str, str]:
    """A shell's, in which nothing points into this checkout."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "JSII_NODE")
    left = {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("IAC_")}
    return {**left, **NO_SPARE}


def _install(folder: Path, wheel: Path) -> None:
    """A virtual environment in `folder` with the locked packages and KarstKit's wheel."""
    locked = ("--no-deps", "--require-hashes", "-r", ROOT / "requirements.txt")
    python = own_venv.make(folder / ".venv", *locked)
    own_venv.uv("pip", "install", "--no-config", "--no-deps", "--python", python, wheel)


@pytest.fixture(scope="module")
def own(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnProject]:
    """A folder as docs/own-cdktf-app.md says, with packages of its own named like two of ours."""
    name = f"t{secrets.token_hex(4)}"
    folder = tmp_path_factory.mktemp(name)
    _install(folder, wheel)
    (folder / "cdktf.json").write_text('{"language": "python", "app": "python main.py"}')
    (folder / ".env").write_text(f"IAC_PROJECT={name}\nIAC_HOME={ROOT / '.iac'}\n")
    (folder / "repos.yaml").write_text("- ./web\n")
    (folder / "web").mkdir()
    (folder / "web" / "main.py").write_text(WEB)
    (folder / "stacks").mkdir()
    (folder / "stacks" / "__init__.py").touch()
    (folder / "stacks" / "names.py").write_text(f"STACK = {name!r}\n")
    (folder / "admin").mkdir()
    (folder / "admin" / "__init__.py").write_text("OWN = True\n")
    (folder / "main.py").write_text(_program(own_app()))
    made = OwnProject(name, folder)
    try:
        yield made
    finally:
        made.iac("destroy", "--yes", "--if-exists")


def _program(text: str) -> str:
    """The documented lines, with the stack's name from the folder `stacks`."""
    imports = "import admin\nfrom stacks.names import STACK\n\nassert admin.OWN\n"
    return imports + text.replace("project_name()", "STACK")


def test_the_documented_lines_deploy(own: OwnProject) -> None:
    """Every verb serves the project, from its own folder, and nothing lies anywhere else."""
    verdict = own.deploy()

    assert [service["status"] for service in verdict["services"]] == ["SERVING"]
    assert own.health()["web"]["status"] == "SERVING"
    assert "sentinel: web is up" in own.iac("logs").stdout
    assert own.iac("plan", "--file", str(own.file)).stdout == "No changes.\n"
    assert (own.folder / ".iac" / "projects" / own.name / "terraform.tfstate").exists()
    assert not own.directory.exists()


def test_what_they_add_is_planned_applied_and_named(own: OwnProject) -> None:
    """A variable and a limit of one service, a network of another provider configuration, a null
    output, another stack: the rollout is the usual one, and the second plan is empty."""
    text = own_app().replace(
        "service=name)", 'service=name, env={"GREETING": "own"}, memory_mb=200)'
    )
    text = text.replace("app.synth()\n", ADDED.format(name=own.name))
    (own.folder / "main.py").write_text(_program(text))
    before = own.container("web", "app").id

    planned = own.iac("plan", "--file", str(own.file)).stdout
    done = own.iac("deploy", "--file", str(own.file))

    assert "env: changed GREETING, which KarstKit or main.py sets" in planned
    assert "memory: 512m → 200m (IAC_MEMORY_MB or main.py)" in planned
    assert "  + docker_network.extra: new (of your own in main.py)\n" in planned
    assert "  + output.wide: new (of your own in main.py)\n" in planned
    assert "  + terraform_data.note: new (of your own in main.py)\n" in planned
    assert "nothing" not in planned
    assert "Plan: 1 replaced, 3 beside the services." in planned
    assert "Trying web beside the version that serves" in done.stderr
    container = own.container("web", "app")
    assert container.id != before
    assert "GREETING=own" in container.attrs["Config"]["Env"]
    assert own.health()["web"]["status"] == "SERVING"
    assert own.iac("plan", "--file", str(own.file)).stdout == "No changes.\n"


def test_a_stack_of_another_name_is_said(own: OwnProject) -> None:
    """Nothing is changed, and the error has the stacks that there are."""
    done = own.iac("plan", "--file", str(own.file), "--project", "elsewhere", code=2)

    assert "the stack does not have the project's name" in done.stderr
    assert f"stack {own.name}" in done.stderr


def test_destroy_names_and_removes_what_they_added(own: OwnProject) -> None:
    """The question has it; afterwards neither services nor the network are there."""
    asked = own.iac("destroy", code=2).stderr

    assert "of your own in main.py: docker_network.extra, terraform_data.note" in asked
    own.iac("destroy", "--yes")
    assert own.container_ids() == {}
    assert own.engine.networks.list(names=[f"{own.name}-extra"]) == []
    assert result_of(own.iac("destroy", "--yes", "--if-exists", "--json").stdout)["left"] == []
