"""What gets installed for each kind of project, and which Python it gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.python_project import declared_packages

SCRIPT = Entrypoint("script", "main.py", None, "")

BUILD = '[build-system]\nrequires = ["hatchling"]\n'

PROJECT = '[project]\nname = "p"\ndependencies = ["idna"]\n'

UV_LOCK = """\
version = 1
[[package]]
name = "p"
source = { virtual = "." }
dependencies = [{ name = "idna" }]
[package.metadata]
requires-dist = [{ name = "idna" }]
[[package]]
name = "idna"
"""

INLINE = '# /// script\n# requires-python = ">=3.12"\n# dependencies = ["idna"]\n# ///\nprint()\n'


def find(root: Path, **files: str) -> Dependencies:
    """Write ``name_ext`` files and look; ``main_py`` is main.py."""
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    return find_dependencies(root, SCRIPT)


def test_a_binary_has_none(tmp_path: Path) -> None:
    """requirements.txt of a repository whose program is a binary is for somebody else."""
    (tmp_path / "requirements.txt").write_text("idna\n")
    found = find_dependencies(tmp_path, Entrypoint("binary", "/app/main", None, ""))
    note = "requirements.txt found, not used: `dependencies: requirements.txt` chooses it"
    assert found == Dependencies("none: not a Python program", notes=(note,))


def test_nothing_declared(tmp_path: Path) -> None:
    """A lone file needs nothing, and the reason says what was looked for."""
    found = find(tmp_path, main_py="print()")
    assert found == Dependencies("none: no requirements.txt, pyproject.toml or setup.py")


def test_requirements_and_what_they_include(tmp_path: Path) -> None:
    """Every included file keys the early layer, each once, cycles end."""
    (tmp_path / "base.txt").write_text("idna==3 \\\n  --hash=sha256:00\n-r requirements.txt\n")
    (tmp_path / "limits.txt").write_text("# nothing\n")
    found = find(tmp_path, requirements_txt="-r base.txt # more\n--constraint=limits.txt\nflask\n")
    assert found.files == ("requirements.txt", "base.txt", "limits.txt")
    assert found.early == ("pip", "install", "-r", "requirements.txt")
    assert found.late == ()


@pytest.mark.parametrize(
    "line", ["-e .", "./wheels/x.whl", "wheels/x.whl", "x @ file:///app/x", "-e ./lib[web]"]
)
def test_requirements_that_point_into_the_source(tmp_path: Path, line: str) -> None:
    """Such a line is installed once the source is there; the others outlive a change of it."""
    found = find(tmp_path, requirements_txt=f"idna\n{line}\n")
    assert found.early == ("pip", "install", "-r", "requirements.txt")
    assert (found.files, found.written) == ((), {"requirements.txt": "idna\n"})
    assert found.late == ("pip", "install", "-r", "requirements.txt")


@pytest.mark.parametrize("line", ["-f ./wheels", "-r 'a b.txt'", "-c limits.txt\n-e ."])
def test_requirements_that_are_not_told_apart(tmp_path: Path, line: str) -> None:
    """Wheels in the source may be of any line, and limits hold for all: nothing is early."""
    (tmp_path / "limits.txt").write_text("idna<4\n")
    found = find(tmp_path, requirements_txt=f"idna\n{line}\n")
    assert (found.early, found.late) == ((), ("pip", "install", "-r", "requirements.txt"))


@pytest.mark.parametrize("line", ["-i https://mirror.test/simple", "x @ https://host.test/x.whl"])
def test_addresses_need_no_source(tmp_path: Path, line: str) -> None:
    """A URL has slashes, but does not point into the source."""
    assert find(tmp_path, requirements_txt=f"{line}\n").early


def test_requirements_that_are_not_there(tmp_path: Path) -> None:
    """The line is named before anything is built; an address is for uv to read."""
    assert find(tmp_path, requirements_txt="-r https://host.test/more.txt\n").early
    with pytest.raises(SourceError, match=r"requirements.txt: a file that it includes") as caught:
        find(tmp_path, requirements_txt="-r more.txt\n")
    assert caught.value.found == "-r or -c more.txt"


def test_a_project_without_a_build_backend_is_not_built(tmp_path: Path) -> None:
    """Its dependencies are installed; it runs from /app as it is."""
    found = find(tmp_path, pyproject_toml=PROJECT)
    assert (found.files, found.late) == (("pyproject.toml",), ())
    assert found.early == ("pip", "install", "-r", "pyproject.toml")


def test_a_project_with_a_build_backend_is_installed(tmp_path: Path) -> None:
    """Dependencies early, the project itself late, without asking for them again."""
    found = find(tmp_path, pyproject_toml=PROJECT + BUILD)
    assert found.early == ("pip", "install", "-r", "pyproject.toml")
    assert found.late == ("pip", "install", "--no-deps", ".")
    both = find(tmp_path, requirements_txt="idna\n")
    assert both.files == ("requirements.txt",)
    assert both.late == found.late


@pytest.mark.parametrize(
    "toml",
    [
        BUILD + '[project]\nname = "p"\ndynamic = ["dependencies"]\n',
        BUILD + '[tool.poetry]\nname = "p"\n',
    ],
)
def test_only_the_build_backend_knows_the_dependencies(tmp_path: Path, toml: str) -> None:
    """Dynamic dependencies and Poetry's own tables: one late step builds and installs."""
    found = find(tmp_path, pyproject_toml=toml)
    assert (found.early, found.late) == ((), ("pip", "install", "."))


def test_pyproject_of_tools_only(tmp_path: Path) -> None:
    """A pyproject.toml that only configures linters declares nothing."""
    assert find(tmp_path, pyproject_toml="[tool.black]\n").reason.startswith("none")


@pytest.mark.parametrize(
    ("name", "text"), [("setup_py", "import setuptools\nsetuptools.setup()\n"), ("setup_cfg", "")]
)
def test_old_projects(tmp_path: Path, name: str, text: str) -> None:
    """setup.py and setup.cfg are built and installed."""
    assert find(tmp_path, **{name: text}).late == ("pip", "install", ".")


def test_uv_lock(tmp_path: Path) -> None:
    """uv.lock wins over requirements.txt; an early layer holds everything but the project."""
    found = find(tmp_path, pyproject_toml=PROJECT, uv_lock=UV_LOCK, requirements_txt="x\n")
    assert found.files == ("pyproject.toml", "uv.lock")
    assert found.early == ("sync", "--frozen", "--no-dev", "--no-install-local")
    assert found.late == ()
    built = find(tmp_path, pyproject_toml=PROJECT + BUILD)
    assert built.late == ("sync", "--frozen", "--no-dev", "--no-editable")


@pytest.mark.parametrize(
    "more", ['[tool.uv.workspace]\nmembers = ["a"]\n', '[tool.uv.sources]\na = {path = "a"}\n']
)
def test_uv_lock_with_members_in_the_source(tmp_path: Path, more: str) -> None:
    """What lies in the source is built late; what comes from an index is early all the same."""
    project = PROJECT.replace('["idna"]', '["idna", "a"]')
    lock = UV_LOCK.replace('[{ name = "idna" }]', '[{ name = "idna" }, { name = "a" }]')
    lock += '[[package]]\nname = "a"\nsource = { editable = "a" }\n'
    found = find(tmp_path, pyproject_toml=project + more, uv_lock=lock)
    assert found.early[-1] == "--no-install-local"
    assert found.late == ("sync", "--frozen", "--no-dev", "--no-editable")


def test_inline_script_metadata(tmp_path: Path) -> None:
    """The script's own requirements win over the project's files; its block is all that is read."""
    found = find(tmp_path, main_py=INLINE, requirements_txt="flask\n")
    assert found.written == {"main.py": INLINE.removesuffix("print()\n")}
    assert found.early == ("sync", "--active", "--script", "main.py")
    assert find(tmp_path, main_py="# /// script\n# ///\n").reason == "requirements.txt"


@pytest.mark.parametrize("text", [INLINE + "\n" + INLINE, "# /// script\n# = nonsense\n# ///\n"])
def test_bad_inline_script_metadata(tmp_path: Path, text: str) -> None:
    """Two blocks or no TOML: the file is named."""
    with pytest.raises(SourceError, match=r"main.py: bad inline script metadata"):
        find(tmp_path, main_py=text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be-bom", "utf-8-sig", "utf-8"])
def test_requirements_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    """uv follows a byte order mark, in included files too; so does what reads for it."""

    def encoded(text: str) -> bytes:
        if encoding == "utf-16-be-bom":
            return b"\xfe\xff" + text.encode("utf-16-be")
        return text.encode(encoding)

    (tmp_path / "requirements.txt").write_bytes(encoded("-r base.txt\r\nidna\r\n"))
    (tmp_path / "base.txt").write_bytes(encoded("gunicorn\r\n"))
    found = find(tmp_path)
    assert (found.files, found.notes) == (("requirements.txt", "base.txt"), ())
    assert found.early == ("pip", "install", "-r", "requirements.txt")
    assert declared_packages(tmp_path) == {"idna", "gunicorn"}


@pytest.mark.parametrize("data", ["idna\n".encode("utf-16-le"), b"idna # caf\xe9\n"])
def test_requirements_that_uv_cannot_read(tmp_path: Path, data: bytes) -> None:
    """The file is named before anything is built."""
    (tmp_path / "base.txt").write_bytes(data)
    with pytest.raises(SourceError, match=r"base.txt: the file is not text") as caught:
        find(tmp_path, requirements_txt="-r base.txt\n")
    assert caught.value.next_step == "save it as UTF-8, and commit the file"


def test_files_that_are_not_read_are_said(tmp_path: Path) -> None:
    """A line for each file that states dependencies and that nothing is installed from."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "prod.txt").write_text("x\n")
    files = {"package_json": "{}", "environment_yml": ""}
    more = {"setup_cfg": "[flake8]\n", "setup_py": "setup(install_requires=[])"}
    found = find(tmp_path, requirements_txt="x\n", pyproject_toml=PROJECT, **files, **more)
    assert found.notes == (
        "environment.yml is not read",
        "package.json is not read",
        "the dependencies in pyproject.toml are not read",
        "the dependencies in setup.py are not read",
        "requirements/prod.txt found, not used",
    )
    (tmp_path / "requirements.txt").write_text("-r requirements/prod.txt\n-e .\n")
    assert "requirements/prod.txt found, not used" not in find(tmp_path).notes


def test_what_is_read_is_not_said_to_be_ignored(tmp_path: Path) -> None:
    """A lock or a build file that the installation does read is no note."""
    assert find(tmp_path, pyproject_toml=PROJECT, uv_lock=UV_LOCK).notes == ()
    (tmp_path / "uv.lock").unlink()
    built = find(tmp_path, pyproject_toml=BUILD, setup_cfg="install_requires = x")
    assert (built.late, built.notes) == (("pip", "install", "."), ())


def test_extras_that_are_left_out_are_said(tmp_path: Path) -> None:
    """But those for work on the code; the program's own is installed."""
    extras = "[project.optional-dependencies]\nbot = ['six']\ntest = ['pytest']\n"
    toml = f"[project]\nname = 'shop'\nversion = '1'\ndependencies = ['idna']\n{extras}"
    assert find(tmp_path, pyproject_toml=toml).notes == (
        "extras of pyproject.toml are not installed: bot;"
        " `dependencies: pyproject.toml[bot]` installs one",
    )
    asked = find_dependencies(tmp_path, SCRIPT, asked="pyproject.toml[bot]")
    assert asked.notes == ()


def test_a_pipfile_without_its_lock(tmp_path: Path) -> None:
    """Its ranges are as good as those of requirements.txt."""
    packages = (
        'flask = "*"\nredis = {version = ">=5", extras = ["hiredis"]}\nlib = {path = "./lib"}\n'
    )
    found = find(tmp_path, Pipfile=f"[packages]\n{packages}[dev-packages]\npytest = '*'\n")
    assert found.written == {"requirements.txt": "flask\nredis[hiredis]>=5\n"}
    assert found.late == ("pip", "install", "./lib")


def test_poetry_without_a_package_and_without_a_lock(tmp_path: Path) -> None:
    """Its dependencies are in its tables; there is nothing to build."""
    toml = BUILD + "[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\n"
    toml += 'python = "^3.11"\nflask = "^3.0"\nsix = {version = "~1.16", optional = true}\n'
    toml += 'tzdata = {version = "*", markers = "sys_platform == \'win32\'", python = "<3.13"}\n'
    found = find(tmp_path, pyproject_toml=toml)
    assert found.written["requirements.txt"].splitlines() == [
        "flask<4,>=3.0",
        "tzdata ; (python_version < \"3.13\") and (sys_platform == 'win32')",
    ]
    assert (found.early[-1], found.late) == ("requirements.txt", ())


LOCK_OF_EXTRAS = """\
version = 1
[[package]]
name = "p"
source = { virtual = "." }
dependencies = [{ name = "pandas" }]
[package.optional-dependencies]
ml = [{ name = "numpy" }, { name = "torch" }]
queue = [{ name = "redis" }]
[package.metadata]
requires-dist = [
    { name = "numpy", marker = "extra == 'ml'" },
    { name = "pandas" },
    { name = "redis", marker = "extra == 'queue'" },
    { name = "torch", marker = "extra == 'ml'" },
]
provides-extras = ["ml", "queue"]
[[package]]
name = "pandas"
dependencies = [{ name = "numpy" }]
[[package]]
name = "numpy"
[[package]]
name = "redis"
[[package]]
name = "torch"
"""

PROJECT_OF_EXTRAS = (
    "[project]\nname = 'p'\nversion = '1'\ndependencies = ['pandas']\n"
    "[project.optional-dependencies]\nml = ['numpy', 'torch']\nqueue = ['redis']\n"
)


def test_an_extra_that_an_import_needs_is_installed_from_the_lock(tmp_path: Path) -> None:
    """But not for what comes with a requirement anyway, which the lock tells."""
    files = {"pyproject_toml": PROJECT_OF_EXTRAS, "uv_lock": LOCK_OF_EXTRAS}
    found = find(tmp_path, main_py="import numpy\nimport redis.asyncio\n", **files)

    assert found.early[3:5] == ("--extra", "queue")
    assert "ml" not in found.early
    assert found.notes[0] == (
        "the extra queue is installed: main.py imports redis, which no other requirement brings;"
        " `dependencies: uv.lock` leaves it out"
    )


def test_who_names_the_file_alone_gets_no_extra_for_an_import(tmp_path: Path) -> None:
    files = {"pyproject_toml": PROJECT_OF_EXTRAS, "uv_lock": LOCK_OF_EXTRAS}
    find(tmp_path, main_py="import redis\n", **files)
    found = find_dependencies(tmp_path, SCRIPT, asked="uv.lock")

    assert "--extra" not in found.early
    assert found.notes == ()


@pytest.mark.parametrize(
    ("imported", "package", "brings"),
    [
        ("yaml", "pyyaml", True),
        ("cv2", "opencv-python", True),
        ("google.cloud.storage", "google-cloud-storage", True),
        ("dotenv", "Python_Dotenv>=1", True),
        ("json", "json", False),
        ("redis", "redis-om", False),
    ],
)
def test_which_package_brings_a_module(
    imported: str, package: str, brings: bool, tmp_path: Path
) -> None:
    extras = f"[project.optional-dependencies]\nx = ['{package}']\n"
    found = find(tmp_path, main_py=f"import {imported}\n", pyproject_toml=PROJECT + extras)

    assert ("--extra" in found.early) is brings


def test_an_extra_of_setup_py_by_name(tmp_path: Path) -> None:
    """In brackets, as for every other file."""
    find(
        tmp_path, setup_py="from setuptools import setup\nsetup(extras_require={'q': ['redis']})\n"
    )
    found = find_dependencies(tmp_path, SCRIPT, asked="setup.py[q]")

    assert found.late == ("pip", "install", ".[q]")
    with pytest.raises(SourceError, match="no such dependency group or extra"):
        find_dependencies(tmp_path, SCRIPT, asked="setup.py[other]")


def test_the_only_requirements_lie_in_a_folder(tmp_path: Path) -> None:
    """A folder of Docker files, or the package itself, says what the whole repository needs."""
    for folder in ("docker", "shop", "tests", "reports"):
        (tmp_path / folder).mkdir()
    (tmp_path / "docker/requirements.txt").write_text("idna\n")
    (tmp_path / "tests/requirements.txt").write_text("pytest\n")
    (tmp_path / "reports/requirements.txt").write_text("pandas\n")
    (tmp_path / "reports/monthly.py").write_text("import pandas\n")
    found = find(tmp_path, main_py="import idna\n")
    assert found.files == ("docker/requirements.txt",)
    assert found.notes == (
        "docker/requirements.txt is installed from: the root of the repository has no requirements",
    )

    (tmp_path / "shop/__init__.py").touch()
    (tmp_path / "shop/requirements.txt").write_text("flask\n")
    with pytest.raises(SourceError, match="nothing says to install") as caught:
        find_dependencies(tmp_path, SCRIPT)
    assert "write `dependencies: " in str(caught.value.next_step)
    found = find_dependencies(tmp_path, replace(SCRIPT, source="repos-file"))
    assert found.files == ()
    assert "`dependencies: shop/requirements.txt` chooses it" in found.notes[1]
    found = find_dependencies(tmp_path, SCRIPT, asked="shop/requirements.txt")
    assert found.files == ("shop/requirements.txt",)

    found = find(tmp_path, requirements_txt="certifi\n")
    assert (found.files, found.notes) == (("requirements.txt",), ())
