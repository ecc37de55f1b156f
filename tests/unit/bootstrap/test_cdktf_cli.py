"""The cdktf CLI gets this project's stack, folder and tools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import cdktf_cli
from iac_wrapper.files.machine_home import MachineHome
from tests.unit.bootstrap.conftest import executable


def test_our_terraform_and_node_come_first() -> None:
    home = MachineHome(Path("/p/.iac"))
    found = cdktf_cli.environment({"PATH": "/usr/bin", "IAC_LOCK_FILE": "x.lock.json"}, home)
    assert found["PATH"] == "/p/.iac/bin:/usr/bin"
    assert found["TERRAFORM_BINARY_NAME"] == "/p/.iac/bin/terraform"
    assert found["IAC_LOCK_FILE"] == "x.lock.json"


def test_variables_that_would_move_the_state_are_left_out() -> None:
    environ = {"TF_WORKSPACE": "x", "TF_DATA_DIR": "/x", "TF_LOG": "debug"}
    found = cdktf_cli.environment(environ, MachineHome(Path("/p/.iac")))
    assert found.keys() & environ.keys() == {"TF_LOG"}


def test_a_relative_configuration_of_terraform_is_found_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CLI runs Terraform in another folder than the person's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.tfrc").touch()
    environ = {"TF_CLI_CONFIG_FILE": "own.tfrc"}
    found = cdktf_cli.environment(environ, MachineHome(Path("/p/.iac")))
    assert found["TF_CLI_CONFIG_FILE"] == str(tmp_path / "own.tfrc")


@pytest.mark.parametrize(
    ("before", "project"), [([], "blue"), (["--env", "staging"], "blue-staging")]
)
def test_the_process_becomes_the_cli(tmp_path: Path, before: list[str], project: str) -> None:
    """Its exit code is the CLI's; stack and output folder are the project's, or that of one of
    its environments."""
    show = '#!/bin/sh\necho "$PWD $CI $*"; exit 3\n'
    executable(tmp_path / "node_modules" / ".bin" / "cdktf", show)
    code = (
        "import sys; from pathlib import Path; from iac_wrapper.bootstrap import cdktf_cli;"
        "cdktf_cli.main(Path(sys.argv[1]), [*sys.argv[2:], 'deploy', '--auto-approve'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, *before],
        env={"IAC_PROJECT": "blue", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    outdir = tmp_path / ".iac" / "projects" / project / "cdktf.out"
    assert done.stdout == f"{tmp_path} 1 deploy {project} --auto-approve --output {outdir}\n"
    assert done.returncode == 3
