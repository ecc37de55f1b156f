"""The adapter around the cdktf app; the app itself is tested in tests/stacks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from iac_wrapper.adapters.synth import synth
from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.files.host import Host

WRITES = """
import json, os, pathlib, sys
out = pathlib.Path(os.environ["CDKTF_OUTDIR"])
def write(name, output):
    (out / "stacks" / name).mkdir(parents=True, exist_ok=True)
    (out / "stacks" / name / "cdk.tf.json").write_text(json.dumps({"output": output}))
    known[name] = {"workingDirectory": f"stacks/{name}"}
    (out / "manifest.json").write_text(json.dumps({"stacks": known}))
known = {}
"""
"""Stands for cdktf: leaves what App.synth leaves."""


def _host(node: str) -> Host:
    return Host("docker", "terraform", node, "embedded", "iac/envoy:x", {})


def _synth(folder: Path, program: str) -> Path:
    (folder / "main.py").write_text(program)
    return synth(
        folder,
        _host(sys.executable),
        lock=folder / "repos.lock.json",
        users=folder / "users.json",
        outdir=folder / "below" / "out",
        project="demo",
    )


def test_the_app_is_told_everything_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No arguments: a plain main.py parses none. What would change its output is taken away."""
    monkeypatch.setenv("CDKTF_TARGET_STACK_ID", "other")
    (tmp_path / "cdktf.json").write_text('{"app": "x", "context": {"flag": "true"}}')
    names = ["IAC_LOCK_FILE", "IAC_USERS_FILE", "JSII_NODE", "CDKTF_CONTEXT_JSON"]
    program = (
        f"{WRITES}\nassert not sys.argv[1:] and 'CDKTF_TARGET_STACK_ID' not in os.environ\n"
        f"write('demo', {{'lock': [os.environ[n] for n in {names}]}})"
    )

    directory = _synth(tmp_path, program)

    assert directory == tmp_path / "below" / "out" / "stacks" / "demo"
    told = json.loads((directory / "cdk.tf.json").read_text())["output"]["lock"]
    lock, users = tmp_path / "repos.lock.json", tmp_path / "users.json"
    assert told == [str(lock), str(users), sys.executable, '{"flag": "true"}']


def test_the_stack_with_the_projects_name_is_ours(tmp_path: Path) -> None:
    """Others in the app do not disturb."""
    program = f"{WRITES}\nwrite('other', {{}})\nwrite('demo', {{'lock': 1}})"

    assert _synth(tmp_path, program).name == "demo"


def test_a_stack_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    """cdktf leaves the folders of stacks that the app does not have any more."""
    _synth(tmp_path, f"{WRITES}\nwrite('demo', {{'lock': 1}})")

    with pytest.raises(ConfigError, match="wrote no stack demo") as caught:
        _synth(tmp_path, f"{WRITES}\nwrite('renamed', {{'lock': 1}})")
    assert caught.value.found == "the stacks renamed"
    with pytest.raises(ConfigError, match="wrote no stack demo") as caught:
        _synth(tmp_path, "")
    assert caught.value.found == "no stack at all"


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        ("import sys; print('bad lock', file=sys.stderr); sys.exit(2)", ConfigError, "bad lock"),
        ("raise RuntimeError('jsii broke')", CommandError, "jsii broke"),
        (f"{WRITES}\nwrite('demo', {{'url': 1}})", ConfigError, "the stack demo has no Mesh"),
    ],
)
def test_failures_keep_their_kind(
    tmp_path: Path, program: str, kind: type[Exception], words: str
) -> None:
    """Refused input is exit code 2, a crash 5; the app's words are kept."""
    with pytest.raises(kind) as caught:
        _synth(tmp_path, program)
    assert words in str(caught.value)


def test_what_cannot_be_handed_over_is_said(tmp_path: Path) -> None:
    """No Node, and a cdktf.json that is none."""
    (tmp_path / "main.py").write_text("")
    (tmp_path / "cdktf.json").write_text("[]")

    with pytest.raises(ConfigError, match="cannot read cdktf's settings"):
        _synth(tmp_path, "")
    with pytest.raises(ConfigError, match="Node is not where bootstrap found it"):
        synth(
            tmp_path,
            _host(str(tmp_path / "node")),
            lock=tmp_path,
            users=tmp_path,
            outdir=tmp_path,
            project="demo",
        )
