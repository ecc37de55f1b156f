"""The cdktf CLI gets this project's stack, folder and tools."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.bootstrap import cdktf_cli
from iac_wrapper.errors import BusyError
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.ledger import Ledger
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model.ledger import LedgerEntry, entries
from tests.support.receiver import receiving
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


def _argv(root: Path, script: str, *arguments: str) -> list[str]:
    """The command line that runs `script` as the CLI."""
    executable(root / "node_modules" / ".bin" / "cdktf", f"#!/bin/sh\n{script}\n")
    code = (
        "import sys; from pathlib import Path; from iac_wrapper.bootstrap import cdktf_cli;"
        "cdktf_cli.main(Path(sys.argv[1]), sys.argv[2:])"
    )
    return [sys.executable, "-c", code, str(root), *arguments]


ENVIRONMENT = {"IAC_PROJECT": "blue", "PYTHONPATH": str(Path(__file__).parents[3])}


def _run(root: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _argv(root, script, *arguments),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def _releases(root: Path) -> list[LedgerEntry]:
    return entries(Ledger(Layout(root).ledger("blue")).read().lines)


@pytest.mark.parametrize(
    ("before", "project"), [([], "blue"), (["--env", "staging"], "blue-staging")]
)
def test_the_cli_and_its_exit_code(tmp_path: Path, before: list[str], project: str) -> None:
    """Its exit code is the CLI's; stack and output folder are the project's, or that of one of
    its environments."""
    done = _run(tmp_path, 'echo "$PWD $CI $*"; exit 3', *before, "deploy", "--auto-approve")
    outdir = tmp_path / ".iac" / "projects" / project / "cdktf.out"
    assert done.stdout == f"{tmp_path} 1 deploy {project} --auto-approve --output {outdir}\n"
    assert done.returncode == 3


@pytest.mark.slow
def test_what_changes_the_project_is_a_release(tmp_path: Path) -> None:
    """Of the cdktf CLI, which proves nothing; a look is none."""
    _run(tmp_path, "exit 0", "diff")
    assert _releases(tmp_path) == []
    for code in (0, 1, 130):
        _run(tmp_path, f"exit {code}", "deploy")
    verdicts = [(release.kind, release.verdict) for release in _releases(tmp_path)]
    assert verdicts == [("deploy", each) for each in ("unproven", "failed", "interrupted")]
    assert {release.facts["by"]["source"] for release in _releases(tmp_path)} == {"cdktf"}


@pytest.mark.slow
def test_it_waits_for_nobody_and_holds_the_project(tmp_path: Path) -> None:
    """Busy is an error before the CLI starts; while that runs, others are kept out, also when what
    started it is killed: Terraform is at work."""
    directory = Layout(tmp_path).project("blue")
    with workspace_lock.hold(directory, "iac deploy"):
        done = _run(tmp_path, "touch started", "deploy")
    assert "the project blue is busy" in done.stderr
    assert not (tmp_path / "started").exists()
    argv = _argv(tmp_path, "touch started; cat fifo", "deploy")
    os.mkfifo(tmp_path / "fifo")
    running = subprocess.Popen(argv, env=ENVIRONMENT)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    running.kill()
    running.wait()
    with pytest.raises(BusyError):
        workspace_lock.acquire(directory, "iac deploy")
    (tmp_path / "fifo").write_text("go on")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(BusyError):
            workspace_lock.acquire(directory, "iac deploy").release()
            break
    assert [release.verdict for release in _releases(tmp_path)] == ["interrupted"]


@pytest.mark.slow
def test_hooks_and_the_receiver_of_notifications_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a deploy; `pre-deploy` can stop it before the CLI starts."""
    for hook in ("pre-deploy", "post-deploy", "on-failure"):
        executable(tmp_path / "hooks" / hook, "#!/bin/sh\ntest ! -e red\n")
    with receiving() as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setitem(ENVIRONMENT, name, value)
        _run(tmp_path, "touch red", "deploy")
        done = _run(tmp_path, "touch started", "deploy")
        told = [message["data"] for message in receiver.messages]
    assert "the hook pre-deploy stopped the deploy" in done.stderr
    assert not (tmp_path / "started").exists()
    ran = [[each["hook"] for each in release.facts["hooks"]] for release in _releases(tmp_path)]
    assert ran == [["pre-deploy", "post-deploy"], ["pre-deploy", "on-failure"]]
    verdicts = [(each["by"]["source"], each["verdict"]) for each in told]
    assert verdicts == [("cdktf", "unproven"), ("cdktf", "failed")]
