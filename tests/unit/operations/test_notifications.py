"""Notifications: a real ledger and a real web server, which proves what it gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from admin.problem import Problem
from iac_wrapper.errors import BusyError, ConfigError
from iac_wrapper.files import file_lock
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller
from iac_wrapper.model.notification import WAITS, Notification
from iac_wrapper.operations import history, notifications, recording
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import load_settings
from tests.support.deployed import app, deployed
from tests.support.receiver import SECRET, Receiver, prove, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def told(workspace: Workspace, receiver: Receiver) -> Workspace:
    """The workspace with a receiver."""
    return _to(workspace, receiver)


def _to(workspace: Workspace, receiver: Receiver) -> Workspace:
    said = {**workspace.settings.environment, **receiver.environment}
    return replace(workspace, settings=load_settings(workspace.layout.root, said))


def _release(workspace: Workspace, kind: str = "deploy") -> int:
    with recording.release(workspace, kind) as release:
        release.start()
        deployed(workspace.layout, app("web"))
        release.moved = ["web"]
    return release.number


def _known(workspace: Workspace) -> list[Notification]:
    return list(reversed(notifications.told(workspace).notifications))


def test_a_release_is_told_and_signed(told: Workspace, receiver: Receiver) -> None:
    """Once, at the end of the command, in a form that a receiver can prove."""
    number = _release(told)
    assert receiver.got == []
    notifications.send(told)
    notifications.send(told)
    ((headers, body),) = receiver.got
    for bad in (
        partial(prove, headers, body + b" ", at=time.time()),
        partial(prove, headers, body, at=time.time(), secret=SECRET[:-4] + "AAA="),
        partial(prove, headers, body, at=time.time() + 301),
    ):
        with pytest.raises(Problem):
            bad()
    prove(headers, body, at=time.time())
    (message,) = receiver.messages
    assert message["type"] == "release.ended"
    data = message["data"]
    assert (data["project"], data["release"], data["operation"]) == ("demo", number, "deploy")
    assert (data["verdict"], data["moved"]) == ("good", ["web"])
    assert data["services"] == [{"name": "web", "commit": "a" * 40}]
    assert "hook" not in data
    (one,) = _known(told)
    assert one.state == "delivered"
    (attempt,) = one.attempts
    assert (attempt["status"], attempt["attempt"], "fault" in attempt) == (204, 1, False)
    assert attempt["to"] == receiver.url.rpartition("/")[0]


def test_events_and_what_was_killed_are_told_too(told: Workspace, receiver: Receiver) -> None:
    """In the order of the ledger, each with an id of its own."""
    recording.Release(told, "deploy").start()  # and no end
    _release(told, "destroy")
    recording.note(told, "rotate", ["web: a new certificate"])
    notifications.send(told)
    assert [(each["type"], each["data"]["verdict"]) for each in receiver.messages] == [
        ("release.ended", "interrupted"),
        ("release.ended", "good"),
        ("event.noted", "good"),
    ]
    assert receiver.messages[2]["data"]["done"] == ["web: a new certificate"]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3


def test_what_was_before_the_receiver_is_not_told(
    workspace: Workspace, told: Workspace, receiver: Receiver
) -> None:
    """Nor anything without one."""
    _release(workspace)
    notifications.send(workspace)
    assert workspace.outbox == set()
    _release(told)
    notifications.send(told)
    assert [each["data"]["release"] for each in receiver.messages] == [2]


def test_no_secret_is_told(told: Workspace, receiver: Receiver) -> None:
    """Nor is the address shown, in whose path is a token."""
    folder = told.layout.env_files("demo", "web")
    folder.mkdir(parents=True)
    (folder / "KEY").write_text("sentinel-value-1")
    release = recording.Release(told, "deploy")
    release.start()
    release.fail(ConfigError("sentinel-value-1 is bad", next_step="x"))
    notifications.send(told)
    assert receiver.messages[0]["data"]["error"]["message"] == "[redacted] is bad"
    assert b"sentinel" not in receiver.got[0][1]
    assert "token-in" not in recording.ledger_of(told).path.read_text()
    assert {receiver.url, SECRET} <= set(told.settings.secrets)


@pytest.mark.parametrize(("status", "fault"), [(500, "it answered 500"), (302, "it answered 302")])
def test_what_is_not_taken_is_said_and_tried_again(
    told: Workspace, receiver: Receiver, events: list[Event], status: int, fault: str
) -> None:
    """When its time has come, with the same id; a redirection is not followed."""
    receiver.status = status
    number = _release(told)
    notifications.send(told)
    (warning,) = [event.message for event in events if event.kind == "warning"]
    assert f"was not told of {number}: {fault}" in warning
    assert "token-in" not in warning
    (remark,) = history.history(told).remarks
    assert f"was not told of {number} ({fault})" in remark
    receiver.status = 200
    assert notifications.send_due(told) is True
    assert len(receiver.got) == 1
    (one,) = _known(told)
    assert not one.is_due(datetime.now(UTC))
    assert one.is_due(datetime.now(UTC) + timedelta(seconds=WAITS[0]))
    assert one.is_due(datetime.now(UTC) - timedelta(hours=1))  # the clock was put back
    notifications.send_everything(told)
    first, second = receiver.got
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
    prove(*second, at=time.time())
    assert [each.state for each in _known(told)] == ["delivered"]
    assert history.history(told).remarks == ()


def test_it_is_given_up_at_last(told: Workspace, receiver: Receiver) -> None:
    """After 28 hours; a person can have it sent all the same."""
    _release(told)
    now = datetime.now(UTC)
    for attempt in range(len(WAITS) + 1):
        (one,) = _known(told)
        assert one.is_due(now)
        recording.add(told, 1, "delivery", attempt=attempt + 1, status=None, fault="x")
        now = datetime.now(UTC) + timedelta(seconds=([*WAITS, 0][attempt]))
    (one,) = _known(told)
    assert (one.state, one.is_due(now + timedelta(days=99))) == ("given up", False)
    assert sum(WAITS) < 28 * 3600
    (sent,) = notifications.send_everything(told).notifications
    assert sent.state == "delivered"


def test_a_dead_receiver_delays_a_command_by_a_bound(
    workspace: Workspace,
    told: Workspace,
    receiver: Receiver,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether it refuses, or takes the connection and says nothing; the others are not tried."""
    monkeypatch.setattr(notifications, "SECONDS", 0.5)
    receiver.delay = 3.0
    for _ in range(3):
        _release(told)
    began = time.monotonic()
    notifications.send(told)
    assert time.monotonic() - began < 1.0
    assert len(receiver.got) == 1
    gone = replace(_to(workspace, Receiver("http://127.0.0.1:1/x")), project="gone")
    for _ in range(3):
        with recording.release(gone, "destroy") as release:
            release.start()
    began = time.monotonic()
    notifications.send(gone)
    assert time.monotonic() - began < 0.5
    assert [len(each.attempts) for each in _known(gone)] == [1, 0, 0]
    assert events[-1].message.startswith("http://127.0.0.1:1 was not told of 1, 2, 3: it cannot be")


def test_one_that_is_refused_does_not_hold_up_others(told: Workspace, receiver: Receiver) -> None:
    """A receiver that answers is asked for each."""
    receiver.status = 400
    for _ in range(3):
        _release(told)
    notifications.send(told)
    assert len(receiver.got) == 3


def test_only_one_process_sends(told: Workspace, receiver: Receiver) -> None:
    """A command leaves it to the other; a person is told."""
    _release(told)
    fd = file_lock.acquire(recording.ledger_of(told).folder / "notify.lock")
    assert fd
    notifications.send(told)
    with pytest.raises(BusyError):
        notifications.send_everything(told)
    file_lock.release(fd)
    assert receiver.got == []
    notifications.send_everything(told)
    assert len(receiver.got) == 1


def test_the_keeper_sends_what_is_left(
    told: Workspace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what it has done itself; it ends with its block."""
    monkeypatch.setattr(notifications, "LOOK_SECONDS", 0.05)
    _release(told)
    with notifications.retried(told):
        _until(lambda: len(receiver.got) == 1)
        recording.note(replace(told, caller=Caller("keeper")), "heal", ["demo-web-app: started"])
        _until(lambda: len(receiver.got) == 2)
    assert [each.state for each in _known(told)] == ["delivered", "delivered"]
    _release(told)
    time.sleep(0.3)
    assert len(receiver.got) == 2


def test_without_a_receiver_there_is_nobody_to_notify(workspace: Workspace) -> None:
    """Says which settings."""
    with pytest.raises(ConfigError, match="nobody to notify"):
        notifications.send_everything(workspace)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("url", "secret", "where"),
    [
        ("ftp://host/token", SECRET, "IAC_NOTIFY_URL"),
        ("https://", SECRET, "IAC_NOTIFY_URL"),
        ("https://host/token", "", "IAC_NOTIFY_SECRET"),
        ("https://host/token", "secret-token", "IAC_NOTIFY_SECRET"),
        ("https://host/token", "whsec_c2hvcnQ=", "IAC_NOTIFY_SECRET"),
        ("https://host/token", "whsec_no base64!", "IAC_NOTIFY_SECRET"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, url: str, secret: str, where: str) -> None:
    """Before anything is done; the error shows neither token nor secret."""
    chosen = load_settings(tmp_path, {"IAC_NOTIFY_URL": url, "IAC_NOTIFY_SECRET": secret})
    with pytest.raises(ConfigError) as caught:
        chosen.check()
    assert caught.value.where == where
    assert "token" not in str(caught.value)
    assert "openssl" in str(caught.value) or where == "IAC_NOTIFY_URL"
