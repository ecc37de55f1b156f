"""What kind of machine this is."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import machine


@pytest.mark.parametrize(("comm", "expected"), [("init", "sysv"), ("bash", "none"), (None, "none")])
def test_who_starts_services(tmp_path: Path, comm: str | None, expected: str) -> None:
    if comm:
        (tmp_path / "proc" / "1").mkdir(parents=True)
        (tmp_path / "proc" / "1" / "comm").write_text(f"{comm}\n")
    assert machine.init_system(tmp_path) == expected


def test_a_booted_systemd_starts_services(tmp_path: Path) -> None:
    (tmp_path / "run" / "systemd" / "system").mkdir(parents=True)
    assert machine.init_system(tmp_path) == "systemd"


@pytest.mark.parametrize(
    ("release", "apt"),
    [
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_CODENAME": "wilma"}, True),
        ({"ID": "fedora"}, False),
        (None, False),
    ],
)
def test_apt_counts_on_debians_family_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: dict[str, str] | None, apt: bool
) -> None:
    """Some other distributions ship an apt-get that installs something else."""

    def read() -> dict[str, str]:
        if release is None:
            raise FileNotFoundError
        return release

    (tmp_path / "apt-get").write_text("")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "freedesktop_os_release", read)
    found = machine.inspect_machine()
    known = release or {}
    assert found.apt is apt
    assert (found.distribution, found.codename) == (
        known.get("ID", ""),
        known.get("VERSION_CODENAME", ""),
    )
