"""Notifications as people meet them: sent at the end of a command, and listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from tests.support.docker_daemon import Daemon, FakeContainer
from tests.support.receiver import Receiver, receiving


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """One that is set in a project folder, which is the working directory."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    with receiving() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--project", "demo"])


def _destroy(engine: Daemon) -> Result:
    engine.add(FakeContainer("s", "demo", "web", "app"))
    done = _iac("destroy", "--yes")
    assert done.exit_code == 0, done.output
    return done


def test_a_command_tells_when_all_is_done(receiver: Receiver, engine_double: Daemon) -> None:
    """It is listed as delivered; nothing more is said."""
    assert "There was nothing to tell yet." in _iac("notifications").output
    done = _destroy(engine_double)
    (message,) = receiver.messages
    assert (message["data"]["operation"], message["data"]["verdict"]) == ("destroy", "good")
    assert "warning" not in done.stderr
    head, row = _iac("notifications").stdout.splitlines()
    assert head.split() == ["N", "WHAT", "VERDICT", "STATE", "ATTEMPTS", "LAST"]
    assert row.split() == ["1", "destroy", "good", "delivered", "1", "-"]
    assert _iac("notifications", "--send").stdout == f"All is delivered to {receiver.url[:-18]}.\n"


def test_a_command_that_could_not_tell_is_good(receiver: Receiver, engine_double: Daemon) -> None:
    """It says what is not delivered, and one more command sends it."""
    receiver.status = 503
    done = _destroy(engine_double)
    assert "was not told of 1: it answered 503; it is tried again" in done.stderr
    assert "(it answered 503)" in _iac("releases").stderr
    shown = json.loads(_iac("notifications", "--json").stdout)
    assert shown["notifications"][0]["state"] == "waiting"
    assert "token" not in json.dumps(shown)
    assert all(len(line) <= 80 for line in _iac("notifications").stdout.splitlines())
    receiver.status = 200
    assert "delivered  2" in _iac("notifications", "--send").stdout
    assert _iac("releases").stderr == ""


def test_without_a_receiver(
    receiver: Receiver, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told, and that is said."""
    monkeypatch.delenv("IAC_NOTIFY_URL")
    _destroy(engine_double)
    assert receiver.got == []
    assert "Nobody is notified: IAC_NOTIFY_URL is not set." in _iac("notifications").output
    assert _iac("notifications", "--send").exit_code == 2
