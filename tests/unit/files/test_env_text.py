from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from iac_wrapper.files.env_text import EnvTextError, parse

LIKE_A_SHELL = r"""
A='a\nb'
B='$HOME ${HOME} `x` "q" \ '
C='it'\''s'
D='ends in a backslash\'
E=plain
F="double \" \$ \\ quote"
export G='two
lines'
H='a'"b"c
I=
J='' # comment
K="x${E}y"
L='#no comment'#either
M=${E}z
N='a
b'
"""


def test_quotes_mean_what_they_mean_to_a_shell(tmp_path: Path) -> None:
    """A file that a shell can source means the same to both."""
    (tmp_path / ".env").write_text(LIKE_A_SHELL, newline="")
    before = {"PATH": os.environ["PATH"], "HOME": "/h"}
    done = subprocess.run(
        ["sh", "-c", "set -a; . ./.env; env -0"],
        cwd=tmp_path,
        env=before,
        capture_output=True,
        check=True,
    )
    sourced = dict(item.split("=", 1) for item in done.stdout.decode().split("\0") if item)
    found = parse(LIKE_A_SHELL, before)
    assert len(found) == 14
    assert found == {name: sourced[name] for name in found}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=two words # comment", "two words"),
        ("A = spaced", "spaced"),
        ("A=a#b", "a#b"),
        ("A= # nothing", ""),
        ("A=it's", "it's"),
        ("A=x\r\n", "x"),
        ("A=\r\n", ""),
        ("A='x' \t# comment\r\n", "x"),
        ('A="a\\nb\\tc"', "a\nb\tc"),
        ("A=${NONE:-default}", "default"),
        ("A=${NONE}", ""),
        ("A=${OUTSIDE}", "o"),
        ("A='${OUTSIDE}'", "${OUTSIDE}"),
        ('A="\\${OUTSIDE}"', "${OUTSIDE}"),
        ("A=1\nA=2", "2"),
        ("\ufeffA=1", "1"),
        ("A\nexport A\nA=1", "1"),
        ("# A=0\n\n  A=1", "1"),
    ],
)
def test_the_rest_is_as_env_files_are(text: str, value: str) -> None:
    """Values without quotes go to the end of the line; references have defaults."""
    assert parse(text, {"OUTSIDE": "o"}) == {"A": value}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\nA='x", 2),
        ('A="x\n', 1),
        ("A='x' y", 1),
        ("A=1\nno assignment", 2),
        ("'A'=1", 1),
        ("=1", 1),
        ("A=a\0b", 1),
        (r"A='it\'s'", 1),
    ],
)
def test_what_sets_nothing_is_an_error(text: str, line: int) -> None:
    """The error has the line, and no value."""
    with pytest.raises(EnvTextError) as caught:
        parse(text, {})
    assert caught.value.line == line
