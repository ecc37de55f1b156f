"""When PID 1 of an Envoy container refuses to begin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.sidecar import (
    firewall,
    privileges,
    start,
)
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.refused import Refused
from tests.unit.runner.sidecar.conftest import GOOD

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("first", "words"), [("systemd", "outside a container"), ("docker-init", 'remove "init": true')]
)
def test_another_pid_1_is_refused_with_the_reason(first: str, words: str) -> None:
    """A host, or an engine that puts an init of its own in front."""
    with pytest.raises(Refused, match=words):
        start.check_pid(7, first)
    start.check_pid(1, "python3")


def test_a_bad_environment_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and an exit status that says: fix the configuration."""
    monkeypatch.setenv("IAC_ROLE", "nonsense")
    assert start.main() == start.EX_CONFIG
    assert capsys.readouterr().err == (
        "sidecar: IAC_ROLE is 'nonsense'," " expected sidecar or gateway or operator or ingress\n"
    )


def test_it_never_touches_the_firewall_of_a_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started by hand it stops before its first rule."""
    touched: list[SidecarEnvironment] = []
    monkeypatch.setattr(firewall, "establish", touched.append)
    monkeypatch.setattr(privileges, "drop", lambda _uid: pytest.fail("went on"))
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert start.main() == start.EX_CONFIG
    assert touched == []
    assert "not PID 1" in capsys.readouterr().err


def test_a_start_loads_no_http_server() -> None:
    """Each service has a sidecar: what few of them need is loaded there alone."""
    code = "import sys, runner.sidecar.start; print({'http.server', 'ssl'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
