"""Which Python an app gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.program.python_version import choose_python

INLINE = '# /// script\n# requires-python = ">=3.12"\n# dependencies = ["idna"]\n# ///\nprint()\n'


def choose(root: Path, *available: str, default: str = "3.11", script: str | None = None) -> str:
    return choose_python(root, default=default, available=available, script=script).version


def test_the_default_python_when_nothing_is_said(tmp_path: Path) -> None:
    """No requires-python: the setting decides."""
    assert choose(tmp_path, "3.11", "3.13") == "3.11"


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        (">=3.10", "3.11"),
        (">=3.11.4", "3.11"),
        (">=3.12", "3.13"),
        ("==3.12.*", "3.12"),
        (">=3.12,!=3.13.*", "3.12"),
        ("~=3.13.1", "3.13"),
    ],
)
def test_requires_python_selects(tmp_path: Path, spec: str, version: str) -> None:
    """The default if the range allows it, else the newest that it allows."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nrequires-python = "{spec}"\n')
    assert choose(tmp_path, "3.11", "3.12", "3.13") == version


def test_the_version_file_is_a_wish(tmp_path: Path) -> None:
    """.python-version wins when its version is here and allowed; else a note mentions it."""
    (tmp_path / ".python-version").write_text("3.13.2\n")
    assert choose(tmp_path, "3.11", "3.13") == "3.13"
    chosen = choose_python(tmp_path, default="3.11", available=["3.11"])
    assert chosen.version == "3.11"
    assert chosen.notes == ("python 3.11: .python-version asks for 3.13.2, not available here",)


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        (".python-version", "# for the servers\n3.13.2\n", "3.13"),
        (".python-version", "3.14\n3.13\n3.11\n", "3.13"),
        (".python-version", "3.14 3.13", "3.13"),
        (".python-version", "cpython-3.13.1-linux-x86_64-gnu\n", "3.13"),
        (".python-version", "3.13t  # threads", "3.13"),
        ("runtime.txt", "python-3.13.1\n", "3.13"),
        (".tool-versions", "nodejs 20.1\npython 3.13.2 3.11.1\n", "3.13"),
        (".tool-versions", "nodejs 3.13\n", "3.11"),
        (".python-version", "system\n", "3.11"),
    ],
)
def test_version_files(tmp_path: Path, name: str, text: str, version: str) -> None:
    """Comments, several versions, and the files of other tools; the first version here counts."""
    (tmp_path / name).write_text(text)
    assert choose(tmp_path, "3.11", "3.13") == version


def test_a_script_states_its_own_python(tmp_path: Path) -> None:
    """Inline metadata comes before pyproject.toml."""
    (tmp_path / "main.py").write_text(INLINE)
    assert choose(tmp_path, "3.11", "3.12", script="main.py") == "3.12"


def test_no_fitting_python(tmp_path: Path) -> None:
    """The error names the file, what it asks for, and what is here."""
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.14"\n')
    with pytest.raises(EntrypointError) as caught:
        choose(tmp_path, "3.11", "3.13")
    assert caught.value.where == "pyproject.toml"
    assert caught.value.found == "requires-python '>=3.14'"
    assert caught.value.expected == "a range that includes 3.13 or 3.11"


def test_a_range_that_is_none(tmp_path: Path) -> None:
    """requires-python with a typo is named, not ignored."""
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = "three"\n')
    with pytest.raises(EntrypointError, match="not a version range"):
        choose(tmp_path, "3.11")
