"""A program that needs arguments is not started in vain without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.detection import detect
from tests.unit.program.detection.test_detection import tree

PARSER = "import argparse\nparser = argparse.ArgumentParser()\n{}\nprint(parser.parse_args())\n"
COMMAND = (
    "import click\n@click.command()\n{}\ndef main(**given):\n    print(given)\n"
    "if __name__ == '__main__':\n    main()\n"
)


def notes(root: Path, text: str, **wishes: str) -> list[str]:
    return [
        note for note in detect(tree(root, {"main.py": text}), **wishes).notes if "ends" in note
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PARSER.format("parser.add_argument('-d', '--dir', required=True)"), "--dir …"),
        (PARSER.format("parser.add_argument('source')"), "SOURCE"),
        (COMMAND.format("@click.option('--dir', required=True)"), "--dir …"),
        (COMMAND.format("@click.argument('source')"), "SOURCE"),
    ],
)
def test_they_are_said_with_the_line_that_gives_them(tmp_path: Path, text: str, words: str) -> None:
    (note,) = notes(tmp_path, text)
    assert f"`entrypoint: main.py {words}` in its entry" in note
    assert not notes(tmp_path, text, entrypoint=f"main.py {words}")


@pytest.mark.parametrize(
    "text",
    [
        PARSER.format("parser.add_argument('--dir')"),
        PARSER.format("parser.add_argument('source', nargs='?')"),
        PARSER.format("parser.add_argument('source')").replace("args()", "args([])"),
        PARSER.format("parser.add_argument('rest', nargs=argparse.REMAINDER)"),
        PARSER.format(
            "more = parser.add_subparsers()\none = more.add_parser('x')\none.add_argument('source')"
        ),
        COMMAND.format("@click.option('--dir', required=True, envvar='DIR')"),
        COMMAND.format("@click.argument('sources', nargs=-1)"),
    ],
)
def test_nothing_is_said_of_what_may_be_left_out(tmp_path: Path, text: str) -> None:
    assert not notes(tmp_path, text)
