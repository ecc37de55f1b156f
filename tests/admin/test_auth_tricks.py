"""Forged, odd and broken tokens: no access, no request to anybody, nothing but a problem."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from admin.problem import Problem
from tests.support.auth_lab import Lab, lab
from tests.support.auth_server import (
    USER,
    AuthServer,
    User,
    compact,
    hmac_sha256,
    new_key,
    public_jwk,
)

pytestmark = pytest.mark.slow  # hundreds of tokens, each against a real server


@pytest.fixture
def trap() -> Iterator[AuthServer]:
    with AuthServer("ES256") as trap:
        yield trap


@pytest.fixture
def gated(server: AuthServer, user: User) -> Lab:
    return lab(server, f"{user.id},role:admin")


def encode(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("mutating", [False, True])
@pytest.mark.parametrize("own_key", [False, True], ids=["real key", "attacker's key"])
@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip"])
def test_token_that_brings_a_key_is_refused_unasked(
    gated: Lab, trap: AuthServer, user: User, *, member: str, own_key: bool, mutating: bool
) -> None:
    """A header that points at a key, or holds one, leads to no request anywhere."""
    key = new_key("ES256", "the attacker's")
    values: dict[str, Any] = {
        "jku": f"{trap.url}/auth/v1/.well-known/jwks.json",
        "x5u": f"{trap.url}/certificate.pem",
        "jwk": public_jwk(key, gated.server.kid),
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": True,
        "zip": "DEF",
    }
    claims = gated.server.claims(user)
    signed = gated.server.sign(claims, key=key if own_key else None)
    header = {"alg": "ES256", "typ": "JWT", "kid": gated.server.kid, member: values[member]}
    token = ".".join([encode(json.dumps(header)), *signed.split(".")[1:]])
    problem = gated.refusal(token, mutating=mutating)
    assert (problem.status, problem.extra["reason"]) == (401, "header_not_accepted")
    assert gated.server.connections == trap.connections == 0


@pytest.mark.parametrize(
    "kid",
    [
        "",
        " ",
        "../../../dev/null",
        "http://{trap}/k",
        "a" * 257,
        "k\u00fc",
        "a\nb",
        7,
        None,
        ["{kid}"],
        {"kid": "{kid}"},
        True,
        "' OR 1=1 --",
    ],
)
@pytest.mark.parametrize("mutating", [False, True])
def test_kid_is_only_ever_looked_up(
    gated: Lab, trap: AuthServer, user: User, kid: Any, mutating: bool
) -> None:
    """A key id of any form is a name in the project's set or nothing."""
    if isinstance(kid, str):
        kid = kid.replace("{trap}", trap.url.removeprefix("http://"))
    header = {"alg": "ES256", "typ": "JWT", "kid": kid}
    token = compact(header, gated.server.claims(user), lambda _: b"\0" * 64)
    assert gated.refusal(token, mutating=mutating).status == 401
    assert trap.connections == 0
    assert gated.server.count(USER) == 0


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
@pytest.mark.parametrize("with_kid", [False, True])
@pytest.mark.parametrize("mutating", [False, True])
def test_public_key_is_no_hmac_secret(
    gated: Lab, user: User, form: str, with_kid: bool, mutating: bool
) -> None:
    """An HS256 token signed with the published key is nobody's: it goes to the auth server."""
    public = new_key("ES256").public_key()
    encoding = serialization.Encoding.DER if form == "der" else serialization.Encoding.PEM
    secret = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    if form == "jwk":
        secret = json.dumps(gated.server.published[0]).encode()
    header = {"alg": "HS256", **({"kid": gated.server.kid} if with_kid else {})}
    token = compact(header, gated.server.claims(user), hmac_sha256(secret))
    assert gated.refusal(token, mutating=mutating).extra == {"reason": "bad_jwt"}


def test_key_of_another_kind_verifies_nothing(gated: Lab, user: User) -> None:
    """RS256 with the kid of an EC key finds no key; ES256 by a P-384 key does not fit."""
    claims = gated.server.claims(user)
    rsa = gated.server.sign(claims, algorithm="RS256", key=new_key("RS256"))
    assert gated.refusal(rsa).status == 401
    assert gated.server.count(USER) == 0


@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "NONE",
        "es256",
        "ES256 ",
        "HS384",
        "HS512",
        "ES384",
        "PS256",
        "EdDSA",
        "",
        None,
        1,
        ["ES256"],
        {"a": "ES256"},
    ],
)
def test_other_algorithms_are_refused_unasked(gated: Lab, user: User, alg: Any) -> None:
    """Only ES256, RS256 and HS256 in exactly this spelling are looked at."""
    header = {"alg": alg, "kid": gated.server.kid}
    token = compact(header, gated.server.claims(user), hmac_sha256(gated.server.secret))
    assert gated.refusal(token).status == 401
    assert gated.server.connections == 0


@pytest.mark.parametrize("mutating", [False, True])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  {t}",
        " Bearer {t}",
        "Bearer {t} ",
        "Bearer {t} {t}",
        "Bearer {t}, Bearer {t}",
        "Bearer {t},Bearer {t}",
        "Bearer {t}, {t}",
        "Bearer a, Bearer b",
        "Basic {t}",
        "{t}",
        "Token {t}",
        "Bearer\t{t}",
        "Bearer\u00a0{t}",
        "Bearer {t}\n",
        "Bearer {t}\r\nX: y",
        "Bearer {t}\0",
        "Bearer {t}\u00e9",
        'Bearer "{t}"',
        "Bearer {t};",
        "B\u0435arer {t}",
        "Bearer {t}\u212a",
    ],
)
def test_only_one_bearer_token_is_a_header(
    gated: Lab, user: User, header: str, mutating: bool
) -> None:
    """Two tokens, other schemes, blanks and odd characters: 401, also around a good token."""
    value = header.replace("{t}", gated.server.sign_in(user))
    with pytest.raises(Problem) as caught:
        gated.gate.authenticate(value, peer="192.0.2.7", mutating=mutating)
    assert (caught.value.status, caught.value.code) == (401, "invalid-token")
    assert gated.server.connections == 0


def test_too_long_token_is_refused_unasked(gated: Lab, user: User) -> None:
    """8,192 characters are a token, one more is none."""
    claims = gated.server.claims(user)
    size = len(gated.server.sign({**claims, "pad": ""}))
    token = gated.server.sign({**claims, "pad": "x" * ((8192 - size) * 3 // 4)})
    assert 8185 < len(token) <= 8192
    assert gated.ask(token, mutating=True).id == user.id
    asked = gated.server.connections
    for extra in (8193 - len(token), 2**20):
        problem = gated.refusal(token + "A" * extra, peer=f"192.0.2.{extra % 99}")
        assert (problem.status, problem.extra["reason"]) == (401, "malformed")
    assert gated.server.connections == asked


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "null",
        "[]",
        "1",
        '"x"',
        "{",
        "\ufeff{}",
        "NaN",
        '{"exp": NaN}',
        '{"exp": Infinity}',
        '{"exp": 1e999, "role": "authenticated"}',
        "[" * 5000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        '{"role": "authenticated", "role": "authenticated"}',
        '{"exp": ' + "9" * 5000 + "}",
    ],
)
def test_payload_that_is_no_plain_object_is_refused(gated: Lab, payload: str) -> None:
    """Anything but one plain JSON object is malformed, not an error."""
    header = {"alg": "HS256"}
    token = compact(header, payload.encode(), hmac_sha256(gated.server.secret))
    assert gated.refusal(token[:8192]).status == 401
    assert gated.server.connections == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings_are_refused(gated: Lab, user: User, encoding: str) -> None:
    """JSON in a token is UTF-8; other readers might understand something else."""
    claims = {**gated.server.claims(user), "name": "\u00fc"}
    payload = json.dumps(claims, ensure_ascii=False).encode(encoding)
    token = compact({"alg": "HS256"}, payload, hmac_sha256(gated.server.secret))
    assert gated.refusal(token).status == 401
    assert gated.server.connections == 0


def test_every_changed_character_breaks_a_token(gated: Lab, user: User) -> None:
    """A good token with one character changed is refused, also in bits that decoders drop."""
    token = gated.server.sign_in(user)
    spots = [*range(0, len(token), 7), len(token) - 1]
    for spot in spots:
        other = "B" if token[spot] != "B" else "C"
        changed = token[:spot] + other + token[spot + 1 :]
        assert gated.refusal(changed, peer=f"p{spot}").status == 401


def test_signature_with_dropped_bits_changed_is_refused(gated: Lab, user: User) -> None:
    """64 bytes leave four unused bits in base64url: only one spelling is the token."""
    token = gated.server.sign_in(user)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    index = alphabet.index(token[-1])
    assert index % 16 == 0
    assert gated.refusal(token[:-1] + alphabet[index + 1]).status == 401
    assert gated.refusal(token + "==").status == 401
    assert gated.ask(token).id == user.id


def _garbage(random_: random.Random, good: str) -> str:
    kind = random_.randrange(6)
    size = random_.choice((0, 1, 2, 3, 10, 100, 3000, 9000))
    if kind == 0:
        return random_.randbytes(size).decode("latin-1")
    if kind == 1:
        return "".join(chr(random_.randrange(0x110000)) for _ in range(min(size, 300)))
    if kind == 2:
        return ".".join(encode(random_.randbytes(min(size, 300))) for _ in range(3))
    spot = random_.randrange(len(good))
    if kind == 3:
        return good[:spot] + random_.randbytes(3).decode("latin-1") + good[spot:]
    if kind == 4:
        return good[:spot]
    header, payload, signature = good.split(".")
    if random_.random() < 0.5:
        header = encode(_scramble(random_, header))
    else:
        payload = encode(_scramble(random_, payload))
    return f"{header}.{payload}.{signature}"


def _scramble(random_: random.Random, part: str) -> bytes:
    data = bytearray(base64.urlsafe_b64decode(part + "=="))
    for _ in range(random_.randrange(1, 4)):
        data[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(data)


def test_garbage_gets_problems_and_nothing_else(gated: Lab, user: User) -> None:
    """Random and broken tokens never pass and never raise another error."""
    random_ = random.Random(20261121)  # noqa: S311 - the same garbage in each run
    good = gated.server.sign_in(user)
    header, payload, _ = good.split(".")
    for number in range(1500):
        token = _garbage(random_, good)
        if token.startswith(f"{header}.{payload}.") and token == good:
            continue
        with pytest.raises(Problem) as caught:
            gated.gate.authenticate(f"Bearer {token}", peer=f"p{number}", mutating=number % 2 == 0)
        assert caught.value.status in (401, 429), token


def test_problem_holds_no_part_of_a_token(gated: Lab, user: User) -> None:
    """Neither the answer nor any error behind it repeats what was sent."""
    claims = gated.server.claims(user, exp=int(time.time()) - 5)
    tokens = [
        gated.server.sign(claims),
        gated.server.sign(gated.server.claims(user), key=new_key("ES256", "of another")),
        compact({"alg": "HS256"}, b'{"sentinel": oops', hmac_sha256(b"x")),
    ]
    for token in tokens:
        error: BaseException | None = gated.refusal(token, mutating=True)
        while error is not None:
            shown = f"{error!r} {error.args} {vars(error)}"
            assert not any(part in shown for part in token.split("."))
            assert "sentinel" not in shown
            error = error.__cause__ or error.__context__
