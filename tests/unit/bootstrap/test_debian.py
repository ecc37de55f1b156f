"""The Debian-made Python base: commands, mirrors, recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.bootstrap import debian
from iac_wrapper.errors import ConfigError
from iac_wrapper.program import apt_settings

DEB822 = """\
# comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://src.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main non-free
deb-src http://one.example/debian bookworm main
deb https://third.example/linux/debian bookworm stable
deb https://pinned.example/apt ./ main
"""


def test_the_machines_own_mirrors_serve_another_release() -> None:
    assert apt_settings.host_sources([DEB822], "bookworm", "trixie") == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/debian-security trixie-security main",
    ]


def test_third_parties_and_disabled_sources_are_left_out() -> None:
    assert apt_settings.host_sources([ONE_LINE], "bookworm", "bookworm") == [
        "deb http://one.example/debian bookworm main"
    ]


def test_only_the_way_to_the_mirrors_is_taken_from_apt() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::http::Proxy "http://proxy.example:3142";\n'
        'Acquire::https::mirror.example::CAInfo "/etc/ca.pem";\n'
        'Acquire::Check-Date "false";\n'
    )
    assert apt_settings.proxy_options(dump) == [
        'Acquire::http::Proxy "http://proxy.example:3142"',
        'Acquire::https::mirror.example::CAInfo "/etc/ca.pem"',
    ]


def test_the_command_builds_the_release_of_the_python() -> None:
    command = debian.bootstrap_command(
        "3.13", Path("/t/root.tar"), sources=["deb http://m trixie main"], apt_options=["A::B 1"]
    )
    assert command.argv[0] == "mmdebstrap"
    assert command.argv[-3:] == ("trixie", "/t/root.tar", "deb http://m trixie main")
    assert "--aptopt=A::B 1" in command.argv
    assert command.env is not None
    assert command.env["SOURCE_DATE_EPOCH"] == debian.EPOCH


def test_apt_options_of_this_machine_do_not_stay_in_the_image() -> None:
    command = debian.bootstrap_command("3.11", Path("/t/r.tar"), sources=[], apt_options=[])
    hooks = " ".join(part for part in command.argv if part.startswith("--customize-hook"))
    assert "99mmdebstrap" in hooks


def test_a_python_without_a_release_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no Debian release has Python 3\.12"):
        debian.suite("3.12")


def test_the_recipe_differs_between_pythons() -> None:
    assert debian.recipe_hash("3.11") != debian.recipe_hash("3.13")


def test_the_import_labels_the_image_with_the_recipe() -> None:
    argv = debian.import_command("3.11", Path("r.tar"), Path("docker"), "iac/python:3.11-slim").argv
    assert f"LABEL org.karstkit.base={debian.recipe_hash('3.11')}" in argv
    assert argv[-2:] == ("r.tar", "iac/python:3.11-slim")


def test_the_mirror_says_which_pythons_it_has(tmp_path: Path) -> None:
    """By the package lists of its releases, which apt keeps in a folder of their own."""
    printed = (
        "   python3 |   3.13.5-1 | http://m/debian trixie/main amd64 Packages\n"
        "   python3 |   3.14.7-3 | http://m/debian sid/main amd64 Packages\n"
    )
    assert debian.pythons(printed) == ["3.13"]
    update, listed = debian.ask_commands(tmp_path, ["deb http://m/debian trixie main"])
    assert (tmp_path / "sources.list").read_text() == "deb http://m/debian trixie main\n"
    assert f"Dir::State::Lists={tmp_path}/lists" in update.argv
    assert listed.argv[-2:] == ("madison", "python3")
