"""The official provider and the embedded one on the same objects: `make interop`.

Skipped where the official one cannot be had. A site with a mirror of its own names a Terraform CLI
configuration that finds it in INTEROP_TF_CLI_CONFIG_FILE.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.bootstrap.provider import can_download
from tests.e2e.conftest import ROOT
from tests.e2e.conftest import Project as Service
from tests.support.embedded_provider import Project, make_mirror
from tests.support.sidecar_stack import sidecar_stack

pytestmark = pytest.mark.integration

OTHER = {"official": "embedded", "embedded": "official"}


@pytest.fixture(scope="module")
def configurations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Terraform CLI configurations: where each provider comes from."""
    folder = tmp_path_factory.mktemp("interop")
    return {"official": official(folder), "embedded": make_mirror(folder)}


def official(folder: Path) -> Path:
    """The configuration that finds the official provider; skips where none does."""
    if named := os.environ.get("INTEROP_TF_CLI_CONFIG_FILE"):
        return Path(named)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    if not can_download(f"linux_{machine}"):
        pytest.skip("the Terraform registry does not answer: no official provider to compare with")
    plain = folder / "plain.tfrc"
    plain.touch()  # an existing, empty configuration: the registry, whatever this machine prefers
    return plain


@pytest.mark.parametrize("writer", ["official", "embedded"])
def test_each_provider_plans_empty_on_the_others_state(
    writer: str, tmp_path: Path, configurations: dict[str, Path]
) -> None:
    """A project may change between the two without touching a container."""
    first = Project(tmp_path / "first", configurations[writer])
    second = Project(tmp_path / "second", configurations[OTHER[writer]])
    stack = sidecar_stack(f"int{secrets.token_hex(4)}", tmp_path)
    for project in (first, second):
        project.write(stack)
    try:
        done = first.apply()
        assert done.returncode == 0, done.stdout + done.stderr
        assert first.changes() == ""
        shutil.copy(first.folder / "terraform.tfstate", second.folder)
        assert second.changes() == ""
    finally:
        done = first.run("destroy", "-auto-approve")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A project of one of the examples, destroyed at the end with the provider used last."""
    made = Service(f"int{secrets.token_hex(4)}", tmp_path)
    made.file.write_text(f"- slug: {ROOT}/examples/flask-app\n  port: 50051\n")
    try:
        yield made
    finally:
        made.iac("destroy", "--yes")


@pytest.mark.parametrize("writer", ["official", "embedded"])
def test_an_example_deploys_with_each_and_the_other_changes_nothing(
    writer: str, service: Service, configurations: dict[str, Path]
) -> None:
    """SERVING after the first, no container touched by a plan and a deploy with the second."""
    use(service, configurations[writer])
    assert service.deploy()["verdict"] == "ok"
    made = service.container_ids()
    use(service, configurations[OTHER[writer]])
    service.iac("plan", "--file", str(service.file), "--detailed-exitcode", code=0)
    again: dict[str, Any] = service.deploy()
    assert (again["verdict"], service.container_ids()) == ("ok", made)


def use(service: Service, configuration: Path) -> None:
    """Let Terraform take its provider from where `configuration` says."""
    service.environment["TF_CLI_CONFIG_FILE"] = str(configuration)
