"""What kind of machine this is."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.bootstrap import machine


def test_os_release_is_read_as_its_manual_says() -> None:
    text = (
        'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n# x\nVERSION_CODENAME=bookworm\n'
    )
    release = machine.parse_os_release(text)
    assert (release["ID"], release["VERSION_CODENAME"]) == ("debian", "bookworm")


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
    ("release", "apt"), [("ID=linuxmint\nID_LIKE='ubuntu debian'", True), ("ID=fedora", False)]
)
def test_apt_counts_on_debians_family_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, apt: bool
) -> None:
    """Some other distributions ship an apt-get that installs something else."""
    (tmp_path / "os-release").write_text(release)
    (tmp_path / "apt-get").write_text("")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "OS_RELEASE", tmp_path / "os-release")
    assert machine.inspect().apt is apt
