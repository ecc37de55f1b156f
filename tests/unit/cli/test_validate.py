"""`iac validate` as people type it: all mistakes at once, each with its line and column."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file, yaml_nodes

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no project, on a machine without an engine and without a network."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _iac(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, ["validate", *arguments])
    assert "Traceback" not in result.output
    return result


BAD = """\
defaults:
  name: x
  memory: much
apps:
- gh:owner
- slug: gh:o/r
  prot: 1
  port: 99999999
  env: {A: b, "B C": d, D: {}}
- slug: gh:o/s
  run: worker
  health: /x
- slug: gh:o/t
  processes: {Worker: "x", ok: {prot: 2, memory: 1x}}
  expose: {hosts: x, tls: maybe}
  needs: [db, No]
- slug: gh:o/u
- slug: gh:p/u
environments:
  Bad_One: {}
  ok:
    defaults: {slug: gh:o/x}
    services: {s: 4, t: {memory: 1x}}
    only: [R]
strange: 1
"""

PLACES = [
    *("2:3", "3:11", "5:3", "7:3", "8:9", "9:22", "9:28", "12:11", "14:23", "14:33", "14:50"),
    *("15:12", "15:27", "16:15", "18", "20:12", "22:16", "23:19", "23:34", "24:12", "25:1"),
]


def test_every_mistake_has_its_place(folder: Path) -> None:
    """In the order of the file; each as a deploy would say it, were it alone."""
    (folder / "repos.yaml").write_text(BAD)
    result = _iac()
    assert result.exit_code == 2
    assert re.findall(r"^repos\.yaml:([\d:]+): ", result.stdout, re.M) == PLACES
    assert result.stdout.endswith(f"\n{len(PLACES)} mistakes.\n")
    assert result.stdout.count("  next:") == len(PLACES)
    assert "repos.yaml:8:9: bad port\n  found:    '99999999'\n" in result.stdout
    with pytest.raises(ConfigError) as caught:
        repos_file.load_entries(Path("repos.yaml"))
    assert caught.value.message in result.stdout
    assert [path.name for path in folder.iterdir()] == ["repos.yaml"]


def test_how_services_fit_together_comes_after_their_form(folder: Path) -> None:
    """In every environment, and once where several have the same mistake."""
    (folder / "repos.yaml").write_text(
        "apps:\n"
        "- {slug: gh:o/a, needs: [x, y], allow: [z]}\n"
        "- {slug: gh:o/b, command: [x]}\n"
        "- gh:o/c\n"
        "environments:\n"
        "  one: {except: [b]}\n"
        "  two: {except: [b]}\n"
        "  three: {only: [c], services: {d: {port: 1}}}\n"
        "  four: {only: [a, b]}\n"
    )
    found = json.loads(_iac("--json").stdout)
    said = [(each["line"], each["column"], each["message"]) for each in found["problems"]]
    no = "and there is no such service"
    assert said == [
        (2, None, f"a needs x, {no}"),
        (2, None, f"a needs y, {no}"),
        (2, None, f"a allows z, {no}"),
        (3, 27, "`command` has a meaning for images only"),
        (8, 36, "environment three names a service that the file does not have"),
    ]
    assert (found["good"], found["services"]) == (False, [])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- [", "1:4"),
        ("- slug: gh:o/r\n  env: a: b\n", "2:9"),
        ("- slug: gh:o/r\n\tport: 1\n", "2:1"),
        ("", ""),
        ("{}", "1:1"),
        ("- gh:o/r #v1\n", "1:3"),
        ("- slug: gh:o/r\n  slug: gh:o/r\n", "2:3"),
    ],
)
def test_what_cannot_be_read_at_all(folder: Path, text: str, place: str) -> None:
    """One mistake, where it is."""
    (folder / "x.yaml").write_text(text)
    result = _iac("x.yaml")
    assert result.exit_code == 2
    assert result.stdout.startswith(":".join(filter(None, ["x.yaml", place])) + ": ")
    assert result.stdout.endswith("\n1 mistake.\n")


def test_a_file_of_many_aliases_ends_the_reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be endless is left at the bound, whatever was wrong before."""
    monkeypatch.setattr(yaml_nodes, "MAX_NODES", 50)
    apps = "".join(f"- {{slug: gh:o/r{n}, port: x}}\n" for n in range(200))
    text = f"apps:\n{apps}"
    (folder / "x.yaml").write_text(text)
    found = json.loads(_iac("x.yaml", "--json").stdout)["problems"]
    messages = [each["message"] for each in found]
    assert "the file is too large when its aliases are expanded" in messages
    assert 2 < len(messages) < 50


def test_the_option_of_other_commands_is_taken(folder: Path) -> None:
    """Which is what an error of a file that is not there names."""
    (folder / "repos.yaml").write_text("- gh:o/web\n")
    assert "next:     pass --file" in _iac("other.yaml").output
    assert _iac("--file", "repos.yaml").output == "repos.yaml: good, 1 service: web\n"


def test_a_file_that_is_not_there(folder: Path) -> None:
    result = _iac()
    assert (result.exit_code, result.stdout.splitlines()[0]) == (2, "repos.yaml: no repos file")


def test_several_files_are_one(folder: Path) -> None:
    """The mistakes of both; and what is good together, though the second alone is not."""
    (folder / "a.yaml").write_text("- gh:o/a\n- {slug: gh:o/b, port: x}\n")
    (folder / "b.yaml").write_text("apps:\n- {name: a, port: y}\n")
    result = _iac("a.yaml", "b.yaml")
    assert re.findall(r"^(\w)\.yaml:(\d+)", result.stdout, re.M) == [("a", "2"), ("b", "2")]
    (folder / "a.yaml").write_text("- gh:o/a\n")
    (folder / "b.yaml").write_text("apps:\n- {name: a, port: 80}\n")
    result = _iac("a.yaml", "b.yaml")
    assert (result.exit_code, result.stdout) == (0, "a.yaml b.yaml: good, 1 service: a\n")
    assert _iac("b.yaml").exit_code == 2


def test_a_good_file_has_its_services(folder: Path) -> None:
    """Those of the environment that is named, else of the first one."""
    (folder / "repos.yaml").write_text(
        "apps: [gh:o/a, gh:o/b]\nenvironments: {one: {only: [a]}, two: {}}\n"
    )
    assert json.loads(_iac("--json").stdout)["services"] == ["a"]
    assert json.loads(_iac("--json", "--env", "two").stdout)["services"] == ["a", "b"]
    result = _iac("--env", "three")
    assert (result.exit_code, "there is no environment three" in result.stdout) == (2, True)
    for path in (ROOT / "examples").rglob("repos*.yaml"):
        assert _iac(str(path)).exit_code == 0
