"""The same app under cdktn, the live fork of cdktf: the boundary holds (decision 1)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import main
from iac_wrapper.files import host as host_record
from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import MachineHome
from tests.constructs.facts import app, host, lock, users
from tests.support import own_venv
from tests.support.node import use_node

REPOSITORY = Path(main.__file__).parent

SYNTH = """
import sys
from pathlib import Path
import main
main.app_process.explain_errors()
main.ROOT = Path(sys.argv[1])
main.main()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with two services, as `iac lock` leaves it."""
    facts = lock(
        app(env={"GREETING": "100 %{x} ${y}"}, port=8080, port_declared=True),
        app("svc-b", slug="gh:owner/other"),
    )
    lock_file.save_lock(facts, tmp_path / "repos.lock.json")
    users_file.save_users(users(facts), Layout(tmp_path).users("iacnet"))
    host_record.save_host(host(node=shutil.which(use_node()) or ""), MachineHome(tmp_path / ".iac"))
    return tmp_path


def _synth(project: Path, python: str | Path, cdk: str) -> Any:
    shutil.rmtree(project / "cdktf.out", ignore_errors=True)
    own_venv.run(
        python,
        "-c",
        SYNTH,
        project,
        cwd=REPOSITORY,
        KARSTKIT_CDK=cdk,
        IAC_LOCK_FILE="",
        CDKTF_OUTDIR=str(project / "cdktf.out"),
        IAC_HOME=str(project / ".iac"),
    )
    (stack,) = (project / "cdktf.out").rglob("cdk.tf.json")
    return json.loads(stack.read_text())


@pytest.mark.slow
def test_the_stack_is_the_same_but_for_the_synthesizers_own_version(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In an environment that has cdktn and no cdktf; every other value is equal."""
    pinned = ("--no-deps", "--require-hashes", "-r", REPOSITORY / "requirements-cdktn.txt")
    python = own_venv.make(tmp_path_factory.mktemp("cdktn") / "venv", *pinned)
    missing = subprocess.run([python, "-c", "import cdktf"], capture_output=True, check=False)
    assert missing.returncode == 1

    ours, theirs = _synth(project, sys.executable, ""), _synth(project, python, "cdktn")

    versions = [one["//"]["metadata"].pop("version") for one in (ours, theirs)]
    assert versions == ["0.21.0", "0.24.0"]
    pinned = theirs["//"]["metadata"].pop("overrides")
    assert list(pinned.values()) == [["terraform"]]
    # Each names its own Python, which sends policies.
    assert json.loads(json.dumps(theirs).replace(str(python), sys.executable)) == ours
    assert len(ours["resource"]["docker_container"]) == 5


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("cdktn", "the synthesizer cdktn is not installed"),
        ("pulumi", "KARSTKIT_CDK names no synthesizer"),
    ],
)
def test_a_synthesizer_that_is_not_there_is_an_error_with_a_next_step(
    project: Path, chosen: str, said: str
) -> None:
    """This environment has cdktf only; nothing falls back to it unasked."""
    with pytest.raises(AssertionError) as failed:
        _synth(project, sys.executable, chosen)
    assert said in str(failed.value)
    assert "unset KARSTKIT_CDK" in str(failed.value)
    assert "Traceback" not in str(failed.value)
