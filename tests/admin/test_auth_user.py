"""The user endpoint: asked when it must be, believed for 30 s, and never waited for long."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin.actor import ALL_SCOPES
from admin.auth import bounded_http
from admin.auth.errors import AuthUnavailableError
from admin.auth.positives import MAX_ENTRIES, Identity, Positives
from tests.support.auth_lab import Clock, Lab, lab
from tests.support.auth_server import USER, AuthServer, Fault, User

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with AuthServer("HS256") as server:
        yield server


def test_reads_ask_once_in_thirty_seconds(gated: Lab, user: User) -> None:
    """A positive answer is believed for 30 s, by reads only."""
    token = gated.server.sign_in(user)
    for seconds, asked in ((0, 1), (29.9, 1), (0.1, 2), (10, 2)):
        gated.clock.seconds += seconds
        assert gated.ask(token).id == user.id
        assert gated.server.count(USER) == asked


def test_answer_is_not_believed_after_the_token_expired(gated: Lab, user: User) -> None:
    """The cache ends with the token."""
    token = gated.server.sign(gated.server.claims(user, exp=int(gated.now()) + 10))
    gated.ask(token)
    gated.now.seconds += 11
    assert gated.refusal(token).extra == {"reason": "expired"}
    assert gated.server.count(USER) == 1


def test_token_that_expires_while_the_server_is_asked_is_refused(gated: Lab, user: User) -> None:
    """What counts is the time of the verdict."""
    token = gated.server.sign(gated.server.claims(user, exp=int(gated.now()) + 10))
    gated.now.step = 6
    assert gated.refusal(token).extra == {"reason": "expired"}
    assert gated.server.count(USER) == 1


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_mutating_call_asks_anew(algorithm: Any) -> None:
    """A log-out counts for the next mutating call, and ends the belief that reads have."""
    with AuthServer(algorithm) as server:
        user = server.add_user("ann@example.org")
        gated = lab(server, user.id)
        token = server.sign_in(user)
        gated.ask(token)
        gated.ask(token, mutating=True)
        asked = server.count(USER)
        server.log_out(user)
        assert gated.ask(token).id == user.id  # cached
        problem = gated.refusal(token, mutating=True)
        assert problem.extra == {"reason": "session_not_found"}
        assert server.count(USER) == asked + 1
        if algorithm == "HS256":
            assert gated.refusal(token).status == 401


def test_answer_to_a_mutating_call_serves_reads(gated: Lab, user: User) -> None:
    """What the server just said need not be asked again to read."""
    token = gated.server.sign_in(user)
    gated.ask(token, mutating=True)
    gated.ask(token)
    assert gated.server.count(USER) == 1


def test_refusals_are_not_kept(gated: Lab, user: User) -> None:
    """A user who was banned and no longer is gets in at once."""
    token = gated.server.sign_in(user)
    user.banned_until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert gated.refusal(token).extra == {"reason": "user_banned"}
    user.banned_until = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert gated.ask(token).id == user.id


@pytest.mark.parametrize("mutating", [False, True])
@pytest.mark.parametrize(
    ("overrides", "status", "reason"),
    [
        ({"id": str(uuid.uuid4())}, 401, "wrong_user"),
        ({"is_anonymous": True}, 401, "anonymous"),
        ({"is_anonymous": "false"}, 401, "anonymous"),
        ({"banned_until": "2999-01-01T00:00:00Z"}, 401, "user_banned"),
        ({"banned_until": "2999-01-01"}, 401, "user_banned"),
        ({"banned_until": "for ever"}, 401, "user_banned"),
        ({"banned_until": 7}, 401, "user_banned"),
        ({"deleted_at": "2026-01-01T00:00:00Z"}, 401, "user_not_found"),
        ({"id": None}, 503, None),
        ({"id": "ann"}, 503, None),
        ({"id": ["x"]}, 503, None),
    ],
)
def test_200_is_not_sufficient(
    gated: Lab, user: User, *, overrides: dict[str, Any], status: int, reason: str, mutating: bool
) -> None:
    """The answer must be about this token's user, who is neither banned, deleted nor anonymous."""
    token = gated.server.sign_in(user)
    user.overrides = overrides
    problem = gated.refusal(token, mutating=mutating)
    assert (problem.status, problem.extra.get("reason")) == (status, reason)


@pytest.mark.parametrize("until", ["", "2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00"])
def test_ban_that_is_over_does_not_matter(gated: Lab, user: User, until: str) -> None:
    """Times are read in all forms that the server writes."""
    user.overrides = {"banned_until": until}
    assert gated.ask(gated.server.sign_in(user)).id == user.id


@pytest.mark.parametrize("mutating", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status=status) for status in (404, 418, 429, 500, 502, 503, 204, 201)),
        Fault(status=302, location="{trap}/auth/v1/user"),
        Fault(status=307, location="/auth/v1/user?again"),
        Fault(body=b""),
        Fault(body=b"<html>"),
        Fault(body=b"null"),
        Fault(body=b"[{}]"),
        Fault(body=b'{"id": "' + b"x" * 300_000 + b'"}'),
        Fault(body=b'{"id": "a", "id": "b"}'),
        Fault(hang=True),
        Fault(drip="headers"),
        Fault(drip="body"),
    ],
    ids=lambda fault: f"{fault.status} {fault.drip or fault.hang or fault.body[:20]}",
)
def test_no_clear_answer_is_503_in_time(
    server: AuthServer, user: User, fault: Fault, mutating: bool
) -> None:
    """Errors, redirects, hanging and dripping servers: 503 within the time, nobody let in."""
    endless = fault.hang or fault.drip
    gated = lab(server, user.id, timeout=1.5 if endless else 3.0)
    with AuthServer() as trap:
        location = fault.location.replace("{trap}", trap.url)
        server.faults[USER] = Fault(
            fault.status, fault.body, location, hang=fault.hang, drip=fault.drip
        )
        started = time.monotonic()
        problem = gated.refusal(server.sign_in(user), mutating=mutating)
        assert time.monotonic() - started < 6
        assert (problem.status, problem.code) == (503, "auth-unavailable")
        assert int(problem.headers["Retry-After"]) > 0
        assert trap.connections == 0
        assert server.count(USER) == len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    ("body", "extra"),
    [
        (b'{"error_code": "bad_jwt", "msg": "sentinel"}', {"reason": "bad_jwt"}),
        (b'{"error_code": "sentinel<script>"}', {}),
        (b'{"error_code": ["bad_jwt"]}', {}),
        (b'{"message": "Invalid API key"}', {}),
        (b"sentinel", {}),
    ],
)
def test_only_known_codes_are_passed_on(
    gated: Lab, user: User, status: int, body: bytes, extra: dict[str, str]
) -> None:
    """A no is a 401; of the server's own words only the codes we know are repeated."""
    gated.server.faults[USER] = Fault(status=status, body=body)
    problem = gated.refusal(gated.server.sign_in(user))
    assert (problem.status, problem.extra) == (401, extra)
    assert "sentinel" not in json.dumps(problem.body())


def test_error_keeps_reads_of_known_users_going(gated: Lab, user: User) -> None:
    """While the server is down reads pass for the rest of their 30 s, mutating calls do not."""
    token = gated.server.sign_in(user)
    gated.ask(token)
    gated.server.faults[USER] = Fault(status=500)
    assert gated.refusal(token, mutating=True).status == 503
    assert gated.ask(token).id == user.id
    gated.clock.seconds += 30
    assert gated.refusal(token).status == 503


def test_call_that_was_given_up_leaves_nothing_behind(
    server: AuthServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection ends and its slot is free again, whatever the server still sends."""
    monkeypatch.setattr(bounded_http, "MAX_CALLS", 1)
    gated = lab(server, user.id, timeout=0.2)
    token = server.sign_in(user)
    for fault in (Fault(drip="headers"), Fault(drip="body"), Fault(hang=True)):
        server.faults[USER] = fault
        assert gated.refusal(token).status == 503
    server.faults.clear()
    assert gated.ask(token).id == user.id


def test_calls_at_once_are_bounded(server: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While all slots are taken no further question is sent: it is 503 when its time is over."""
    monkeypatch.setattr(bounded_http, "MAX_CALLS", 2)
    http = bounded_http.BoundedHttp(timeout=0.5)
    server.faults[USER] = Fault(hang=True)
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(http.get, server.url + USER, {}) for _ in range(2)]
        while server.count(USER) < 2:
            time.sleep(0.001)
        http.timeout = 0.02
        with pytest.raises(AuthUnavailableError):
            http.get(server.url + USER, {})
        assert server.connections == 2
        assert all(isinstance(call.exception(), AuthUnavailableError) for call in slow)


def test_process_without_threads_is_503(
    gated: Lab, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no thread can be started nobody is let in, and later it is tried again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    token = gated.server.sign_in(user)
    bounded_http._loop.cache_clear()  # as in a new process
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert gated.refusal(token).status == 503
    assert gated.ask(token).id == user.id


def test_netrc_does_not_replace_the_token(
    gated: Lab, user: User, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials for the host in ~/.netrc are not sent in the caller's name."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login root password sentinel\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert gated.ask(gated.server.sign_in(user)).id == user.id


def test_believed_answers_are_bounded() -> None:
    """The oldest of more than 1,024 is forgotten."""
    positives = Positives(clock=Clock(0.0), now=Clock(0.0))
    for number in range(MAX_ENTRIES + 1):
        positives.put(f"token{number}", Identity(str(number), "", ALL_SCOPES, 99.0))
    assert positives.get("token0") is None
    assert positives.get("token1") is not None
    last = positives.get(f"token{MAX_ENTRIES}")
    assert last is not None
    assert last.id == str(MAX_ENTRIES)
