"""What the backends themselves make of what a build is told: each is installed and run."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from uv import find_uv_bin

from iac_wrapper.program.vcs_version import vcs_version
from iac_wrapper.sources.description import Description

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHA = "abcdef0123456789abcdef0123456789abcdef01"
LATER = Description("v1.2.3", 5, SHA)

HATCH = '[build-system]\nrequires = ["{0}", "hatchling"]\nbuild-backend = "hatchling.build"\n'
DYNAMIC = '[project]\nname = "shop.web"\ndynamic = ["version"]\n'
HATCH_FILES = "[tool.hatch.build]\ninclude = ['shop.py']\n[tool.hatch.version]\nsource = '{0}'\n"
SETUPTOOLS = (
    '[build-system]\nrequires = ["setuptools", "{0}"]\nbuild-backend = "setuptools.build_meta"\n'
)
PY_MODULES = "[tool.setuptools]\npy-modules = ['shop']\n"

PROJECTS = {
    "setuptools-scm": {
        "pyproject.toml": SETUPTOOLS.format("setuptools-scm>=8")
        + DYNAMIC
        + PY_MODULES
        + "[tool.setuptools_scm]\n"
    },
    "setup.py": {
        "setup.py": "from setuptools import setup\n"
        "setup(name='shop.web', py_modules=['shop'], use_scm_version=True,"
        " setup_requires=['setuptools-scm'])\n"
    },
    "hatch-vcs": {
        "pyproject.toml": HATCH.format("hatch-vcs") + DYNAMIC + HATCH_FILES.format("vcs")
    },
    "uv-dynamic-versioning": {
        "pyproject.toml": HATCH.format("uv-dynamic-versioning")
        + DYNAMIC
        + HATCH_FILES.format("uv-dynamic-versioning")
    },
    "poetry-dynamic-versioning": {
        "pyproject.toml": "[build-system]\n"
        'requires = ["poetry-core>=1", "poetry-dynamic-versioning>=1"]\n'
        'build-backend = "poetry_dynamic_versioning.backend"\n'
        '[tool.poetry]\nname = "shop.web"\nversion = "0.0.0"\ndescription = ""\nauthors = []\n'
        'packages = [{include = "shop.py"}]\n[tool.poetry-dynamic-versioning]\nenable = true\n'
    },
    "pdm-backend": {
        "pyproject.toml": '[build-system]\nrequires = ["pdm-backend"]\n'
        'build-backend = "pdm.backend"\n' + DYNAMIC + "[tool.pdm.version]\nsource = 'scm'\n"
        "[tool.pdm.build]\nincludes = ['shop.py']\n"
    },
    "pbr": {
        "setup.py": "from setuptools import setup\nsetup(setup_requires=['pbr'], pbr=True)\n",
        "setup.cfg": "[metadata]\nname = shop.web\n[files]\nmodules =\n    shop\n",
        "pyproject.toml": SETUPTOOLS.format("pbr"),
    },
    "versioningit": {
        "pyproject.toml": SETUPTOOLS.format("versioningit>=3")
        + DYNAMIC
        + PY_MODULES
        + "[tool.versioningit]\n"
    },
}


def build(root: Path, to: Path) -> tuple[str, str]:
    """The version that the build is told, and the one in the name of the wheel."""
    told = vcs_version(root, lambda: LATER)
    if told.pkg_info:
        text = f"Metadata-Version: 2.1\nName: app\nVersion: {told.pkg_info}\n"
        (root / "PKG-INFO").write_text(text)
    command = (find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", to, root)
    subprocess.run(command, check=True, env={**os.environ, **dict(told.variables)})
    (wheel,) = to.glob("*.whl")
    return dict(told.variables).get("".join(dict(told.variables)), told.pkg_info), wheel.name


def test_a_backend_takes_the_version(tmp_path: Path) -> None:
    """Without a repository each builds the version that it would have found in one."""
    for backend, files in PROJECTS.items():
        (tmp_path / backend).mkdir()
        for name, text in {"shop.py": "", **files}.items():
            (tmp_path / backend / name).write_text(text)
    with ThreadPoolExecutor(4) as pool:
        folders = {backend: tmp_path / backend for backend in PROJECTS}
        builds = {name: pool.submit(build, at, at / "dist") for name, at in folders.items()}
    versions = {backend: done.result() for backend, done in builds.items()}
    for told, wheel in versions.values():
        assert told.startswith("1.2.")
        assert wheel.split("-")[1] == told
