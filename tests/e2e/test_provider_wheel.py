"""The provider's own wheel, as a Terraform user without KarstKit and without a registry has it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
import requests

from tests.support import own_venv
from tests.support.embedded_provider import Project
from tests.support.machine import base_image
from tests.support.mesh_lab import eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    own_venv.build(source / "provider", folder, "--wheel")
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed program, with the versions that the project's lock has."""
    folder = tmp_path_factory.mktemp("installed")
    pins = re.findall(r"^[^\s;]+==[^\s;]+", (ROOT / "requirements.txt").read_text(), re.M)
    (folder / "pins.txt").write_text("\n".join(pins))
    python = own_venv.make(folder / "venv", "--constraint", folder / "pins.txt", wheel)
    return python.with_name("terraform-provider-docker")


@pytest.fixture
def project(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder with the README's main.tf, and a package named as one that the provider needs."""
    readme = (ROOT / "provider" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```hcl\n(terraform \{.*?)```", readme, re.S)
    folder = tmp_path / "tf"
    (folder / "grpc").mkdir(parents=True)
    (folder / "grpc" / "__init__.py").write_text("raise SystemExit('the wrong grpc')")
    (folder / "main.tf").write_text(example)
    configuration = tmp_path / "docker.tfrc"
    configuration.write_text(own_venv.run(program, "mirror", tmp_path / "mirror", cwd=folder))
    made = Project(folder, configuration)
    monkeypatch.setenv("TF_VAR_image", base_image())
    monkeypatch.setenv("TF_VAR_name", f"prv{secrets.token_hex(4)}")
    yield made
    if (folder / "terraform.tfstate").exists():
        made.run("destroy", "-auto-approve")


def test_the_wheel_shares_no_file_with_karstkit(wheel: Path) -> None:
    """Both can be installed in one environment."""
    with ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert {name.split("-")[0] for name in folders} == {"karstkit_docker_provider"}


def test_the_readmes_example_comes_up_stays_and_goes(project: Project) -> None:
    """Init from the mirror, apply, an empty plan, and nothing left after destroy."""
    for command in (("init",), ("apply", "-auto-approve")):
        done = project.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    url = project.run("output", "-raw", "url").stdout
    assert eventually(lambda: requests.get(url, timeout=10).status_code, seconds=20) == 200
    assert project.changes() == ""
    done = project.run("destroy", "-auto-approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Destroy complete! Resources: 4 destroyed." in done.stdout
