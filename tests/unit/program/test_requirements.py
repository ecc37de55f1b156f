"""Which requirements file is for production, and where uv has to be told what pip means."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.python_project import declared_packages
from tests.support import locks

MAIN = Entrypoint("script", "main.py", None, "")


def find(root: Path, files: dict[str, str]) -> Dependencies:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return find_dependencies(root, MAIN)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["requirements/base.txt", "requirements/prod.txt", "requirements/dev.txt"], "prod"),
        (["requirements/common.txt", "requirements/test.txt"], "common"),
        (["requirements-prod.txt", "requirements-dev.txt"], "prod"),
        (["production-requirements.txt", "dev-requirements.txt"], "production"),
        (["requirements/bot.txt", "requirements/dev.txt"], "bot"),
        (["requirements.in", "requirements-dev.txt"], "requirements.in"),
        (["requirements.txt", "requirements/prod.txt"], "requirements.txt"),
        (["requirements/dev.txt", "requirements/tests.txt"], None),
        (["requirements/bot.txt", "requirements/site.txt"], None),
    ],
)
def test_which_file_is_for_production(tmp_path: Path, names: list[str], chosen: str | None) -> None:
    """By their names; development and tests never, and a guess between two neither."""
    found = find(tmp_path, dict.fromkeys(names, "idna\n"))
    if chosen is None:
        assert found.reason.startswith("none")
    else:
        assert chosen in found.reason
        assert "dev" not in found.reason


def test_production_with_its_base(tmp_path: Path) -> None:
    """Where the file for production does not include it, the base is for it, too."""
    files = {"requirements/base.txt": "flask\n", "requirements/prod.txt": "gunicorn\n"}
    found = find(tmp_path, files)
    assert found.early[2:] == ("-r", "requirements/base.txt", "-r", "requirements/prod.txt")
    found = find(tmp_path, {"requirements/prod.txt": "-r base.txt\n"})
    assert found.early[2:] == ("-r", "requirements/prod.txt")
    assert found.files == ("requirements/prod.txt", "requirements/base.txt")


def test_what_the_program_can_be_served_by(tmp_path: Path) -> None:
    """The choice of a server sees the packages of these files, and of a Pipfile."""
    locks.write(tmp_path, requirements__prod_txt="gunicorn\n")
    assert declared_packages(tmp_path) == {"gunicorn"}
    locks.write(tmp_path, Pipfile='[packages]\nuvicorn = {extras = ["standard"]}\n')
    assert {"uvicorn", "uvicorn[standard]"} <= declared_packages(tmp_path)


def test_the_files_of_a_project_that_states_its_own(tmp_path: Path) -> None:
    """pyproject.toml states what it needs; files of other names are for other things."""
    project = '[project]\nname = "p"\ndependencies = ["flask"]\n'
    found = find(tmp_path, {"pyproject.toml": project, "requirements/base.txt": "idna\n"})
    assert found.reason == "[project] of pyproject.toml"


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("--pre", ("--prerelease", "allow")),
        ("--trusted-host mirror.test", ("--allow-insecure-host", "mirror.test")),
        ("--trusted-host=mirror.test", ("--allow-insecure-host", "mirror.test")),
        ("--require-hashes", ("--require-hashes",)),
        ("--extra-index-url https://x.test", ("--index-strategy", "unsafe-best-match")),
        ("--index-url https://x.test", ()),
        ("--prefer-binary", ()),
    ],
)
def test_what_pip_means(tmp_path: Path, line: str, options: tuple[str, ...]) -> None:
    """uv ignores some lines, and takes the first of several indexes that has a package."""
    found = find(tmp_path, {"requirements.txt": f"{line}\nidna # why\n"})
    assert found.early == ("pip", "install", *options, "-r", "requirements.txt")


def test_a_path_out_of_the_folder(tmp_path: Path) -> None:
    """A service of a monorepo that includes what is common to all."""
    locks.write(tmp_path, api__requirements_txt="-r ../common.txt\n-e ../lib\n")
    locks.write(tmp_path, common_txt="idna\n", lib__setup_py="", other_txt="")
    found = find_dependencies(tmp_path / "api", MAIN, source=tmp_path)
    assert found.beside
    assert found.beside.parts == ("api", "common.txt", "lib")
    assert (found.early, found.late[:2]) == ((), ("pip", "install"))


def test_setuptools_that_reads_its_dependencies_from_a_file(tmp_path: Path) -> None:
    """They are early though only the build backend knows them all."""
    project = '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "p"\n'
    project += 'dynamic = ["dependencies"]\n'
    project += '[tool.setuptools.dynamic]\ndependencies = {file = ["deps.txt"]}\n'
    found = find(tmp_path, {"pyproject.toml": project, "deps.txt": "idna\n"})
    assert found.early == ("pip", "install", "-r", "deps.txt")
    assert (found.files, found.late) == (("deps.txt",), ("pip", "install", "."))


def test_groups_without_a_lock(tmp_path: Path) -> None:
    """pyproject.toml[web] is an extra or a group, whichever there is."""
    project = '[project]\nname = "p"\ndependencies = []\noptional-dependencies.web = ["flask"]\n'
    locks.write(tmp_path, pyproject_toml=f'{project}[dependency-groups]\nbot = ["idna"]\n')
    found = find_dependencies(tmp_path, MAIN, asked="pyproject.toml[web,bot]")
    assert found.early[4:] == ("--extra", "web", "--group", "bot")
    assert found.reason == "[project] of pyproject.toml with bot, web, as `dependencies:` says"
