"""The service role key, missing settings and too many failures."""

from __future__ import annotations

import uuid

import pytest

from admin.actor import ALL_SCOPES
from admin.auth.failures import Failures
from admin.auth.gate import Gate
from admin.problem import Problem
from iac_wrapper.errors import ConfigError
from iac_wrapper.settings import Settings
from tests.support.auth_lab import PEER, Lab, lab
from tests.support.auth_server import USER, AuthServer, Fault, User

SECRET_KEY = "sb_secret_0123456789abcdefghij_KLMNOPQR"


def refusal(gate: Gate, authorization: str | None, *, mutating: bool = False) -> Problem:
    with pytest.raises(Problem) as caught:
        gate.authenticate(authorization, peer=PEER, mutating=mutating)
    return caught.value


@pytest.mark.parametrize("mutating", [False, True])
@pytest.mark.parametrize("legacy", [False, True], ids=["sb_secret", "JWT"])
def test_service_key_passes_unasked(server: AuthServer, legacy: bool, mutating: bool) -> None:
    """Exactly the configured key is the service role, without any request."""
    key = server.service_key if legacy else SECRET_KEY
    actor = lab(server, "", key=key).ask(key, mutating=mutating)
    assert (actor.kind, actor.id, actor.scopes) == ("service_role", "service_role", ALL_SCOPES)
    assert (actor.via, actor.peer, actor.owner) == ("http", PEER, False)
    assert server.connections == 0


@pytest.mark.parametrize("legacy", [False, True], ids=["sb_secret", "JWT"])
def test_almost_the_service_key_is_refused_unasked(server: AuthServer, legacy: bool) -> None:
    """One character more, less or other is not the key; the other form of it is not either."""
    key = server.service_key if legacy else SECRET_KEY
    gated = lab(server, "", key=key)
    other = SECRET_KEY if legacy else server.service_key
    wrong = [key[:-1], key + "A", key.swapcase(), key[1:], other, server.anon_key]
    wrong.append(server.sign({"role": "service_role"}))
    for number, token in enumerate(wrong):
        problem = gated.refusal(token, mutating=True, peer=f"p{number}")
        assert (problem.status, problem.code) == (401, "invalid-token")
    assert server.connections == 0


def test_secret_key_goes_into_apikey_only(server: AuthServer, user: User) -> None:
    """A key that is no JWT is never sent as Bearer."""
    lab(server, user.id, key=SECRET_KEY).ask(server.sign_in(user), mutating=True)
    for item in server.requests:
        assert SECRET_KEY not in item.headers.get("authorization", "")
    asked = [item.headers.get("apikey") for item in server.requests if item.path == USER]
    assert asked == [SECRET_KEY]


@pytest.mark.parametrize(
    "key",
    ["{anon}", "sb_publishable_0123456789abcdef", "{user}", "{norole}", "a b", "a\nb", "k\u00fc"],
)
def test_public_key_as_service_key_is_an_error(server: AuthServer, user: User, key: str) -> None:
    """The anon key in the wrong place would let everybody in: the server does not start."""
    value = {
        "{anon}": server.anon_key,
        "{user}": server.sign_in(user),
        "{norole}": server.sign({"sub": "x"}),
    }.get(key, key)
    with pytest.raises(ConfigError) as caught:
        Gate(Settings(SUPABASE_URL=server.url, SUPABASE_SERVICE_ROLE_KEY=value))
    assert caught.value.where == "SUPABASE_SERVICE_ROLE_KEY"
    assert value not in str(caught.value)


def test_bad_url_is_an_error() -> None:
    """Tokens do not travel in clear over a network."""
    with pytest.raises(ConfigError, match="SUPABASE_URL"):
        Gate(Settings(SUPABASE_URL="http://project.example", SUPABASE_SERVICE_ROLE_KEY=SECRET_KEY))


@pytest.mark.parametrize("authorization", [None, "Bearer x", f"Bearer {SECRET_KEY}"])
def test_without_settings_everything_is_refused_with_the_way_out(authorization: str) -> None:
    """Nothing is configured: 503 that names both settings, also for an empty key."""
    problem = refusal(Gate(Settings()), authorization)
    assert (problem.status, problem.code) == (503, "auth-not-configured")
    assert "SUPABASE_URL" in problem.extra["next_step"]
    assert "SUPABASE_SERVICE_ROLE_KEY" in problem.extra["next_step"]


def test_without_url_only_the_service_key_works(server: AuthServer, user: User) -> None:
    """The key needs no server; users are told that they cannot be authenticated."""
    gate = Gate(Settings(SUPABASE_SERVICE_ROLE_KEY=SECRET_KEY, IAC_ADMIN_USERS=user.id))
    assert gate.authenticate(f"bearer {SECRET_KEY}", peer=PEER, mutating=True).id == "service_role"
    assert refusal(gate, f"Bearer {server.sign_in(user)}").code == "auth-not-configured"
    assert refusal(gate, "nonsense").status == 401
    assert refusal(gate, None).status == 401


def test_without_key_users_are_told(server: AuthServer, user: User) -> None:
    """Without the key the user endpoint cannot be asked, so nobody gets in half-way."""
    gate = Gate(Settings(SUPABASE_URL=server.url, IAC_ADMIN_USERS=user.id))
    assert refusal(gate, f"Bearer {server.sign_in(user)}").code == "auth-not-configured"
    assert server.connections == 0


def test_eleventh_failure_in_a_minute_is_429(gated: Lab, user: User) -> None:
    """After ten failures a peer waits, before any work; other peers do not."""
    for number in range(10):
        assert gated.refusal(f"bad{number}").status == 401
    good = gated.server.sign_in(user)
    for token in ("bad", good):
        problem = gated.refusal(token)
        assert (problem.status, problem.code) == (429, "too-many-failures")
        assert 1 <= int(problem.headers["Retry-After"]) <= 60
    assert gated.server.connections == 0
    assert gated.ask(good, peer="192.0.2.200").id == user.id


def test_those_who_are_known_pass_all_the_same(gated: Lab, user: User) -> None:
    """The service key and a user with a fresh answer are not locked out by their neighbours."""
    token = gated.server.sign_in(user)
    gated.ask(token)
    for number in range(11):
        gated.refusal(f"bad{number}")
    assert gated.ask(gated.server.service_key).kind == "service_role"
    assert gated.ask(token).id == user.id
    assert gated.ask(token, mutating=True).id == user.id
    gated.clock.seconds += 31
    assert gated.refusal(token).status == 429


def test_strangers_with_good_tokens_count_as_failures(gated: Lab) -> None:
    """A user on no list is a failure each time: the answer is not remembered."""
    token = gated.server.sign_in(gated.server.add_user("eve@example.org"))
    assert [gated.refusal(token).status for _ in range(11)] == [403] * 10 + [429]


def test_server_down_counts_for_nobody(gated: Lab, user: User) -> None:
    """503s are not the caller's failures."""
    gated.server.faults[USER] = Fault(status=500)
    token = gated.server.sign_in(user)
    assert {gated.refusal(token, mutating=True).status for _ in range(20)} == {503}
    gated.server.faults.clear()
    assert gated.ask(token, mutating=True).id == user.id


def test_missing_header_counts_for_nobody(gated: Lab, user: User) -> None:
    """Who sends no token guesses nothing."""
    assert {refusal(gated.gate, None).status for _ in range(20)} == {401}
    assert gated.ask(gated.server.sign_in(user)).id == user.id


def test_failures_are_forgotten_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure counts for 60 s of its own."""
    now = [1_800_000_000.0]
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: now[0])
    failures = Failures()
    for _ in range(10):
        assert failures.wait("peer") == 0
        failures.add("peer")
        now[0] += 1
    assert failures.wait("peer") == 50
    now[0] += 49
    assert failures.wait("peer") == 1
    now[0] += 1.5
    assert failures.wait("peer") == 0
    failures.add("peer")
    assert failures.wait("peer") == 1


def test_counters_are_bounded() -> None:
    """However many addresses fail, the number of counters is fixed."""
    failures = Failures()
    buckets = {failures._bucket(str(uuid.uuid4())) for _ in range(20_000)}
    assert 1500 < len(buckets) <= 2048
    assert failures._bucket("192.0.2.1") == failures._bucket("192.0.2.1")
