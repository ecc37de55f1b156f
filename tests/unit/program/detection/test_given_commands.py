"""Which command a group of commands gets, and what is said where nothing gives one."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program import detection
from tests.unit.program.detection.test_detection import detect, tree

GROUP = """import click
@click.group()
def cli():
    pass
@cli.command()
def show_all():
    pass
@cli.command("serve")
def start():
    pass
"""
GUARDED = GROUP + "if __name__ == '__main__':\n    cli()\n"
SCRIPT = '[project]\nname = "desk"\n[project.scripts]\ndesk-tool = "desk.cli:cli"\n'
PACKAGE = {"pyproject.toml": SCRIPT, "desk/__init__.py": "", "desk/cli.py": GROUP}
WHERE = "with the command of CMD of the Dockerfile"


@pytest.mark.parametrize(
    ("files", "display", "where"),
    [
        (
            {"Dockerfile": 'FROM a\nENTRYPOINT ["desk-tool"]\nCMD ["serve", "-p", "80"]'},
            "desk.cli:cli serve -p 80",
            "with the command of ENTRYPOINT and CMD of the Dockerfile",
        ),
        ({"Dockerfile": "FROM a\nCMD python -m desk serve"}, "desk.cli:cli serve", WHERE),
        (
            {"Dockerfile": 'FROM a\nCMD ["/app/start.sh"]', "start.sh": "exec desk-tool serve"},
            "desk.cli:cli serve",
            "with the command of start.sh",
        ),
        (
            {"main.py": GUARDED, "Dockerfile": "FROM a\nCMD python main.py serve -p ${PORT:-80}"},
            "main.py serve -p $PORT",
            WHERE,
        ),
    ],
)
def test_the_image_of_the_author_gives_the_command(
    tmp_path: Path, files: dict[str, str], display: str, where: str
) -> None:
    """Bare, a group prints its usage and ends."""
    package = {} if "main.py" in files else PACKAGE
    found = detect(tree(tmp_path, {**package, **files}))
    assert (found.display, found.reason.endswith(where)) == (display, True)


@pytest.mark.parametrize("command", ["desk-tool", "desk-tool --help", "desk-tool $MODE", "other x"])
def test_what_gives_no_command_is_not_taken(tmp_path: Path, command: str) -> None:
    """Nor one that only the author's environment knows."""
    found = detect(tree(tmp_path, {**PACKAGE, "Dockerfile": f"FROM a\nCMD {command}"}))
    assert found.display == "desk.cli:cli"


def test_a_group_without_a_command_is_said(tmp_path: Path) -> None:
    """With the commands that there are, and the line that gives the likely one."""
    for files, name in (({"main.py": GUARDED}, "main.py"), (PACKAGE, "desk.cli:cli")):
        root = tree(tmp_path / name.replace(":", "-"), files)
        assert detection.detect(root).notes == (
            f"{name} prints its usage and ends without a command (show-all, serve):"
            f" `entrypoint: {name} serve` in its entry gives one",
        )


def test_the_image_of_the_author_starts_another_script(tmp_path: Path) -> None:
    """Its word counts before the order; a script with a window is one as well."""
    points = "{'console_scripts': ['a = desk.web:a'], 'gui_scripts': ['b-web = desk.web:b']}"
    files = {"setup.py": f"setup(entry_points={points})", "desk/__init__.py": ""}
    files["desk/web.py"] = "def a(): ...\ndef b(): ...\n"
    assert detect(tree(tmp_path, files)).display == "desk.web:a"
    found = detect(tree(tmp_path, {"Dockerfile": 'FROM a\nCMD ["b-web"]'}))
    assert (found.display, found.reason) == (
        "desk.web:b",
        "console_scripts b-web: the Dockerfile starts it",
    )
    assert "console_scripts a: the Dockerfile starts b-web" in found.rejected
