"""The auth server's contract, line by line: what it answers, and what the gate makes of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import requests

from tests.support.auth_lab import Lab, lab
from tests.support.auth_server import (
    USER,
    Algorithm,
    AuthServer,
    User,
    hmac_sha256,
    new_key,
)
from tests.support.auth_server import compact as forge

pytestmark = pytest.mark.slow  # hundreds of tokens, each against a real server

ALL = frozenset(("read", "deploy", "destroy"))


@dataclass(frozen=True)
class Line:
    """A line of the contract.

    `local`: the token itself shows that it is not good, so the server is not even asked.
    `state`: only the server knows; an asymmetric token passes for reads until it expires.
    """

    name: str
    make: Callable[[AuthServer, User], str]
    status: int
    code: str = ""
    local: bool = True
    state: bool = False


def _past(seconds: int) -> int:
    return int(time.time()) - seconds


def _deleted(server: AuthServer, user: User) -> str:
    token = server.sign_in(user)
    server.delete(user)
    return token


def _logged_out(server: AuthServer, user: User) -> str:
    token = server.sign_in(user)
    server.log_out(user)
    return token


def _banned(server: AuthServer, user: User) -> str:
    user.banned_until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return server.sign_in(user)


def _anonymous(server: AuthServer, user: User) -> str:
    user.anonymous, user.email = True, ""
    return server.sign_in(user)


def _wrong_signature(server: AuthServer, user: User) -> str:
    claims = server.claims(user)
    other: Algorithm = "ES256" if server.algorithm == "ES256" else "RS256"
    if server.algorithm == "HS256":
        return server.sign(claims, key=b"another secret of at least thirty-two bytes")
    return server.sign(claims, key=new_key(other, "of somebody else"))


def _hs256_with_kid(server: AuthServer, user: User) -> str:
    return forge(
        {"alg": "HS256", "typ": "JWT", "kid": server.kid},
        server.claims(user),
        hmac_sha256(server.secret),
    )


LINES = (
    Line("good", lambda s, u: s.sign_in(u), 200),
    Line("anon key", lambda s, _: s.anon_key, 403, "bad_jwt"),
    Line(
        "other service key",
        lambda s, _: s.sign({"role": "service_role", "exp": _past(-99)}),
        403,
        "bad_jwt",
    ),
    Line("secret key", lambda *_: "sb_secret_0123456789abcdef_ghij", 403, "bad_jwt"),
    Line("publishable key", lambda *_: "sb_publishable_0123456789abc", 403, "bad_jwt"),
    Line("expired", lambda s, u: s.sign(s.claims(u, exp=_past(1))), 403, "bad_jwt"),
    Line("signature", _wrong_signature, 403, "bad_jwt", local=False),
    Line("alg none", lambda s, u: s.sign(s.claims(u), algorithm="none"), 403, "bad_jwt"),
    Line("HS512", lambda s, u: s.sign(s.claims(u), algorithm="HS512"), 403, "bad_jwt"),
    Line("nbf", lambda s, u: s.sign(s.claims(u, nbf=_past(-60))), 403, "bad_jwt"),
    Line("HS256, ES256's kid", _hs256_with_kid, 403, "bad_jwt", local=False),
    Line(
        "unknown kid",
        lambda s, u: s.sign(s.claims(u), kid=str(uuid.uuid4())),
        403,
        "bad_jwt",
        local=False,
    ),
    Line("sub no UUID", lambda s, u: s.sign(s.claims(u, sub="ann")), 400, "bad_jwt"),
    Line(
        "unknown user",
        lambda s, u: s.sign(s.claims(u, sub=str(uuid.uuid4()))),
        403,
        "user_not_found",
        local=False,
    ),
    Line("deleted", _deleted, 403, "user_not_found", local=False, state=True),
    Line("logged out", _logged_out, 403, "session_not_found", local=False, state=True),
    Line(
        "unknown session",
        lambda s, u: s.sign(s.claims(u, session_id=str(uuid.uuid4()))),
        403,
        "session_not_found",
        local=False,
        state=True,
    ),
    Line("banned", _banned, 403, "user_banned", local=False, state=True),
    Line("aud", lambda s, u: s.sign(s.claims(u, aud="anon")), 200),
    Line("iss", lambda s, u: s.sign(s.claims(u, iss="https://evil.example/auth/v1")), 200),
    Line("no exp", lambda s, u: s.sign(s.claims(u, exp=None)), 200),
    Line("no session", lambda s, u: s.sign(s.claims(u, session_id=None)), 200),
    Line("anonymous", _anonymous, 200),
)
REFUSED = [line for line in LINES if line.name != "good"]


@pytest.fixture(params=["ES256", "RS256", "HS256"])
def project(request: pytest.FixtureRequest) -> Iterator[AuthServer]:
    with AuthServer(request.param) as server:
        yield server


def _setup(server: AuthServer) -> tuple[User, Lab]:
    user = server.add_user("ann@example.org", user_metadata={"iac_role": "admin"})
    return user, lab(server, user.id)


def _get(server: AuthServer, authorization: str | None) -> tuple[int, str]:
    headers = {"Authorization": authorization} if authorization else {}
    answer = requests.get(server.url + USER, headers=headers, timeout=5)
    return answer.status_code, answer.json().get("error_code", "")


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_double_answers_as_the_real_server(project: AuthServer, line: Line) -> None:
    """Status and error code of the user endpoint are the measured ones."""
    user, _ = _setup(project)
    assert _get(project, f"Bearer {line.make(project, user)}") == (line.status, line.code)


def test_double_knows_no_and_lower_case_authorization(project: AuthServer) -> None:
    """No header is 401 no_authorization; `bearer` is as good as `Bearer`."""
    user, _ = _setup(project)
    assert _get(project, None) == (401, "no_authorization")
    assert _get(project, f"bearer {project.sign_in(user)}") == (200, "")
    assert _get(project, f"Bearer {project.service_key}") == (403, "bad_jwt")


@pytest.mark.parametrize("mutating", [False, True], ids=["read", "mutating"])
@pytest.mark.parametrize("line", REFUSED, ids=lambda line: line.name)
def test_gate_refuses(project: AuthServer, line: Line, mutating: bool) -> None:
    """Nothing but a signed-in user's own good token passes, whatever the server says."""
    user, found = _setup(project)
    token = line.make(project, user)
    if line.state and project.algorithm != "HS256" and not mutating:
        assert found.ask(token).id == user.id  # the signature is good for an hour
        return
    problem = found.refusal(token, mutating=mutating)
    if line.name == "unknown user" and project.algorithm != "HS256" and not mutating:
        assert (problem.status, problem.code) == (403, "not-allowed")
        return
    assert (problem.status, problem.code) == (401, "invalid-token")
    assert problem.headers["WWW-Authenticate"].startswith("Bearer")
    if line.local:
        assert project.requests == []
    if line.state:
        assert problem.extra["reason"] == line.code


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("mutating", [False, True], ids=["read", "mutating"])
def test_gate_accepts_a_good_token(project: AuthServer, scheme: str, mutating: bool) -> None:
    """A signed-in user on the list is an actor with all facts, however Bearer is written."""
    user, found = _setup(project)
    header = f"{scheme} {project.sign_in(user)}"
    actor = found.gate.authenticate(header, peer="192.0.2.9", mutating=mutating, via="socket")
    assert (actor.kind, actor.id, actor.name) == ("user", user.id, "ann@example.org")
    assert (actor.scopes, actor.via, actor.peer) == (ALL, "socket", "192.0.2.9")
    assert not actor.owner


def test_user_endpoint_is_asked_for_hs256_and_for_mutating_calls(project: AuthServer) -> None:
    """Reads with a public key need no question; the question carries both keys in their places."""
    user, found = _setup(project)
    token = project.sign_in(user)
    found.ask(token)
    assert project.count(USER) == (1 if project.algorithm == "HS256" else 0)
    found.ask(token, mutating=True)
    asked = [item for item in project.requests if item.path == USER][-1]
    assert asked.headers["apikey"] == project.service_key
    assert asked.headers["authorization"] == f"Bearer {token}"
    assert "cookie" not in asked.headers


def test_hs256_project_has_an_empty_key_set() -> None:
    """An asymmetric token for an HS256 project is signed by nobody."""
    with AuthServer("HS256") as server:
        user, found = _setup(server)
        token = server.sign(server.claims(user), algorithm="ES256", key=new_key("ES256"))
        assert server.published == []
        assert found.refusal(token).status == 401
        assert found.refusal(token, mutating=True).status == 401
        assert server.count(USER) == 0


def test_no_header_is_unauthenticated(project: AuthServer) -> None:
    """Without a header the answer says what is needed, however often."""
    _, found = _setup(project)
    for _ in range(20):
        with pytest.raises(Exception, match="a token is needed") as caught:
            found.gate.authenticate(None, peer="192.0.2.7", mutating=False)
    problem = caught.value
    assert getattr(problem, "code", "") == "unauthenticated"
    assert getattr(problem, "headers", {}) == {"WWW-Authenticate": "Bearer"}
    assert project.requests == []
