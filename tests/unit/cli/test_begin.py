"""`iac init`, `iac setup`, `iac synth` and `iac -C` in a folder that is no checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import iac_wrapper
from iac_wrapper import cli, settings
from iac_wrapper.files import env_text, machine_home, repos_file
from iac_wrapper.operations import project_folder

ROOT = Path(__file__).parents[3]
FILES = [
    ".env.example",
    ".gitignore",
    "cdktf.json",
    "main.py",
    "repos.schema.json",
    "repos.yaml",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a space in its name, as the current one, and an installed `iac`."""
    made = tmp_path / "My Shop"
    made.mkdir()
    monkeypatch.chdir(made)
    monkeypatch.setattr(machine_home, "checkout", lambda: None)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return made


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def test_init_makes_a_project_of_an_empty_folder(folder: Path) -> None:
    """Every file is said; what to type next is the end; no machine's path is in a file."""
    result = _iac("init")
    assert result.exit_code == 0, result.output
    assert sorted(re.findall(r"^wrote  (.+)$", result.stdout, re.M)) == FILES
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert result.stdout.endswith("iac deploy\n")
    assert "with it the project is my-shop\n" in result.stdout
    for path in folder.iterdir():
        assert str(ROOT) not in path.read_text()
        assert sys.prefix not in path.read_text()


def test_init_keeps_what_is_there_and_says_what_it_is_used_for(folder: Path) -> None:
    (folder / "main.py").write_text("print('mine')\n")
    (folder / ".gitignore").write_text("/secrets/\n*.pyc\n")
    result = _iac("init")
    assert "kept   main.py: `iac deploy` runs it as the cdktf app\n" in result.stdout
    assert "kept   .gitignore: add /.env /.iac, which must not be committed\n" in result.stdout
    assert (folder / "main.py").read_text() == "print('mine')\n"
    again = _iac("init")
    assert again.exit_code == 0
    assert "wrote" not in again.stdout


def test_the_list_that_init_writes_is_read(folder: Path) -> None:
    _iac("init")
    assert repos_file.load_entries(folder / "repos.yaml")


def test_the_settings_that_init_writes_name_the_project(folder: Path) -> None:
    """All others have their defaults."""
    _iac("init")
    (folder / ".env.example").rename(folder / ".env")
    loaded = settings.load_settings(folder, {})
    assert loaded.project == "my-shop"
    loaded.check()


def test_the_example_of_the_repository_is_made_by_the_same_function() -> None:
    """`.env.example` is the table of settings as text: write what this test expects into it."""
    text = project_folder.env_example("iacnet")
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == text
    assert env_text.parse(text, {"PWD": "/p"})["TERRAFORM_BINARY_NAME"] == "/p/.iac/bin/terraform"


def test_outside_a_project_folder_the_error_names_init(folder: Path) -> None:
    result = _iac("health")
    assert result.exit_code == 2
    assert "next:     iac init" in result.stderr


def test_a_deploy_before_the_set_up_names_iac_setup(folder: Path) -> None:
    """Before anything is fetched; not make bootstrap: there is no Makefile here."""
    _iac("init")
    result = _iac("deploy")
    assert result.exit_code == 2, result.output
    assert "this machine is not set up yet" in result.stderr
    assert "next:     iac setup" in result.stderr
    assert "make bootstrap" not in result.output


def test_another_folder_is_worked_in_by_c(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--file` is relative to it, as with make and git."""
    _iac("init")
    (folder / "lists").mkdir()
    (folder / "lists" / "own.yaml").write_text("- slug: gh:o/r\n  prot: 1\n")
    monkeypatch.chdir("/")
    result = _iac("-C", str(folder), "plan", "--file", "lists/own.yaml")
    assert result.exit_code == 2
    assert "lists/own.yaml:2" in result.stderr
    missing = _iac("-C", str(folder / "none"), "health")
    assert missing.exit_code == 2
    assert "does not exist" in missing.stderr


def test_synth_runs_main_py_beside_folders_that_are_called_like_our_packages(folder: Path) -> None:
    """Its own modules are found, `stacks` and `admin` too; what constructs need is never theirs."""
    _iac("init")
    for name in ("stacks", "admin", "runner"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("VALUE = 7\n")
    for name in ("provider", "constructs_lib", "iac_wrapper"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('shadowed')\n")
    (folder / "mine.py").write_text("from stacks import VALUE\n")
    (folder / "main.py").write_text(
        "import sys, mine, admin, runner, constructs_lib, provider.redact\n"
        "print(sys.argv[1:], __name__, constructs_lib.__file__)\nsys.exit(mine.VALUE)\n"
    )
    iac = Path(sys.executable).with_name("iac")
    done = subprocess.run(
        [iac, "-C", folder, "synth"], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout == f"[] __main__ {ROOT}/constructs_lib/__init__.py\n"
    assert done.returncode == 7


def test_a_mistake_in_main_py_is_told_from_there(folder: Path) -> None:
    """How `iac` starts it is of no interest."""
    _iac("init")
    (folder / "main.py").write_text("def go():\n    1 / 0\n\n\ngo()\n")
    iac = Path(sys.executable).with_name("iac")
    done = subprocess.run([iac, "synth"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert [line for line in done.stderr.splitlines() if "File" in line] == [
        f'  File "{folder}/main.py", line 5, in <module>',
        f'  File "{folder}/main.py", line 2, in go',
    ]


@pytest.mark.slow
def test_the_main_py_that_init_writes_says_what_it_lacks(folder: Path) -> None:
    """It is the app: without a lock it ends as the checkout's own does."""
    _iac("init")
    iac = Path(sys.executable).with_name("iac")
    done = subprocess.run(
        [iac, "synth"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "IAC_HOME": str(folder / "none")},
    )
    assert done.returncode == 2
    assert "no lock file" in done.stderr


def test_the_machines_folder_is_per_user_and_version(tmp_path: Path) -> None:
    """XDG_DATA_HOME counts if it is absolute; IAC_HOME wins; a checkout keeps its own."""
    find = machine_home.find
    version = iac_wrapper.__version__
    assert find(None, {"XDG_DATA_HOME": "/x"}, None).data == Path("/x/karstkit") / version
    default = Path.home() / ".local" / "share" / "karstkit" / version
    assert find(None, {"XDG_DATA_HOME": "share"}, None).data == find(None, {}, None).data == default
    assert find(None, {"XDG_DATA_HOME": "/x"}, tmp_path).data == tmp_path / ".iac"
    assert find(Path("/own"), {"XDG_DATA_HOME": "/x"}, tmp_path).data == Path("/own")


def test_what_a_person_types_depends_on_where_iac_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_home.setup_command(IAC_X="1") == "make bootstrap IAC_X=1"
    monkeypatch.setattr(machine_home, "checkout", lambda: None)
    assert machine_home.setup_command(IAC_X="1") == "IAC_X=1 iac setup"
