"""uv's own lock: is it of this project, and what of the source does a member need."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.dependency_plan import Beside
from iac_wrapper.program.locks import uv
from tests.support import locks

MAIN = Entrypoint("script", "main.py", None, "")

PROJECT = """\
[project]
name = "Board"
dependencies = ["idna >= 3, <4", "lib", "uvicorn[standard]~=0.30", "tool @ https://host.test/t.whl"]
optional-dependencies.web = ["flask; python_version < '4'"]
[dependency-groups]
dev = ["iniconfig"]
[tool.uv.sources]
lib = { git = "https://host.test/lib.git" }
"""

LOCK = """\
version = 1
[[package]]
name = "board"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "flask", marker = "extra == 'web'" },
    { name = "idna", specifier = ">=3,<4" },
    { name = "lib", git = "https://host.test/lib.git" },
    { name = "tool", url = "https://host.test/t.whl" },
    { name = "uvicorn", extras = ["standard"], specifier = "~=0.30" },
]
provides-extras = ["web"]
[package.metadata.requires-dev]
dev = [{ name = "iniconfig" }]
"""


def stale(project: str, lock: str = LOCK) -> str:
    return uv.stale(tomllib.loads(project), tomllib.loads(lock))


def test_a_lock_of_the_project() -> None:
    """However the requirements are spelt, and wherever they come from."""
    assert not stale(PROJECT)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"lib",', '"lib", "six",', "pyproject.toml requires six, the lock does not"),
        ('"lib",', "", "the lock requires lib, pyproject.toml does not"),
        (">= 3, <4", ">=3.7", "pyproject.toml requires idna>=3.7, the lock idna<4,>=3"),
        ("flask;", "bottle;", "pyproject.toml requires bottle, the lock does not"),
        ("iniconfig", "pytest", "pyproject.toml requires pytest, the lock does not"),
        ('"Board"', '"other"', "the lock has no project other"),
    ],
)
def test_a_lock_of_another_state(old: str, new: str, said: str) -> None:
    """What differs is said."""
    assert stale(PROJECT.replace(old, new)) == said


@pytest.mark.parametrize(
    "project",
    [
        PROJECT.replace("dependencies = [", 'dynamic = ["dependencies"]\nx = [')
        .replace("optional-", "x-")
        .replace('"dependencies"]', '"dependencies", "optional-dependencies"]'),
        "[tool.uv.workspace]\nmembers = ['a']\n",
    ],
)
def test_what_is_not_known_is_not_stale(project: str) -> None:
    """Dependencies that only a build backend knows, and a root that is no project."""
    assert not stale(project)


def test_a_stale_lock_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    """uv's --frozen would install what the lock has, without a word."""
    locks.write(tmp_path, pyproject_toml=PROJECT.replace("idna", "six"), uv_lock=LOCK)
    with pytest.raises(SourceError, match=r"^uv\.lock: uv\.lock is not up to date") as caught:
        find_dependencies(tmp_path, MAIN)
    assert str(caught.value.next_step).startswith("run `uv lock` and commit uv.lock")


def test_a_lock_without_a_project(tmp_path: Path) -> None:
    """Chosen by name it is an error; else a note says that it is not read."""
    locks.write(tmp_path, uv_lock=LOCK, pyproject_toml="[tool.black]\n")
    assert find_dependencies(tmp_path, MAIN).notes == ("uv.lock is not read",)
    with pytest.raises(SourceError, match="the file states no dependencies"):
        find_dependencies(tmp_path, MAIN, asked="uv.lock")


def test_groups_and_extras(tmp_path: Path) -> None:
    """Those in brackets, whichever they are; one that says it is for production without asking."""
    project = PROJECT.replace("[dependency-groups]\n", "[dependency-groups]\nprod = []\n")
    locks.write(tmp_path, pyproject_toml=project, uv_lock=LOCK)
    assert find_dependencies(tmp_path, MAIN).early[3:] == ("--group", "prod", "--no-install-local")
    found = find_dependencies(tmp_path, MAIN, asked="uv.lock[web, dev]")
    assert found.early[3:-1] == ("--group", "dev", "--group", "prod", "--extra", "web")


def test_an_extra_that_has_the_program(tmp_path: Path) -> None:
    """A Procfile that starts flask needs the extra in which it is."""
    locks.write(tmp_path, pyproject_toml=PROJECT, uv_lock=LOCK)
    program = Entrypoint("command", "flask", None, "", args=("run",))
    assert "web" in find_dependencies(tmp_path, program).early
    assert "web" not in find_dependencies(tmp_path, MAIN).early


WORKSPACE_LOCK = """\
version = 1
[manifest]
members = ["api", "core", "other"]
[[package]]
name = "api"
source = { virtual = "services/api" }
dependencies = [{ name = "core" }]
[package.metadata]
requires-dist = [{ name = "core", editable = "libs/core" }]
[[package]]
name = "core"
source = { editable = "libs/core" }
[[package]]
name = "other"
source = { editable = "libs/other" }
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    locks.write(
        tmp_path,
        pyproject_toml='[tool.uv.workspace]\nmembers = ["libs/*", "services/*"]\n',
        uv_lock=WORKSPACE_LOCK,
        services__api__main_py="import core\n",
        services__api__pyproject_toml='[project]\nname = "api"\ndependencies = ["core"]\n',
        libs__core__core_py="X = 1\n",
        libs__core__pyproject_toml='[project]\nname = "core"\n',
        libs__other__other_py="X = 1\n",
        libs__other__pyproject_toml='[project]\nname = "other"\n',
    )
    return tmp_path


def member(workspace: Path) -> Dependencies:
    return find_dependencies(workspace / "services" / "api", MAIN, source=workspace)


def around(found: Dependencies) -> Beside:
    assert found.beside
    return found.beside


def test_a_member_is_installed_by_the_lock_of_its_workspace(workspace: Path) -> None:
    """The lock lies outside of the folder that is deployed; uv finds it from there as well."""
    found = member(workspace)
    assert found.reason == "uv.lock of the workspace, for its member api"
    assert found.files == ("pyproject.toml", "uv.lock")
    assert found.early[-3:] == ("--package", "api", "--no-install-local")
    assert found.late == ("sync", "--frozen", "--no-dev", "--no-editable")
    assert (around(found).folder, around(found).project) == ("services/api", ".")


def test_only_what_the_member_needs_goes_along(workspace: Path) -> None:
    """Other members by their pyproject.toml, which uv reads: their code does not matter."""
    before = around(member(workspace)).digest
    assert around(member(workspace)).parts == (
        *("libs/core", "libs/other/pyproject.toml", "pyproject.toml", "services/api", "uv.lock"),
    )
    (workspace / "libs" / "other" / "other.py").write_text("X = 2\n")
    assert around(member(workspace)).digest == before
    (workspace / "libs" / "core" / "core.py").write_text("X = 2\n")
    assert around(member(workspace)).digest != before


def test_a_folder_that_is_no_member(workspace: Path) -> None:
    """It is installed by what it says itself, as uv does."""
    text = WORKSPACE_LOCK.replace("services/api", "services/old")
    (workspace / "uv.lock").write_text(text)
    assert member(workspace).reason == "[project] of pyproject.toml"


def test_a_library_beside_the_folder(tmp_path: Path) -> None:
    """A path that leads out of the folder is followed within the source, and not further."""
    lock: dict[str, Any] = {
        "api__pyproject_toml": '[project]\nname = "api"\ndependencies = ["lib"]\n'
        '[tool.uv.sources]\nlib = { path = "../lib" }\n',
        "api__uv_lock": WORKSPACE_LOCK.replace("services/api", ".")
        .replace("core", "lib")
        .replace("libs/lib", "../lib"),
        "lib__lib_py": "X = 1\n",
    }
    locks.write(tmp_path, **lock)
    found = find_dependencies(tmp_path / "api", MAIN, source=tmp_path)
    assert around(found).parts[:2] == ("api", "lib")
    assert (around(found).project, found.files) == ("api", ("api/pyproject.toml", "api/uv.lock"))
    with pytest.raises(SourceError, match="lies outside of the source"):
        find_dependencies(tmp_path / "api", MAIN)


SCRIPT = '# /// script\n# dependencies = ["idna~=3.6"]\n# ///\n'
SCRIPT_LOCK = 'version = 1\n[manifest]\nrequirements = [{ name = "idna", specifier = "~=3.6" }]\n'


def test_a_script_with_its_lock(tmp_path: Path) -> None:
    """The lock beside it is the script's, and goes along with the block."""
    locks.write(tmp_path, main_py=f"{SCRIPT}print(1)\n", main_py_lock=SCRIPT_LOCK)
    found = find_dependencies(tmp_path, MAIN)
    assert found.early == ("sync", "--active", "--frozen", "--script", "main.py")
    assert found.written == {"main.py": SCRIPT, "main.py.lock": SCRIPT_LOCK}
    locks.write(tmp_path, main_py=SCRIPT.replace("3.6", "3.7"))
    with pytest.raises(SourceError, match=r"main\.py\.lock is not up to date") as caught:
        find_dependencies(tmp_path, MAIN)
    assert "uv lock --script main.py" in str(caught.value.next_step)


def test_a_script_with_a_path(tmp_path: Path) -> None:
    """uv builds it where it lies."""
    table = '# [tool.uv.sources]\n# lib = { path = "lib" }\n# ///\n'
    (tmp_path / "main.py").write_text(SCRIPT.removesuffix("# ///\n") + table)
    found = find_dependencies(tmp_path, MAIN)
    assert (found.early, found.late) == ((), ("sync", "--active", "--script", "main.py"))
