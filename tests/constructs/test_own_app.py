"""Somebody's own cdktf app: the lines of the documentation, and what can be wrong with others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cdktf
import pytest
from cdktf_cdktf_provider_docker.container import Container, ContainerLabels
from cdktf_cdktf_provider_docker.network import Network

from constructs_lib import AppWithEnvoy, AppWithEnvoyProps, Mesh
from constructs_lib.mesh_props import MeshProps
from iac_wrapper.errors import ConfigError
from tests.constructs.facts import app, environment, only, props, scratch_app
from tests.support import recorded
from tests.support.documented import own_app
from tests.support.node import use_node

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
NODE = shutil.which(use_node()) or ""
TAKEN = ("admin", "runner", "stacks")
"""Names of packages of ours that a person's folder beside main.py may have."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project folder with the documented main.py, recorded facts, and packages of its own."""
    recorded.put(tmp_path, NODE)
    (tmp_path / "main.py").write_text(own_app())
    for name in TAKEN:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWN = True\n")
    return tmp_path


def _run(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """`main.py` as the cdktf CLI starts it, with our packages installed."""
    own = ("CDKTF_", "IAC_", "JSII_NODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return subprocess.run(
        [sys.executable, "main.py"],
        cwd=folder,
        env={**kept, "JSII_NODE": NODE, "PYTHONPATH": str(REPOSITORY), **_home(folder), **more},
        capture_output=True,
        text=True,
        check=False,
    )


def _home(folder: Path) -> dict[str, str]:
    """The machine's record is the recorded one."""
    return {"IAC_HOME": str(folder / ".iac")}


def test_the_documented_lines_make_the_stack_of_the_checkout(folder: Path) -> None:
    """The same resources, state and record as from our own main.py, beside packages that have the
    names of ours."""
    used = "".join(f"import {name}; assert {name}.OWN\n" for name in TAKEN)
    (folder / "main.py").write_text(used + own_app())

    done = _run(folder)

    assert (done.returncode, done.stderr) == (0, "")
    own = (folder / "cdktf.out" / "stacks" / "shop" / "cdk.tf.json").read_text()
    wanted = _of_the_checkout(folder)
    assert json.loads(own)["resource"] == wanted["resource"]
    assert json.loads(own)["terraform"] == wanted["terraform"]
    assert json.loads(own)["output"] == wanted["output"]
    lines = [line for line in own_app().splitlines() if line]
    assert len(lines) <= 10


def _of_the_checkout(folder: Path) -> dict[str, Any]:
    """What our own main.py writes for the project in `folder`, at the same place."""
    code = (
        "import main, pathlib, os; main.ROOT = pathlib.Path.cwd()\n"
        f"os.environ['CDKTF_OUTDIR'] = {str(folder / 'cdktf.out')!r}; main.main()"
    )
    for name in TAKEN:
        shutil.rmtree(folder / name)
    (folder / "main.py").unlink()
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **_home(folder)},
        check=True,
    )
    text = (folder / "cdktf.out" / "stacks" / "shop" / "cdk.tf.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def _without_lock(folder: Path) -> None:
    (folder / "repos.lock.json").unlink()


def _without_host(folder: Path) -> None:
    (folder / ".iac" / "host.json").unlink()


def _unknown_service(folder: Path) -> None:
    text = own_app().replace("mesh.services", '["web", "qiuck"]')
    (folder / "main.py").write_text(text)


def _another_name(folder: Path) -> None:
    (folder / "main.py").write_text(own_app().replace("project_name()", '"store"'))


def _two_meshes(folder: Path) -> None:
    text = own_app().replace("mesh = Mesh(stack)\n", "mesh = Mesh(stack)\nMesh(stack)\n")
    (folder / "main.py").write_text(text)


def _one_less(folder: Path) -> None:
    (folder / "main.py").write_text(own_app().replace("mesh.services", "mesh.services[1:]"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_lock, ["repos.lock.json: no lock file", "next:     iac lock --file repos.yaml"]),
        (_without_host, ["this machine is not set up yet", "next:     make bootstrap"]),
        (_unknown_service, ["no service 'qiuck'", "found:    the services quick, web"]),
        (_another_name, ["the stack does not have the project's name", "IAC_PROJECT=store"]),
        (_two_meshes, ["the stack has a Mesh already"]),
        (_one_less, ["services without an AppWithEnvoy: quick", "iac lock --file repos.yaml"]),
    ],
)
def test_what_is_wrong_is_told_without_a_traceback(
    folder: Path, spoil: Callable[[Path], None], words: list[str]
) -> None:
    """A plain main.py catches nothing: its errors are sentences all the same, with exit code 2."""
    spoil(folder)

    done = _run(folder)

    assert done.returncode == 2
    for text in words:
        assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_mistake_of_their_own_is_a_traceback(folder: Path) -> None:
    """Whoever wrote the line needs to see which one it is."""
    (folder / "main.py").write_text(own_app() + "1 / 0\n")

    done = _run(folder)

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "main.py" in done.stderr


def test_without_any_node_the_error_says_so(folder: Path) -> None:
    """Our import comes first here; cdktf's own would end in an AttributeError."""
    _without_host(folder)
    (folder / "main.py").write_text("from constructs_lib import Mesh\n")

    done = _run(folder, JSII_NODE="", PATH="/nowhere")

    assert done.returncode == 2
    assert "make bootstrap" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_name_is_python_s_own_error() -> None:
    """Not ours: the import of something that is not there."""
    with pytest.raises(ImportError, match="cannot import name 'Mosh'"):
        from constructs_lib import Mosh  # noqa: F401, PLC0415


@pytest.fixture
def stack() -> Iterator[cdktf.TerraformStack]:
    """An empty stack with the name of the project of `facts`."""
    with scratch_app() as scope:
        yield cdktf.TerraformStack(scope, "iacnet")


def _service(stack: cdktf.TerraformStack, facts: MeshProps, **own: Any) -> AppWithEnvoy:
    mesh = Mesh(stack, facts)
    return AppWithEnvoy(stack, "svc-a", AppWithEnvoyProps(mesh=mesh, service="svc-a", **own))


def _synth(stack: cdktf.TerraformStack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(cdktf.Testing.synth(stack, True)))
    return found


def test_a_service_takes_variables_and_limits_in_code(stack: cdktf.TerraformStack) -> None:
    """They add to repos.yaml, quoted as its own are, and the limits win."""
    _service(stack, props(app(env={"A": "1"})), env={"B": "${file(1)} x"}, memory_mb=64, cpus=0.5)

    container = only(_synth(stack), "docker_container", "svc-a_app")

    assert environment(container)["A"] == "1"
    assert environment(container)["B"] == '${"$"}{file(1)} x'
    assert (container["memory"], container["memory_swap"]) == (64, 64)
    assert container["cpu_quota"] == 50_000


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"env": {"A": "2"}}, "variables that repos.yaml does not set"),
        ({"env": {"TOKEN": "${TOKEN}"}}, "it in `env:` of repos.yaml"),
        ({"env": {"PORT": "1"}}, "PORT"),
        ({"memory_mb": 1}, "at least"),
        ({"cpus": 0}, "more than 0"),
    ],
)
def test_what_a_service_cannot_take_is_refused(
    stack: cdktf.TerraformStack, own: dict[str, Any], message: str
) -> None:
    """Where it would be ignored, or end up in Terraform's state."""
    with pytest.raises(ConfigError) as caught:
        _service(stack, props(app(env={"A": "1"})), **own)
    assert message in str(caught.value)


def test_a_service_has_its_name_as_id_and_is_there_once(stack: cdktf.TerraformStack) -> None:
    """Two containers of one name could not be applied."""
    mesh = Mesh(stack, props(app()))
    facts = AppWithEnvoyProps(mesh=mesh, service="svc-a")
    with pytest.raises(ConfigError, match="has its service's name as id"):
        AppWithEnvoy(stack, "front", facts)
    AppWithEnvoy(stack, "svc-a", facts)
    with pytest.raises(ConfigError, match="in the stack twice"):
        AppWithEnvoy(cdktf.TerraformStack(stack, "below"), "svc-a", facts)


def test_what_somebody_adds_is_theirs(stack: cdktf.TerraformStack) -> None:
    """A container and a network need neither our labels nor our strictness."""
    service = _service(stack, props(app()))
    Network(stack, "extra", name="extra")
    Container(stack, "db", name="db", image="postgres:16", privileged=True)
    cdktf.TerraformOutput(stack, "url", value=service.identity)

    made = _synth(stack)

    assert made["resource"]["docker_container"]["db"]["privileged"] is True
    assert sorted(made["output"]) == ["lock", "url"]


def _pretends(stack: cdktf.TerraformStack, _service: AppWithEnvoy) -> None:
    label = ContainerLabels(label="org.karstkit.service", value="svc-a")
    Container(stack, "db", name="db", image="postgres:16", labels=[label])


def _secret(stack: cdktf.TerraformStack, _service: AppWithEnvoy) -> None:
    Container(stack, "db", name="db", image="postgres:16", env=["TOKEN=ghp_" + "x" * 36])


def _backend(stack: cdktf.TerraformStack, _service: AppWithEnvoy) -> None:
    stack.add_override("terraform.backend.local.path", "elsewhere.tfstate")


def _record(stack: cdktf.TerraformStack, _service: AppWithEnvoy) -> None:
    cdktf.TerraformOutput(stack, "lock", value="mine")


def _weak(_stack: cdktf.TerraformStack, service: AppWithEnvoy) -> None:
    service.app.add_override("read_only", False)


def _mislabelled(_stack: cdktf.TerraformStack, service: AppWithEnvoy) -> None:
    service.envoy.add_override("labels.1.value", "shop")


@pytest.mark.parametrize(
    ("add", "words"),
    [
        (_pretends, "docker_container.db: carries org.karstkit.service, expected labels of your"),
        (_secret, "docker_container.db.env[TOKEN]: looks like a key"),
        (_backend, "another backend"),
        (_record, "another output 'lock'"),
        (_weak, "has a writable root, expected read_only = true"),
        (_mislabelled, "label org.karstkit.project is 'shop', expected 'iacnet'"),
    ],
)
def test_the_policies_hold_in_everybody_s_stack(
    stack: cdktf.TerraformStack,
    add: Callable[[cdktf.TerraformStack, AppWithEnvoy], None],
    words: str,
) -> None:
    """What would break what `iac` says of a project stops synthesis, with its address."""
    add(stack, _service(stack, props(app())))

    with pytest.raises(RuntimeError) as caught:
        _synth(stack)
    assert words in str(caught.value)


def test_validation_cannot_be_switched_off(tmp_path: Path) -> None:
    """The policies would be gone with it, without a word."""
    scope = cdktf.App(outdir=str(tmp_path), skip_validation=True)
    with pytest.raises(ConfigError, match="skips validation"):
        Mesh(cdktf.TerraformStack(scope, "iacnet"), props(app()))
