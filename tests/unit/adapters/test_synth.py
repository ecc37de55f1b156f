"""The adapter around the cdktf app; the app itself is tested in tests/stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.adapters.synth import synth
from iac_wrapper.errors import CommandError, ConfigError


def _synth(folder: Path, program: str) -> Path:
    (folder / "main.py").write_text(program)
    return synth(folder, folder / "repos.lock.json", folder / "users.json", folder / "out", "demo")


def test_the_app_is_told_lock_users_and_outdir(tmp_path: Path) -> None:
    """The child gets the lock by its setting and files and folders as arguments."""
    directory = _synth(
        tmp_path,
        "import os, pathlib, sys\n"
        "stack = pathlib.Path(sys.argv[2]) / 'stacks' / 'demo'\n"
        "stack.mkdir(parents=True)\n"
        "text = ' '.join([os.environ['IAC_LOCK_FILE'], *sys.argv[3:]])\n"
        "(stack / 'cdk.tf.json').write_text(text)\n",
    )
    assert directory == tmp_path / "out" / "stacks" / "demo"
    lock, users = tmp_path / "repos.lock.json", tmp_path / "users.json"
    assert (directory / "cdk.tf.json").read_text() == f"{lock} --users {users}"


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        ("import sys; print('bad lock', file=sys.stderr); sys.exit(2)", ConfigError, "bad lock"),
        ("raise RuntimeError('jsii broke')", CommandError, "jsii broke"),
        ("", CommandError, "wrote no stack"),
    ],
)
def test_failures_keep_their_kind(
    tmp_path: Path, program: str, kind: type[Exception], words: str
) -> None:
    """Refused input is exit code 2, a crash or a missing stack 5; the app's words are kept."""
    with pytest.raises(kind) as caught:
        _synth(tmp_path, program)
    assert words in str(caught.value)
