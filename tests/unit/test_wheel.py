"""What the wheel holds: everything that the code reads beside Python."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("admin", "constructs_lib", "iac_wrapper", "provider", "runner", "stacks")

_LIST = """
from setuptools import Distribution
found = Distribution({"script_name": "setup.py"})
found.parse_config_files()
build = found.get_command_obj("build_py")
build.ensure_finalized()
for _, folder, _, names in build._get_data_files():
    for name in names:
        print(f"{folder}/{name}")
for _, names in found.data_files:
    for name in names:
        print(name)
"""
"""Asks setuptools itself which files besides modules it puts into a wheel."""


_OF_THE_PROVIDERS_OWN = ("LICENSE", "README.md", "pyproject.toml")
"""What makes `provider/` a distribution of its own."""


@pytest.fixture(scope="module")
def shipped() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _LIST], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines())


def test_every_file_of_the_packages_is_in_the_wheel(shipped: set[str]) -> None:
    """But for what only `make lock` reads."""
    own = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc", ".in")
        and path.name not in _OF_THE_PROVIDERS_OWN
        and not path.parent.name.endswith(".egg-info")  # what a build leaves
    }
    assert len(own) > 20
    assert own - shipped == set()


def test_the_systemd_units_are_in_the_wheel(shipped: set[str]) -> None:
    assert {name for name in shipped if name.startswith("packaging/systemd/")} == {
        "packaging/systemd/iac-admin.service",
        "packaging/systemd/iac-keep.service",
        "packaging/systemd/iac-renew.service",
        "packaging/systemd/iac-renew.timer",
        "packaging/systemd/iac-schedule.service",
        "packaging/systemd/iac-schedule.timer",
    }


def test_uv_is_the_same_in_the_wheel_and_in_images() -> None:
    """One lock is made by hand, the other by `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = ROOT / "iac_wrapper" / "bootstrap" / "uv-requirements.txt"
    (pin,) = (line.split()[0] for line in lock.read_text().splitlines() if line.startswith("uv=="))
    assert pin in project["dependencies"]
