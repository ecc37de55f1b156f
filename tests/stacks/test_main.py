"""The cdktf app: what it reads, where it writes, how it fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import main
from constructs_lib import app_process
from iac_wrapper.files import host as host_record
from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import MachineHome
from tests.constructs.facts import app, host, lock, users
from tests.support.node import use_node

REPOSITORY = Path(main.__file__).parent
NODE = shutil.which(use_node()) or ""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a lock and a host record, as the app's own folder."""
    lock_file.save_lock(lock(app()), tmp_path / "repos.lock.json")
    users_file.save_users(users(lock(app())), Layout(tmp_path).users("iacnet"))
    host_record.save_host(host(node=NODE), MachineHome(tmp_path / ".iac"))
    monkeypatch.setenv("IAC_HOME", str(tmp_path / ".iac"))
    monkeypatch.setattr(main, "ROOT", tmp_path)
    for name in ("JSII_NODE", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for name in ("IAC_LOCK_FILE", "IAC_USERS_FILE", "CDKTF_OUTDIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _main(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and what is on stderr, as a process of its own would end."""
    try:
        main.main()
    except Exception as error:
        with pytest.raises(SystemExit) as ended:
            app_process.end_with_sentences(type(error), error, None)
        return int(str(ended.value.code)), capsys.readouterr().err
    return 0, capsys.readouterr().err


def _stack(outdir: Path, name: str = "iacnet") -> Path:
    return outdir / "stacks" / name / "cdk.tf.json"


def test_one_stack_with_the_name_of_the_project(project: Path) -> None:
    """By itself it writes where the layout says, one stack."""
    main.main()

    assert [p.name for p in (project / "cdktf.out" / "stacks").iterdir()] == ["iacnet"]
    assert json.loads(_stack(project / "cdktf.out").read_text())["output"]["lock"]


def test_folder_and_users_are_taken_from_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cdktf CLI names its folder so, and `iac` the uids that a plan proposes, too."""
    layout = Layout(project)
    layout.users("iacnet").rename(project / "proposed.json")
    monkeypatch.setenv("CDKTF_OUTDIR", str(project / "cli"))
    monkeypatch.setenv("IAC_USERS_FILE", str(project / "proposed.json"))

    main.main()

    assert _stack(project / "cli").exists()


def test_lock_file_setting_names_another_lock(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several projects live in one folder, each with its lock and its output."""
    facts = lock(project="shop", network="iacnet-shop", subnet="172.21.0.0/24")
    lock_file.save_lock(facts, project / "shop.lock.json")
    users_file.save_users(users(facts), Layout(project).users("shop"))
    monkeypatch.setenv("IAC_LOCK_FILE", "shop.lock.json")

    main.main()
    assert _stack(project / ".iac" / "projects" / "shop" / "cdktf.out", "shop").exists()


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_and_nothing_of_this_checkout(project: Path) -> None:
    """Neither hash seeds nor stack traces reach the output, nor a path but that of the Python that
    sends policies; stderr stays empty."""
    code = f"import main, pathlib; main.ROOT = pathlib.Path({str(project)!r}); main.main()"
    main.main()
    first = _stack(project / "cdktf.out").read_bytes()

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert _stack(project / "cdktf.out").read_bytes() == first
    assert str(REPOSITORY).encode() not in first.replace(sys.executable.encode(), b"")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("repos.lock.json", "no lock file"),
        (".iac/host.json", "this machine is not set up yet"),
        (".iac/projects/iacnet/users.json", "have no users on this machine yet"),
    ],
)
def test_missing_input_is_explained(
    project: Path, capsys: pytest.CaptureFixture[str], broken: str, message: str
) -> None:
    """No lock, host record or uids: the sentence, the next step and exit code 2, no traceback."""
    (project / broken).unlink()

    code, printed = _main(capsys)

    assert code == 2
    assert message in printed
    assert "next:" in printed
    assert "Traceback" not in printed


def test_missing_node_is_explained(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """jsii itself would end in an AttributeError."""
    host_record.save_host(host(node=str(project / "node")), MachineHome(project / ".iac"))

    code, printed = _main(capsys)

    assert code == 2
    assert "Node is not where bootstrap found it" in printed


def test_user_names_in_urls_are_no_secrets(project: Path) -> None:
    """A slug over ssh and a database URL without a password pass every policy."""
    lock_file.save_lock(
        lock(app(slug="git+ssh://git@example.org/o/r#main", env={"DB": "postgres://app@db/x"})),
        project / "repos.lock.json",
    )

    main.main()

    written = _stack(project / "cdktf.out").read_text()
    assert "git+ssh://git@example.org/o/r#main" in written
    assert "DB=postgres://app@db/x" in written


def test_refused_stack_is_explained(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A policy's sentence reaches the user without jsii's stack."""
    lock_file.save_lock(lock(app(env={"T": "ghp_" + "x" * 36})), project / "repos.lock.json")

    code, printed = _main(capsys)

    assert code == 2
    assert "env[T]: looks like a key" in printed
    assert "ignore" not in printed
    assert "Traceback" not in printed
