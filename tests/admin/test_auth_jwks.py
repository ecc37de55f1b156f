"""The key set: fetched when needed, by one thread, and no more often than allowed."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

from admin.auth.bounded_http import MAX_BYTES
from admin.problem import Problem
from tests.support.auth_lab import Lab, lab
from tests.support.auth_server import JWKS, AuthServer, Fault, User, new_key, public_jwk


def token_by(server: AuthServer, user: User, kid: str) -> str:
    """A token signed with the key of that id, or with some key if there is none."""
    key = server.keys.get(kid, new_key("ES256", "nobody's"))
    return server.sign(server.claims(user), key=key, kid=kid)


def test_set_is_fetched_once_in_ten_minutes(gated: Lab, user: User) -> None:
    """Tokens of known keys need no request until the set is 600 s old."""
    for seconds, fetched in ((0, 1), (300, 1), (299.9, 1), (0.1, 2), (599, 2)):
        gated.clock.seconds += seconds
        assert gated.ask(gated.server.sign_in(user)).id == user.id
        assert gated.server.count(JWKS) == fetched


def test_new_key_is_fetched_at_once_then_once_a_minute(gated: Lab, user: User) -> None:
    """Rotation works on the first token; made-up key ids cannot cause more than one a minute."""
    server = gated.server
    gated.ask(server.sign_in(user))
    server.add_key("next", new_key("ES256", "next"))
    assert gated.ask(token_by(server, user, "next")).id == user.id
    assert server.count(JWKS) == 2

    server.add_key("third", new_key("ES256", "third"))
    for number in range(5):
        assert gated.refusal(token_by(server, user, f"made up {number}".replace(" ", "-")))
    assert gated.refusal(token_by(server, user, "third")).status == 401
    assert server.count(JWKS) == 2

    gated.clock.seconds += 60
    assert gated.ask(token_by(server, user, "third")).id == user.id
    assert server.count(JWKS) == 3
    assert gated.ask(server.sign_in(user)).id == user.id


def test_removed_key_is_gone_with_the_next_set(gated: Lab, user: User) -> None:
    """A revoked key signs nothing once the set is fetched anew."""
    server = gated.server
    gated.ask(server.sign_in(user))
    server.published = []
    gated.clock.seconds += 600
    assert gated.refusal(server.sign_in(user)).status == 401


def test_old_set_is_not_used_while_the_server_is_down(gated: Lab, user: User) -> None:
    """A set of 600 s is too old: 503, not a guess; back again, it works again."""
    server = gated.server
    gated.ask(server.sign_in(user))
    server.faults[JWKS] = Fault(status=500)
    gated.clock.seconds += 599
    assert gated.ask(server.sign_in(user)).id == user.id
    gated.clock.seconds += 1
    problem = gated.refusal(server.sign_in(user))
    assert (problem.status, problem.code) == (503, "auth-unavailable")
    assert int(problem.headers["Retry-After"]) > 0
    server.faults.clear()
    gated.clock.seconds += 5
    assert gated.ask(server.sign_in(user)).id == user.id


def test_failing_server_is_not_hammered(gated: Lab, user: User) -> None:
    """While there is no set, one attempt in five seconds is made; the others are 503 at once."""
    server = gated.server
    server.faults[JWKS] = Fault(status=502)
    for _ in range(10):
        assert gated.refusal(server.sign_in(user)).status == 503
    assert server.count(JWKS) == 1
    gated.clock.seconds += 5
    assert gated.refusal(server.sign_in(user)).status == 503
    assert server.count(JWKS) == 2


def test_unknown_key_is_503_while_nobody_can_tell(gated: Lab, user: User) -> None:
    """If the set cannot be refetched for a new key, that is no verdict on the token."""
    server = gated.server
    gated.ask(server.sign_in(user))
    server.faults[JWKS] = Fault(status=500)
    for _ in range(3):
        assert gated.refusal(token_by(server, user, "other")).status == 503
    assert server.count(JWKS) == 2
    assert gated.ask(server.sign_in(user)).id == user.id
    server.faults.clear()
    gated.clock.seconds += 60
    assert gated.refusal(token_by(server, user, "other")).status == 401


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404),
        Fault(status=302, location="{trap}/auth/v1/.well-known/jwks.json"),
        Fault(body=b"<html>"),
        Fault(body=b"[]"),
        Fault(body=b"{}"),
        Fault(body=b'{"keys": {}}'),
        Fault(body=b'{"keys": [], "keys": []}'),
        Fault(body=b'{"keys": []}' + b" " * (MAX_BYTES - 11)),
        Fault(hang=True),
        Fault(drip="headers"),
        Fault(drip="body"),
    ],
    ids=lambda fault: f"{fault.status} {fault.drip or fault.hang or fault.body[:20]}",
)
def test_bad_answer_is_503_in_time(server: AuthServer, user: User, fault: Fault) -> None:
    """Whatever is not a key set within the time is none: 503, no redirect followed."""
    gated = lab(server, user.id, timeout=0.08)
    with AuthServer() as trap:
        location = fault.location.replace("{trap}", trap.url)
        server.faults[JWKS] = Fault(
            fault.status, fault.body, location, hang=fault.hang, drip=fault.drip
        )
        started = time.monotonic()
        assert gated.refusal(server.sign_in(user)).status == 503
        assert time.monotonic() - started < 1.5
        assert trap.connections == 0


def test_unreachable_server_is_503() -> None:
    """Nothing listens there: 503, for reads and mutating calls."""
    with AuthServer("ES256") as server:
        user = server.add_user()
        token = server.sign_in(user)
        gated = lab(server, user.id)
    assert gated.refusal(token).status == 503
    assert gated.refusal(token, mutating=True).status == 503


def test_large_answer_is_an_answer_up_to_the_limit(gated: Lab, user: User) -> None:
    """256 KiB are read; there is no key in them here."""
    gated.server.faults[JWKS] = Fault(body=b'{"keys": []}' + b" " * (MAX_BYTES - 12))
    assert gated.refusal(gated.server.sign_in(user)).status == 401


def test_many_threads_make_one_fetch(gated: Lab, user: User) -> None:
    """A crowd at the start waits for one fetch, and all get in."""
    tokens = [gated.server.sign_in(user) for _ in range(32)]
    with ThreadPoolExecutor(32) as pool:
        assert {actor.id for actor in pool.map(gated.ask, tokens)} == {user.id}
    assert gated.server.count(JWKS) == 1


def test_many_threads_wait_for_a_hanging_server_once(server: AuthServer, user: User) -> None:
    """A crowd before a server that hangs is 503 after one timeout, not one after another."""
    gated = lab(server, user.id, timeout=0.3)
    gated.server.faults[JWKS] = Fault(hang=True)
    tokens = [gated.server.sign_in(user) for _ in range(16)]
    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        problems = list(pool.map(gated.refusal, tokens))
    assert time.monotonic() - started < 2.0
    assert {problem.status for problem in problems} == {503}
    assert gated.server.connections == 1


def test_known_keys_do_not_wait_for_a_fetch(server: AuthServer, user: User) -> None:
    """While somebody's made-up key id is looked up at a slow server, everybody else goes on."""
    gated = lab(server, user.id, timeout=0.4)
    gated.ask(server.sign_in(user))
    server.faults[JWKS] = Fault(hang=True)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(gated.refusal, token_by(server, user, "made-up"))
        while server.count(JWKS) < 2:
            time.sleep(0.001)
        for _ in range(5):
            assert gated.ask(server.sign_in(user)).id == user.id
        assert not slow.done()
        assert slow.result().status == 503


def weak_key() -> rsa.RSAPrivateKey:
    """Shorter than any signature should rest on."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - refused


def _entries(kid: str) -> dict[str, dict[str, Any]]:
    signer = new_key("ES256")
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    good = public_jwk(signer, kid)
    private = ECAlgorithm.to_jwk(signer, as_dict=True)
    point = ec.generate_private_key(ec.SECP384R1())
    return {
        "symmetric": {"kty": "oct", "k": "c2VjcmV0", "kid": kid, "alg": "ES256"},
        "private": {**good, "d": private["d"]},
        "for encryption": {**good, "use": "enc"},
        "other algorithm": {**good, "alg": "ES384"},
        "other curve": {**good, "crv": "P-384"},
        "P-384": {**public_jwk(point, kid), "alg": "ES256"},
        "not on the curve": {**good, "y": good["x"]},
        "no kid": {name: value for name, value in good.items() if name != "kid"},
        "kid is a number": {**good, "kid": 1},
        "no coordinates": {"kty": "EC", "crv": "P-256", "kid": kid},
        "weak RSA": public_jwk(weak_key(), kid),
        "other kind": {"kty": "OKP", "crv": "Ed25519", "x": good["x"], "kid": kid},
    }


@pytest.mark.parametrize("name", list(_entries("x")))
def test_unfit_key_is_not_used(gated: Lab, user: User, name: str) -> None:
    """Keys that are secret, weak, broken or for something else count as absent."""
    server = gated.server
    server.published = [_entries(server.kid)[name], {"keys": []}]
    assert gated.refusal(server.sign_in(user)).status == 401
    gated.clock.seconds += 60
    server.published = [*server.published, public_jwk(server.keys[server.kid], server.kid)]
    assert gated.ask(server.sign_in(user)).id == user.id


def test_short_rsa_key_signs_nothing(user: User) -> None:
    """RS256 wants 2,048 bits, also when the project publishes less."""
    with AuthServer("RS256") as server:
        weak = weak_key()
        server.add_key("weak", weak)
        server.users[user.id] = user
        gated = lab(server, user.id)
        with pytest.warns(UserWarning, match="1024"):
            token = server.sign(server.claims(user), key=weak, kid="weak")
        assert gated.refusal(token).status == 401
        assert gated.ask(server.sign_in(user)).id == user.id


def test_set_without_hints_is_usable(gated: Lab, user: User) -> None:
    """`alg` and `use` are optional in a key."""
    server = gated.server
    entry = server.published[0]
    server.published = [{k: entry[k] for k in ("kty", "crv", "x", "y", "kid")}]
    assert json.dumps(server.published)
    assert gated.ask(server.sign_in(user)).id == user.id


def test_every_answer_of_a_crowd_is_a_problem_or_an_actor(gated: Lab, user: User) -> None:
    """Good, forged and unknown tokens at once: each gets its own verdict."""
    server = gated.server
    good = [server.sign_in(user) for _ in range(10)]
    bad = [token_by(server, user, f"made-up-{number}") for number in range(10)]

    def verdict(token: str) -> int:
        try:
            gated.ask(token, mutating=token in good[:5], peer=token[-8:])
        except Problem as problem:
            return problem.status
        return 200

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(verdict, good + bad)) == [200] * 10 + [401] * 10
    assert server.count(JWKS) <= 2
