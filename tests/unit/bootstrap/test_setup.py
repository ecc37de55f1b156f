"""The whole set-up on a machine of sh files: recorded once, quick and unchanged afterwards."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import __main__ as program
from iac_wrapper.bootstrap import provider, setup
from iac_wrapper.errors import EngineError
from iac_wrapper.files import host
from tests.unit.bootstrap.conftest import Rig

pytestmark = pytest.mark.slow

TERRAFORM = """\
#!/bin/sh
echo '{"terraform_version": "1.11.4", "platform": "linux_amd64"}'
"""


@pytest.fixture
def ready(make_rig: Callable[..., Rig]) -> Rig:
    rig = make_rig(IAC_PROVIDER="embedded")
    rig.tool("terraform", TERRAFORM)
    rig.tool("node", "#!/bin/sh\necho v20.20.2\n")
    rig.tool("npm", "#!/bin/sh\n")
    rig.tool("mmdebstrap", "#!/bin/sh\n")
    return rig


def test_everything_is_recorded(ready: Rig) -> None:
    report = setup.run(ready.context)
    record = host.load_host(ready.context.home)
    assert record == report.host
    assert record.provider == "embedded"
    assert record.bases["3.11"].image == "iac/python:3.11-slim"
    assert record.terraform == str(ready.root / ".iac" / "bin" / "terraform")
    assert (ready.root / "secrets" / "ca.key").stat().st_mode & 0o777 == 0o600


def test_the_second_run_changes_nothing(ready: Rig) -> None:
    setup.run(ready.context)
    before = ready.context.home.record.stat().st_mtime_ns
    ready.said.clear()
    setup.run(ready.context)
    assert ready.said == []
    assert ready.context.home.record.stat().st_mtime_ns == before


def test_other_pythons_stay_in_the_record(ready: Rig, make_rig: Callable[..., Rig]) -> None:
    setup.run(ready.context)
    other = make_rig(IAC_PROVIDER="embedded", IAC_PYTHON_VERSION="3.13")
    assert sorted(setup.run(other.context).host.bases) == ["3.11", "3.13"]


def test_a_registry_that_went_away_is_replaced_and_said(
    ready: Rig, make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovery answered once; the download never did."""
    answers = [True, False]
    monkeypatch.setattr(provider, "can_download", lambda _platform: answers.pop(0))
    auto = make_rig()
    assert setup.run(auto.context).host.provider == "registry"
    auto.said.clear()
    assert setup.run(auto.context).host.provider == "embedded"
    assert "cannot be downloaded from here: the embedded one" in auto.said[0]
    assert "terraformrc" in (ready.root / ".iac" / "bin" / "terraform").read_text()


def test_a_second_bootstrap_waits_for_the_first(ready: Rig) -> None:
    lock = ready.root / ".iac" / "bootstrap.lock"
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        release = threading.Timer(0.2, fcntl.flock, (file, fcntl.LOCK_UN))
        release.start()
        setup.run(ready.context)
        release.join()
    assert ready.said[0] == "· waiting for another make bootstrap in this folder"


def test_the_program_prints_a_table(
    ready: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IAC_PROVIDER", "embedded")
    monkeypatch.setenv("IAC_BASE_IMAGES", "debian")
    assert program.main(ready.root) == 0
    printed = capsys.readouterr()
    assert "docker provider  embedded" in printed.out
    assert "· building iac/python:3.11-slim from Debian packages" in printed.err


def test_an_error_has_its_exit_code_and_next_step(
    ready: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IAC_PROVIDER", "embedded")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    ready.flag("down")
    assert program.main(ready.root) == EngineError.exit_code
    assert "next:" in capsys.readouterr().err


def test_ctrl_c_ends_without_a_traceback(ready: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(setup, "run", interrupted)
    assert program.main(ready.root) == 130


def test_the_systemd_unit_keeps_services_running_from_boot_on() -> None:
    unit = Path(__file__).parents[3] / "packaging" / "systemd" / "iac-keep.service"
    lines = unit.read_text().splitlines()
    assert "After=docker.service" in lines
    assert "WantedBy=multi-user.target" in lines
    assert "Restart=always" in lines
    assert 'ExecStart="@IAC@" keep --all' in lines
    assert not any(line.startswith(("PartOf=", "Requires=")) for line in lines)


def test_the_systemd_timer_renews_each_hour() -> None:
    units = Path(__file__).parents[3] / "packaging" / "systemd"
    assert 'ExecStart="@IAC@" renew --all' in (units / "iac-renew.service").read_text()
    timer = (units / "iac-renew.timer").read_text().splitlines()
    assert "OnCalendar=hourly" in timer
    assert "WantedBy=timers.target" in timer


def test_the_systemd_timer_looks_at_the_schedule_each_minute() -> None:
    """Exactly: what is due a minute late is late for everybody."""
    units = Path(__file__).parents[3] / "packaging" / "systemd"
    service = (units / "iac-schedule.service").read_text().splitlines()
    assert 'ExecStart="@IAC@" schedule run-due --all' in service
    assert "TimeoutStartSec=infinity" in service
    timer = (units / "iac-schedule.timer").read_text().splitlines()
    assert "OnCalendar=*-*-* *:*:00" in timer
    assert "AccuracySec=1s" in timer
