"""What is planned for each form of dependencies is really installed, by uv as in a build."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.dependencies import find_dependencies
from iac_wrapper.program.dependency_plan import Dependencies
from iac_wrapper.program.index_settings import uv_environment
from tests.support import locks, own_venv

pytestmark = pytest.mark.slow

MAIN = Entrypoint("script", "main.py", None, "")

BUILD = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'

PACKAGE = f'{BUILD}[project]\nname = "board"\nversion = "1"\ndescription = "x"\n'


def install(tmp_path: Path, root: Path, found: Dependencies) -> Path:
    """Early with its own files alone, then late in a copy of the source; the interpreter."""
    own_venv.uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {
        **uv_environment(os.environ),
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "UV_PYTHON": str(python),
        "UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv"),
    }
    uv = Path(sys.executable).with_name("uv")
    deps, source = tmp_path / "deps", tmp_path / "src"
    deps.mkdir()
    whole = found.beside.root if found.beside else root
    for name in found.files:
        (deps / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / name, deps / name)
    for name, text in found.written.items():
        (deps / name).write_text(text)
    if found.early:
        own_venv.run(uv, *found.early, cwd=deps / found.early_folder, **environment)
    shutil.copytree(whole, source)
    if found.beside:
        for path in [p for p in source.rglob("*") if p.is_file()]:
            name = path.relative_to(source).as_posix()
            if not any(name == part or name.startswith(f"{part}/") for part in found.beside.parts):
                path.unlink()
    if found.late:
        folder = source / (found.beside.folder if found.beside else "")
        own_venv.run(uv, *found.late, cwd=folder, **environment)
    return python


def version(python: Path, package: str) -> str:
    text = f"from importlib.metadata import version; print(version({package!r}))"
    return own_venv.run(python, "-c", text, cwd=Path("/")).strip()


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject_toml": locks.POETRY_PROJECT, "poetry_lock": locks.POETRY},
        {"pyproject_toml": locks.PDM_PROJECT, "pdm_lock": locks.PDM},
        {"Pipfile": locks.PIPFILE, "Pipfile_lock": locks.PIPENV},
        {
            "pyproject_toml": PACKAGE,
            "board__init_py": "",
            "pylock_toml": locks.PYLOCK,
        },
        {"requirements_txt": f"--pre\n{locks.LINE}", "requirements__dev_txt": "iniconfig\n"},
        {"requirements__base_txt": "idna==3.6\n", "requirements__prod_txt": "-r base.txt\n"},
        {
            "requirements_txt": "idna==3.6\n-e ./lib\n",
            "lib__board_py": "",
            "lib__pyproject_toml": PACKAGE,
        },
        {
            "pyproject_toml": '[project]\nname = "p"\nversion = "1"\ndescription = "x"\n'
            'optional-dependencies.prod = ["iniconfig"]\n'
            '[dependency-groups]\nprod = ["idna==3.6"]\n'
        },
        {"pyproject_toml": locks.POETRY_PROJECT.replace("^3.6", "3.6.*")},
        {"Pipfile": locks.PIPFILE.replace("~=3.6", "==3.6")},
        {
            "main_py": '# /// script\n# dependencies = ["idna"]\n# [tool.uv]\n'
            '# exclude-newer = "2024-01-01T00:00:00Z"\n# ///\n'
        },
    ],
    ids=lambda files: next(name for name in reversed(files)),
)
def test_every_form_is_installed(tmp_path: Path, files: dict[str, str]) -> None:
    """The version that is locked, or the only one that is allowed."""
    root = tmp_path / "checkout"
    locks.write(root, **files)
    python = install(tmp_path, root, find_dependencies(root, MAIN))
    assert version(python, "idna") == "3.6"


def test_a_file_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    """Hashes of a lock hold."""
    wrong = locks.POETRY.replace(locks.HASHES[0], f"sha256:{'0' * 64}")
    wrong = wrong.replace(locks.HASHES[1], f"sha256:{'1' * 64}")
    root = tmp_path / "checkout"
    locks.write(root, pyproject_toml=locks.POETRY_PROJECT, poetry_lock=wrong)
    with pytest.raises(AssertionError, match="Hash mismatch"):
        install(tmp_path, root, find_dependencies(root, MAIN))


def test_a_member_of_a_workspace(tmp_path: Path) -> None:
    """With the lock of the root, made by uv itself, and without the members it does not need."""
    root = tmp_path / "checkout"
    one = 'version = "1"\ndescription = "x"\nrequires-python = ">=3.11"\n'
    locks.write(
        root,
        pyproject_toml='[tool.uv.workspace]\nmembers = ["libs/core", "libs/other", "api"]\n',
        api__main_py="import core\n",
        api__pyproject_toml=f'[project]\nname = "api"\n{one}dependencies = ["core"]\n'
        "[tool.uv.sources]\ncore = { workspace = true }\n",
        libs__core__core_py="X = 1\n",
        libs__core__pyproject_toml=f'{BUILD}[project]\nname = "core"\n{one}'
        'dependencies = ["idna==3.6"]\n',
        libs__other__pyproject_toml=f'{BUILD}[project]\nname = "other"\n{one}',
    )
    own_venv.uv("lock", "--quiet", cwd=root)
    found = find_dependencies(root / "api", MAIN, source=root)
    python = install(tmp_path, root, found)
    assert (version(python, "idna"), version(python, "core")) == ("3.6", "1")
