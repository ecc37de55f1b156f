"""The table of exit codes in docs/verdict.md, held against the command."""

from __future__ import annotations

import re
from pathlib import Path

from iac_wrapper import cli, errors

PAGE = Path(__file__).parents[3] / "docs" / "verdict.md"


def _first_cells() -> list[str]:
    text = PAGE.read_text(encoding="utf-8").partition("## Exit codes")[2]
    return re.findall(r"^\| ([^|]+) \|", text, re.M)


def test_every_verb_has_its_row() -> None:
    """Each once, and none that is not there."""
    named = [name for cell in _first_cells() for name in re.findall(r"`([\w-]+)`", cell)]
    assert sorted(named) == sorted({*cli.main.commands, "admin"})


def test_every_code_of_an_error_is_listed() -> None:
    """The codes of the error tree, and good."""
    listed = {int(cell) for cell in _first_cells() if cell.isdecimal()}
    codes = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.IacError)
    }
    assert listed == {0, *codes}
