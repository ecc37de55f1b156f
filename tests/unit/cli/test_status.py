"""`iac status`: its table in 80 columns and in all, and `iac services`, which is the same."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from iac_wrapper import cli
from iac_wrapper.cli import status as cli_status
from iac_wrapper.cli.status import status_text
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.health import Health
from iac_wrapper.model.load import Load
from iac_wrapper.model.text_table import WHOLE
from iac_wrapper.operations.services import ServiceRow, Status
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import Daemon, FakeContainer

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def _row(name: str, health: Health, *urls: str, load: Load | None = None) -> ServiceRow:
    return ServiceRow(app(name), f"spiffe://p/{name}", health, None, urls, load)


def _status() -> Status:
    good = Health(
        *("web", "SERVING"),
        phase="RUNNING",
        listening="127.0.0.1:5000",
        since=NOW - timedelta(hours=75),
        restarts=2,
        expires=NOW + timedelta(days=60),
    )
    url = "http://web.localhost:8000/"
    rows = [
        _row("web", good, url, load=Load(0.127, 71 << 20, 512 << 20)),
        _row("old", Health("old", "UNREACHABLE", cause="unreachable")),
    ]
    return Status(rows, "24.0.7", 20_000)


def test_a_row_each_with_what_it_uses() -> None:
    """URLs and the engine stand below."""
    header, first, second, *below = status_text(_status(), NOW, 80).splitlines()
    assert header.split() == [
        *("SERVICE", "COMMIT", "STATE", "UP", "RESTARTS", "CPU", "MEMORY", "CERT"),
    ]
    assert first.split() == ["web", "aaaaaaa", "SERVING", "3d", "3h", "2", "13%", "71/512M", "60d"]
    assert second.split()[2:5] == ["UNREACHABLE", "(nobody", "answ…"]
    assert below == [
        "",
        "old: UNREACHABLE (nobody answers)",
        "web: http://web.localhost:8000/",
        "1 of 2 services are good.",
        "Docker engine 24.0.7, 20000 MiB of disk are free.",
    ]


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize(
    ("name", "gone"), [("shop", set()), ("n" * 24, {"COMMIT"}), ("n" * 34, {"COMMIT", "CERT"})]
)
def test_eighty_columns_are_enough(width: int, name: str, gone: set[str]) -> None:
    """A long state gives way, and stands whole below; for long names columns do."""
    found = _status()
    lost = Health("b", "NOT_SERVING", cause="a-cause-of-many-words-that-nobody-reads-to-its-end")
    found = replace(found, services=[*found.services, _row(name, lost)])
    table, _, below = status_text(found, NOW, width).partition("\n\n")
    lines = table.splitlines()
    assert max(map(len, lines)) <= 80
    assert {"COMMIT", "CERT", "RESTARTS"} - set(lines[0].split()) == gone
    assert all(len(set(line.split())) > 4 for line in lines)
    assert "71/512M" in table
    assert f"{name}: NOT_SERVING (a cause of many words that nobody reads" in below


def test_wide_has_everything() -> None:
    """Hashes as elsewhere, images and URLs as columns, and what is the same for all below."""
    header, first, *_, common, good, _ = status_text(_status(), NOW, WHOLE).splitlines()
    assert header.split()[-2:] == ["IMAGE", "URL"]
    assert first.split()[1] == "a" * 12
    assert first.split()[-2:] == ["0123456789ab", "http://web.localhost:8000/"]
    assert common.startswith("Identities: spiffe://p/<service>.")
    assert good.startswith("1 of 2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_double: Daemon) -> Path:
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    for role in ("envoy", "app"):
        engine_double.add(FakeContainer(role, "demo", "web", role))
    engine_double.add(FakeContainer("g", "demo", "", "gateway", name="demo-gateway"))
    return tmp_path


@pytest.mark.parametrize("verb", ["status", "services"])
def test_the_exit_code_says_whether_all_is_good(folder: Path, verb: str) -> None:
    """0 or 7, with the same words in JSON."""
    with service(Layout(folder), "web") as web:
        deployed(Layout(folder), app("web"), gateway_port=web.port)
        result = CliRunner().invoke(cli.main, [verb, "--project", "demo", "--json"])
        assert (result.exit_code, json.loads(result.stdout)["good"]) == (7, False)
        web.serving()
        result = CliRunner().invoke(cli.main, [verb, "--project", "demo"])
    assert result.exit_code == 0, result.output
    assert "\n1 of 1 services are good.\nDocker engine 20.10.24" in result.stdout


@pytest.mark.parametrize("verb", ["status", "health", "policy"])
def test_what_a_person_stopped_is_told_and_is_no_fault(folder: Path, verb: str) -> None:
    """Below the table, with what starts it, and in JSON."""
    with service(Layout(folder), "web") as web:
        deployed(Layout(folder), app("web"), app("db"), gateway_port=web.port, stopped=["db"])
        web.serving()
        text, data = (
            CliRunner().invoke(cli.main, [verb, "--project", "demo", *more])
            for more in ((), ("--json",))
        )
    assert (text.exit_code, data.exit_code) == (0, 0), text.output
    assert "\ndb: stopped (iac stop); next: iac start db --project demo\n" in text.stdout
    told = json.loads(data.stdout)
    assert [each["name"] for each in told["stopped"]] == ["db"]
    assert [each.get("name", each.get("service")) for each in told["services"]] == ["web"]


def test_a_watch_goes_on_until_it_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look, and another one; in JSON a line each."""
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if waits.count(cli_status.WATCH_SECONDS) == 2:
            raise KeyboardInterrupt

    with service(Layout(folder), "web") as web:
        deployed(Layout(folder), app("web"), gateway_port=web.port)
        monkeypatch.setattr(time, "sleep", wait)
        words = ["status", "--watch", "--json", "--project", "demo"]
        result = CliRunner().invoke(cli.main, words)
    assert [json.loads(line)["project"] for line in result.stdout.splitlines()] == ["demo"] * 2
    assert (result.exit_code, result.stderr) == (130, "")
