"""`iac doctor` as people type it, in a project and outside of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.files import machine_home
from iac_wrapper.files.layout import Layout
from tests.support.docker_daemon import Daemon


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_double: Daemon) -> Path:
    """A folder that is no project, on a machine with an engine that is not set up."""
    monkeypatch.setenv("IAC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IAC_PROJECT", "demo")
    monkeypatch.setattr(machine_home, "checkout", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    assert engine_double.host
    return tmp_path


def _project(folder: Path) -> Path:
    for name in ("cdktf.json", "main.py"):
        (folder / name).write_text("{}")
    return folder


def _iac(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, ["doctor", *arguments])
    assert "Traceback" not in result.output
    return result


def test_outside_of_a_project_the_machine_alone(folder: Path) -> None:
    """The code is that of the first failure: here of a machine that is not set up."""
    result = _iac("--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["good"]) == (2, False)
    assert {each["part"] for each in data["checks"]} == {"settings", "machine"}
    found = {each["name"]: each for each in data["checks"]}
    assert found["set-up"]["outcome"] == "FAILED"
    assert found["set-up"]["next_step"] == "iac setup"
    assert found["engine"]["outcome"] == "PASSED"
    assert sorted(folder.iterdir()) == [], "a look changes nothing"


def test_text_fits_eighty_columns(folder: Path) -> None:
    """Each line; what follows from a failure does not repeat its step."""
    result = _iac()
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "settings"
    assert [line for line in lines if line.startswith("FAILED  set-up")]
    assert result.stdout.count("next: iac setup") == 1
    assert lines[-1].endswith(" FAILED.")


def test_in_a_project_its_part_as_well(folder: Path) -> None:
    """With the fixes of what is safe."""
    secrets = Layout(_project(folder)).secrets
    secrets.mkdir(mode=0o755)
    secrets.chmod(0o755)
    found = _project_checks()
    assert (found["secrets"]["outcome"], found["secrets"]["fixed"]) == ("FAILED", "")
    found = _project_checks("--fix")
    assert (found["secrets"]["outcome"], "secrets" in found["secrets"]["fixed"]) == ("PASSED", True)
    assert "did: closed" not in _iac("--fix").stdout
    secrets.chmod(0o755)
    assert "did: closed to other users: secrets" in _iac("--fix").stdout


def _project_checks(*options: str) -> dict[str, dict[str, str]]:
    checks = json.loads(_iac("--json", *options).stdout)["checks"]
    return {each["name"]: each for each in checks if each["part"] == "project demo"}


def test_bad_settings_end_no_command(folder: Path) -> None:
    """The machine is looked at with what can be read; the project is not."""
    (_project(folder) / ".env").write_text('NAME="\n')
    result = _iac("--json")
    checks = json.loads(result.stdout)["checks"]
    assert (result.exit_code, {each["part"] for each in checks}) == (2, {"settings", "machine"})
    assert ".env:1" in checks[0]["evidence"]
    (folder / ".env").write_text("IAC_PROJECT=No_Name\nIAC_HOME=relative\n")
    assert _iac("--json").exit_code == 2


def test_an_engine_that_is_gone_has_its_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/none.sock")
    result = _iac()
    assert result.exit_code == 5
    assert "not looked at, as engine FAILED" in result.stdout


def test_secrets_are_not_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one is part of a setting's wrong value."""
    (_project(folder) / ".env").write_text(
        "GITHUB_TOKEN=ghp_secret_value\nIAC_KEEPER=ghp_secret_value\n"
    )
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    result = _iac()
    assert "IAC_KEEPER" in result.stdout
    assert "ghp_secret_value" not in result.stdout
