"""What the locks of Poetry, PDM, Pipenv and PEP 751 have installed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.locks import pdm, pipfile, poetry, pylock
from iac_wrapper.program.locks.selection import Selection
from tests.support import locks

MAIN = Entrypoint("script", "main.py", None, "")
NO_HASH = 'content-hash = ""\n'


def find(root: Path, asked: str | None = None, **files: str) -> Dependencies:
    locks.write(root, **files)
    return find_dependencies(root, MAIN, asked=asked)


def lines(found: Dependencies) -> list[str]:
    """The requirements, without their hashes."""
    text = found.written.get("requirements.txt", "")
    return [line.removesuffix(" \\") for line in text.splitlines() if "--hash" not in line]


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject_toml": locks.POETRY_PROJECT, "poetry_lock": locks.POETRY},
        {"pyproject_toml": locks.PDM_PROJECT, "pdm_lock": locks.PDM},
    ],
)
def test_a_lock_becomes_pinned_requirements(tmp_path: Path, files: dict[str, str]) -> None:
    """A version with the hashes of its files, and nothing that was not locked."""
    found = find(tmp_path, **files)
    assert found.written == {"requirements.txt": locks.LINE}
    assert found.early == ("pip", "install", "--no-deps", "-r", "requirements.txt")
    assert (found.late, found.files, found.notes) == ((), (), ())


def test_a_change_that_locks_the_same_is_no_other_layer(tmp_path: Path) -> None:
    """What keys the early layer is what is installed, not the lock's comments or tools."""
    files = {"pyproject_toml": locks.POETRY_PROJECT, "poetry_lock": locks.POETRY}
    before = find(tmp_path, **files)
    dev = '[[package]]\nname = "iniconfig"\nversion = "2.0.0"\ngroups = ["dev"]\nfiles = []\n'
    files["poetry_lock"] = f"# by another Poetry\n{dev}{locks.POETRY}"
    assert find(tmp_path, **files).written == before.written


def test_pipenv(tmp_path: Path) -> None:
    """The section `default`, with the conditions that it states."""
    found = find(tmp_path, Pipfile=locks.PIPFILE, Pipfile_lock=locks.PIPENV)
    assert lines(found) == ['idna==3.6 ; python_version >= "3.5"']
    assert (found.reason, found.notes) == ("Pipfile.lock", ())


def test_pipenv_in_all_its_forms() -> None:
    """Git at a commit, a file, a path, an index of its own, and what was not locked at all."""
    packages = {
        "a": {"git": "https://host.test/a.git", "ref": "f" * 40},
        "b": {"file": "https://host.test/b.whl", "hashes": ["sha256:00"]},
        "c": {"path": "./c", "editable": True},
        "d": {"version": "*", "markers": "sys_platform == 'win32'"},
    }
    sources = [{"url": "https://pypi.test/simple"}, {"url": "https://mine.test/simple"}]
    lock = {"_meta": {"sources": sources}, "default": packages}
    found = pipfile.read({}, lock, Selection())
    assert found.requirements("Pipfile.lock").splitlines() == [
        "--extra-index-url https://mine.test/simple",
        f"a @ git+https://host.test/a.git@{'f' * 40}",
        "b @ https://host.test/b.whl \\",
        "    --hash=sha256:00",
        'd ; sys_platform == "win32"',
    ]
    assert found.paths == ("./c",)


def test_pylock_leaves_the_project_to_the_source(tmp_path: Path) -> None:
    """uv lists the project itself, which pip refuses: it is built when the source is there."""
    found = find(tmp_path, pylock_toml=locks.PYLOCK)
    assert lines(found) == ["idna==3.6"]
    assert found.late == ("pip", "install", "--no-deps", ".")


def test_pylock_groups_are_decided() -> None:
    """Groups of development are left out though the lock installs them by default."""
    packages = [
        {"name": "a", "version": "1"},
        {"name": "b", "version": "1", "marker": "'dev' in dependency_groups"},
        {"name": "c", "version": "1", "marker": "'web' in extras and sys_platform == 'linux'"},
        {"name": "d", "version": "1", "marker": "'web' not in extras"},
    ]
    lock = {"packages": packages, "default-groups": ["dev"]}
    assert [pin.name for pin in pylock.read(lock, Selection()).pins] == ["a", "d"]
    web = pylock.read(lock, Selection(extras=("web",)))
    assert [pin.line() for pin in web.pins] == ["a==1", 'c==1 ; sys_platform == "linux"']


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["pylock.prod.toml", "pylock.dev.toml"], "pylock.prod.toml"),
        (["pylock.worker.toml", "pylock.test.toml"], "pylock.worker.toml"),
        (["pylock.toml", "pylock.prod.toml"], "pylock.toml"),
        (["pylock.a.toml", "pylock.b.toml"], "none"),
        (["pylock.dev.toml"], "none"),
    ],
)
def test_which_pylock(tmp_path: Path, names: list[str], chosen: str) -> None:
    """The one without a name, that of production, or the only one that is not for development."""
    for name in names:
        (tmp_path / name).write_text(locks.PYLOCK)
    assert find_dependencies(tmp_path, MAIN).reason.split(",")[0].startswith(chosen)


OLD_POETRY = """\
[[package]]
name = "server"
version = "1.0"
optional = false
[package.dependencies]
click = ">=8"
colors = {version = "*", markers = "sys_platform == \\"win32\\""}
[package.dependencies.fast]
version = ">=1"
optional = true
markers = "sys_platform != \\"win32\\" and extra == \\"all\\""
[package.extras]
all = ["fast (>=1)", "missing (>=1)"]
[[package]]
name = "click"
version = "8.0"
[package.dependencies]
colors = {version = "*", markers = "platform_system == \\"Windows\\""}
[[package]]
name = "colors"
version = "1.0"
[[package]]
name = "fast"
version = "1.0"
[[package]]
name = "shared"
version = "1.0"
[[package]]
name = "shared"
version = "2.0"
[[package]]
name = "linter"
version = "1.0"
category = "dev"
[metadata]
lock-version = "1.1"
[metadata.files]
server = [{file = "server.whl", hash = "sha256:aa"}]
"""

OLD_PROJECT = """\
[tool.poetry.dependencies]
python = "^3.8"
server = {version = "^1.0", extras = ["all"]}
shared = [{version = "^1.0", python = "<3.12"}, {version = "^2.0", python = ">=3.12"}]
linter = {version = "*", optional = true}
[tool.poetry.extras]
checks = ["linter"]
[tool.poetry.dev-dependencies]
linter = "*"
"""


def read_old(**chosen: tuple[str, ...]) -> list[str]:
    project, lock = tomllib.loads(OLD_PROJECT), tomllib.loads(OLD_POETRY)
    found = poetry.read(Path("/nowhere"), project, lock, Selection(**chosen))
    return found.requirements("poetry.lock").splitlines()


def test_an_old_poetry_lock_is_followed_along_its_dependencies() -> None:
    """Extras, conditions along the way, and two versions of one package, each where it holds."""
    assert read_old() == [
        "click==8.0",
        'colors==1.0 ; (platform_system == "Windows") or (sys_platform == "win32")',
        'fast==1.0 ; sys_platform != "win32"',
        "server==1.0 \\",
        "    --hash=sha256:aa",
        'shared==1.0 ; python_version < "3.12"',
        'shared==2.0 ; python_version >= "3.12"',
    ]
    assert "linter==1.0" in read_old(groups=("dev",))
    assert "linter==1.0" in read_old(extras=("checks",))


def test_poetry_sources() -> None:
    """Git at the commit, an index of its own, a folder of the source."""
    lock = tomllib.loads("""
        [[package]]
        name = "a"
        version = "1"
        groups = ["main"]
        [package.source]
        type = "git"
        url = "git@host.test:o/a.git"
        reference = "main"
        resolved_reference = "abc"
        [[package]]
        name = "b"
        version = "1"
        groups = ["main"]
        [package.source]
        type = "legacy"
        url = "https://mine.test/simple"
        [[package]]
        name = "c"
        version = "1"
        groups = ["main"]
        [package.source]
        type = "directory"
        url = "libs/c"
        """)
    found = poetry.read(Path("/nowhere"), {}, lock, Selection())
    assert found.requirements("poetry.lock").splitlines() == [
        "--extra-index-url https://mine.test/simple",
        "a @ git+ssh://git@host.test/o/a.git@abc",
        "b==1",
    ]
    assert found.paths == ("libs/c",)


def test_markers_of_poetry_by_group_and_extra() -> None:
    """Since lock version 2.1 each package says where it is wanted."""
    lock = tomllib.loads("""
        [[package]]
        name = "a"
        version = "1"
        groups = ["main", "dev"]
        markers = {main = "sys_platform == 'win32'", dev = "python_version < '3.12'"}
        [[package]]
        name = "b"
        version = "1"
        optional = true
        groups = ["main"]
        markers = "extra == 'web'"
        """)
    plain = poetry.read(Path("/nowhere"), {}, lock, Selection())
    assert [pin.line() for pin in plain.pins] == ['a==1 ; sys_platform == "win32"']
    web = poetry.read(Path("/nowhere"), {}, lock, Selection(extras=("web",)))
    assert web.pins[1].line() == "b==1"


def test_pdm_without_metadata_is_followed() -> None:
    """Extras are packages of their own there."""
    lock = tomllib.loads("""
        [metadata]
        strategy = []
        [[package]]
        name = "server"
        version = "1.0"
        groups = ["default"]
        dependencies = ["click>=8; sys_platform == 'win32'"]
        [[package]]
        name = "server"
        version = "1.0"
        extras = ["all"]
        groups = ["default"]
        dependencies = ["fast", "server==1.0"]
        [[package]]
        name = "click"
        version = "8.0"
        [[package]]
        name = "fast"
        version = "1.0"
        [[package]]
        name = "linter"
        version = "1.0"
        """)
    project = {
        "project": {"dependencies": ["server[all]"]},
        "dependency-groups": {"dev": ["linter"]},
    }
    found = pdm.read(project, lock, Selection()).requirements("pdm.lock")
    assert found.splitlines() == [
        'click==8.0 ; sys_platform == "win32"',
        "fast==1.0",
        "server==1.0",
    ]
    assert "linter==1.0" in pdm.read(project, lock, Selection(("dev",))).requirements("pdm.lock")


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (
            {
                "pyproject_toml": locks.POETRY_PROJECT.replace("^3.6", "^3.7"),
                "poetry_lock": locks.POETRY,
            },
            "poetry lock",
        ),
        (
            {
                "Pipfile": locks.PIPFILE,
                "Pipfile_lock": locks.PIPENV.replace('"hash": {}', '"hash": {"sha256": "00"}'),
            },
            "pipenv lock",
        ),
    ],
)
def test_a_stale_lock_is_an_error_with_the_command(
    tmp_path: Path, files: dict[str, str], command: str
) -> None:
    """As the tools themselves refuse it; the way past it is there, too."""
    with pytest.raises(SourceError, match="is not up to date") as caught:
        find(tmp_path, **files)
    assert f"run `{command}` and commit" in str(caught.value.next_step)
    assert "`dependencies: " in str(caught.value.next_step)


OWN_TABLE = {
    "tool": {
        "poetry": {
            "package-mode": False,
            "dependencies": {
                "python": "^3.11",
                "uvicorn": {"version": "^0.30", "extras": ["standard"]},
            },
        }
    }
}
BOTH_TABLES = {
    "project": {"dependencies": ["flask>=3"], "requires-python": ">=3.11"},
    "dependency-groups": {"dev": ["pytest"]},
    "tool": {"poetry": {"group": {"docs": {"dependencies": {"sphinx": "*"}}}}},
}


@pytest.mark.parametrize(
    ("project", "recorded"),
    [
        (OWN_TABLE, "e878089c530ea39b7919aeec8304ee591c7df9284702965becf7992467c9e0e4"),
        (BOTH_TABLES, "98d50e102bf6188e192bbf912e0d8aa3175677ab8ad769b100962ade0ebc5943"),
        (BOTH_TABLES, "8f7464022b13efc58a213e5aaa2b9ba12f29f008cc56b4fce793cc8ab900e929"),
    ],
)
def test_the_hash_that_poetry_records(project: dict[str, Any], recorded: str) -> None:
    """By Poetry 2.5.1; the last one as before its 2.3, without the groups of PEP 735."""
    lock = {"metadata": {"content-hash": recorded}}
    assert not poetry.read(Path("/nowhere"), project, lock, Selection()).stale


@pytest.mark.parametrize(
    ("version", "packages", "said"),
    [
        ("2.0", ["uvicorn"], ""),
        ("2.1", ["uvicorn"], "pyproject.toml has changed since poetry.lock was written"),
        ("2.0", [], "pyproject.toml requires uvicorn, the lock does not"),
    ],
)
def test_an_older_poetry_did_not_read_the_project_table(
    version: str, packages: list[str], said: str
) -> None:
    """Its hash is that of its own table; what that requires must be there all the same."""
    project = {**OWN_TABLE, "project": {"requires-python": ">=3.11"}}
    recorded = "e878089c530ea39b7919aeec8304ee591c7df9284702965becf7992467c9e0e4"
    lock = {
        "metadata": {"content-hash": recorded, "lock-version": version},
        "package": [{"name": name, "version": "0.30.1"} for name in packages],
    }
    assert poetry.read(Path("/nowhere"), project, lock, Selection()).stale == said


def test_the_hash_that_pipenv_records() -> None:
    """By plette 2.4.0, the library that Pipenv reads its files with."""
    stated = {
        "source": [{"url": "https://index.test/simple", "verify_ssl": True, "name": "mine"}],
        "packages": {"uvicorn": {"version": "~=0.30", "extras": ["standard"]}},
        "dev-packages": {"iniconfig": "*"},
    }
    recorded = "2e59808331adbdd3302fe549b7de33ba717497d1209440585f12411a93ed2144"
    lock = {"_meta": {"hash": {"sha256": recorded}}}
    assert not pipfile.read(stated, lock, Selection()).stale


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("*", "requires iniconfig, the lock does not"),
        ({"version": "*", "markers": "sys_platform == 'win32'"}, ""),
    ],
)
def test_a_lock_without_a_hash_has_what_is_required_everywhere(entry: Any, said: str) -> None:
    """What is wanted on some machines only may be left out of it."""
    pyproject = {"tool": {"poetry": {"dependencies": {"python": "^3.11", "Iniconfig": entry}}}}
    of_poetry = poetry.read(Path("/nowhere"), pyproject, {"package": []}, Selection()).stale
    of_pipenv = pipfile.read({"packages": {"Iniconfig": entry}}, {"default": {}}, Selection()).stale
    for stale in (of_poetry, of_pipenv):
        assert stale.endswith(said)
        assert bool(stale) == bool(said)


def test_pdm_installs_from_a_stale_lock_and_says_so(tmp_path: Path) -> None:
    """So does PDM."""
    lock = locks.PDM.replace("lock_version", 'content_hash = "sha256:00"\nlock_version')
    found = find(tmp_path, pyproject_toml=locks.PDM_PROJECT, pdm_lock=lock)
    assert found.early
    assert found.notes[0].startswith("pyproject.toml has changed since pdm.lock was written")


def test_a_stale_lock_gives_way_to_one_that_fits(tmp_path: Path) -> None:
    """Of two, the one that is of the project as it is."""
    project = locks.POETRY_PROJECT.replace("^3.6", "^3.7")
    files = {"poetry_lock": locks.POETRY, "pylock_toml": locks.PYLOCK}
    found = find(tmp_path, pyproject_toml=project, **files)
    assert found.reason.startswith("pylock.toml")
    assert found.notes[0].startswith("poetry.lock is not up to date")


def test_two_locks(tmp_path: Path) -> None:
    """That of the tool which the project names; the others are said, and how to choose them."""
    files = {"pdm_lock": locks.PDM, "poetry_lock": locks.POETRY, "requirements_txt": "flask\n"}
    found = find(tmp_path, pyproject_toml=locks.PDM_PROJECT, **files)
    assert found.reason == "pdm.lock"
    assert found.notes == tuple(
        f"{name} found, not used: `dependencies: {name}` chooses it"
        for name in ("poetry.lock", "requirements.txt")
    )
    asked = find(tmp_path, "requirements.txt")
    assert asked.reason == "requirements.txt, as `dependencies:` says"
    assert asked.early == ("pip", "install", "-r", "requirements.txt")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("other.txt", "there is no such file"),
        ("pdm.lock[web]", "no such dependency group or extra"),
        ("requirements.txt[web]", "a requirements file has no groups"),
    ],
)
def test_what_cannot_be_chosen(tmp_path: Path, asked: str, message: str) -> None:
    """The error lists what can."""
    files = {"pdm_lock": locks.PDM, "pyproject_toml": locks.PDM_PROJECT, "requirements_txt": "x\n"}
    with pytest.raises(SourceError, match=message):
        find(tmp_path, asked, **files)


@pytest.mark.parametrize(
    "package",
    [
        {"name": "a", "version": "1\n--index-url http://x.test"},
        {"name": "-r x", "version": "1"},
        {"name": "a", "version": "1", "files": [{"hash": "sha256:00 -e ."}]},
        {"name": "a", "version": "1", "source": {"type": "url", "url": "https://x.test/ -e ."}},
        {"name": "a", "version": "1", "markers": "nonsense"},
    ],
)
def test_a_lock_says_nothing_but_packages(tmp_path: Path, package: dict[str, object]) -> None:
    """What would be an option of the installer is an error that names the lock."""
    (tmp_path / "pyproject.toml").write_text("[tool.poetry]\n")
    (tmp_path / "poetry.lock").write_text(_toml({**package, "groups": ["main"]}))
    with pytest.raises(SourceError, match=r"^poetry\.lock: "):
        find_dependencies(tmp_path, MAIN)


def _toml(package: dict[str, object]) -> str:
    def value(one: object) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{k} = {value(v)}" for k, v in one.items()) + "}"
        if isinstance(one, list):
            return "[" + ", ".join(map(value, one)) + "]"
        return json.dumps(one)

    return "[[package]]\n" + "".join(f"{k} = {value(v)}\n" for k, v in package.items())
