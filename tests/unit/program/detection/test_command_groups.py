"""Which scripts certainly only print their usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.detection.command_groups import needs_a_command
from iac_wrapper.program.detection.project import Project

CLICK = "import click\n@click.group(%s)\ndef cli():\n    pass\n"
FINDS = """import click
class Desk(click.MultiCommand):
    def %s(self, ctx):
        return []
@click.command(cls=Desk%s)
def cli():
    pass
"""
TYPER = "import typer\ncli = typer.Typer(%s)\n"
COMMANDS = "@cli.command()\ndef a():\n    pass\n@cli.command('b')\ndef b():\n    pass\n"


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        (CLICK % "", True),
        (CLICK % "invoke_without_command=True", False),
        (CLICK % "cls=DefaultGroup", False),
        (CLICK % "**options", False),
        ("import click\n@click.group\ndef cli():\n    pass\n", True),
        ("import click\n@click.command()\ndef cli():\n    pass\n", False),
        (FINDS % ("list_commands", ""), True),
        (FINDS % ("list_commands", ", invoke_without_command=True"), False),
        (FINDS % ("resolve_command", ""), False),
        (TYPER % "" + COMMANDS, True),
        (TYPER % "" + "@cli.command()\ndef a():\n    pass\n", False),
        (TYPER % "" + "@cli.callback()\ndef a():\n    pass\n", True),
        (TYPER % "" + "@cli.callback(invoke_without_command=True)\ndef a():\n    pass\n", False),
        (TYPER % "" + "from desk import other\ncli.add_typer(other)\n", True),
        (TYPER % "invoke_without_command=True" + COMMANDS, False),
        ("from flask.cli import FlaskGroup\ncli = FlaskGroup(create_app=make)\n", True),
    ],
)
def test_a_group_does_nothing_without_a_command(tmp_path: Path, text: str, needs: bool) -> None:
    """Unless something may decide otherwise."""
    (tmp_path / "desk.py").write_text(text)
    assert needs_a_command(Project(tmp_path), "desk.py", "cli") is needs


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ("cli()", True),
        ("cli(obj={}, prog_name='desk')", True),
        ("cli(['serve'])", False),
        ("cli(args=['serve'])", False),
        ("sys.argv.append('serve')\n    cli()", False),
        ("serve()", False),
    ],
)
def test_a_function_that_calls_a_group(tmp_path: Path, body: str, needs: bool) -> None:
    """It needs a command as well, unless it gives one."""
    (tmp_path / "desk.py").write_text(f"import sys\n{CLICK % ''}def main():\n    {body}\n")
    assert needs_a_command(Project(tmp_path), "desk.py", "main") is needs


def test_what_cannot_be_read_is_no_group(tmp_path: Path) -> None:
    """As a file that is not there."""
    (tmp_path / "desk.py").write_text("def main(:\n")
    assert not needs_a_command(Project(tmp_path), "desk.py", "main")
    assert not needs_a_command(Project(tmp_path), "", "main")
