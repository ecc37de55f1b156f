"""A Supabase auth server on a loopback port: the key set and the user endpoint, tokens verified.

It answers as the real one was measured to, also where the real one is lenient. Needs no pytest::

    with AuthServer("ES256") as server:
        ann = server.add_user("ann@example.org")
        token = server.sign_in(ann)
        # SUPABASE_URL=server.url, SUPABASE_SERVICE_ROLE_KEY=server.service_key

or ``python -m tests.support.auth_server [ES256|RS256|HS256]`` to have one running by hand.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.running import Running

USER = "/auth/v1/user"
JWKS = "/auth/v1/.well-known/jwks.json"

Algorithm = Literal["ES256", "RS256", "HS256"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Claims = dict[str, Any]


@dataclass
class User:
    """A row of auth.users, as far as it matters."""

    id: str
    email: str
    confirmed: bool = True
    anonymous: bool = False
    app_metadata: dict[str, Any] = field(default_factory=dict)
    user_metadata: dict[str, Any] = field(default_factory=dict)
    banned_until: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    """Members of the answer that differ from what the real server would say."""


@dataclass(frozen=True)
class Fault:
    """What a path does instead of its work.

    `hang`: nothing is sent. `drip`: one byte every 10 ms, of the headers or of the body. Else an
    answer of `status` with `body`, and with Location if `location` is set.
    """

    status: int = 200
    body: bytes = b"{}"
    location: str = ""
    hang: bool = False
    drip: Literal["", "headers", "body"] = ""


@dataclass(frozen=True)
class Recorded:
    """A request that came in; header names in lower case."""

    path: str
    headers: Mapping[str, str]


class RejectionError(Exception):
    """An error of the auth API."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": status, "error_code": error_code, "msg": message}


@cache
def new_key(algorithm: Algorithm, name: str = "") -> PrivateKey:
    """A private key; the same for the same name within a process (RSA keys take a while)."""
    del name
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key: PrivateKey, kid: str) -> dict[str, Any]:
    """The entry of a key set, as the real server writes it."""
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        entry, algorithm = ECAlgorithm.to_jwk(public, as_dict=True), "ES256"
    else:
        entry, algorithm = RSAAlgorithm.to_jwk(public, as_dict=True), "RS256"
    usage = {"use": "sig", "key_ops": ["verify"], "ext": True}
    return {**entry, "kid": kid, "alg": algorithm, **usage}


def compact(
    header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, sign: Callable[[bytes], bytes]
) -> str:
    """A JWT with exactly this header, signed by whatever function: for forgeries."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    parts = [_base64url(json.dumps(header).encode()), _base64url(body)]
    return ".".join([*parts, _base64url(sign(".".join(parts).encode()))])


def hmac_sha256(secret: bytes) -> Callable[[bytes], bytes]:
    """What signs HS256."""
    return lambda data: hmac.digest(secret, data, hashlib.sha256)


class AuthServer(Running):
    """Serves while the context is open.

    `url` is the project's, without a final slash. `algorithm` is what access tokens are signed
    with; an HS256 project publishes no keys. `keys` (kid -> private key) verify tokens, `published`
    is the key set's document. `faults` (path -> Fault) can be set at any time. `requests` records
    what came in, `connections` counts connections, also those without a request. With
    `certificate`, a PEM file of a certificate for localhost and its key, it speaks TLS.
    """

    def __init__(self, algorithm: Algorithm = "ES256", *, certificate: Path | None = None) -> None:
        self.algorithm: Algorithm = algorithm
        self.secret = b"the secret of a project whose tokens are HS256, or of HS512 forgeries"
        self.kid = str(uuid.uuid4())
        self.keys: dict[str, PrivateKey] = {}
        self.published: list[dict[str, Any]] = []
        self.users: dict[str, User] = {}
        self.sessions: dict[str, str] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[Recorded] = []
        self.connections = 0
        self.over = Event()
        self._lock = Lock()
        http = _HttpServer(("127.0.0.1", 0), _Handler)
        http.owner = self
        if certificate:
            http.trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            http.trust.load_cert_chain(certificate)
        super().__init__(http)
        port = http.server_address[1]
        self.url = f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
        if algorithm != "HS256":
            self.add_key(self.kid, new_key(algorithm))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        super().__exit__(kind, error, trace)

    @property
    def service_key(self) -> str:
        """The legacy service role key: a JWT without subject."""
        return self._api_key("service_role")

    @property
    def anon_key(self) -> str:
        """The legacy public key."""
        return self._api_key("anon")

    def add_key(self, kid: str, key: PrivateKey) -> None:
        """Verify and publish one more key."""
        self.keys[kid] = key
        self.published = [*self.published, public_jwk(key, kid)]

    def add_user(self, email: str = "", **facts: Any) -> User:
        """Make a user; `facts` are fields of `User`."""
        user = User(**{"id": str(uuid.uuid4()), "email": email, **facts})
        self.users[user.id] = user
        return user

    def sign_in(self, user: User) -> str:
        """A session's access token, valid for an hour."""
        return self.sign(self.claims(user))

    def log_out(self, user: User) -> None:
        """End the sessions of a user; their tokens stay well signed."""
        self.sessions = {key: owner for key, owner in self.sessions.items() if owner != user.id}

    def delete(self, user: User) -> None:
        """Remove a user with all sessions."""
        self.log_out(user)
        del self.users[user.id]

    def claims(self, user: User, **changes: Any) -> Claims:
        """The claims of a new session's token. A change to None leaves the claim out."""
        now = int(time.time())
        session = str(uuid.uuid4())
        self.sessions[session] = user.id
        found = {
            "iss": f"{self.url}/auth/v1",
            "sub": user.id,
            "aud": "authenticated",
            "exp": now + 3600,
            "iat": now,
            "email": user.email,
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"], **user.app_metadata},
            "user_metadata": user.user_metadata,
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": now}],
            "session_id": session,
            "is_anonymous": user.anonymous,
            **changes,
        }
        return {name: value for name, value in found.items() if value is not None}

    def sign(
        self,
        claims: Mapping[str, Any],
        *,
        algorithm: str | None = None,
        key: PrivateKey | bytes | None = None,
        **header: Any,
    ) -> str:
        """`claims` as a token, by default as the project signs; `header` adds members."""
        chosen = algorithm or self.algorithm
        symmetric = chosen.startswith("HS")
        if not symmetric and chosen != "none":
            header = {"kid": self.kid, **header}
        signer: Any = key or (self.secret if symmetric else self.keys.get(self.kid))
        signer = None if chosen == "none" else signer
        return jwt.encode(dict(claims), signer, algorithm=chosen, headers=header)

    def count(self, path: str) -> int:
        """How often a path was asked."""
        return sum(item.path == path for item in self.requests)

    def note(self, path: str, headers: Mapping[str, str]) -> None:
        """Called by the handler for each request."""
        with self._lock:
            self.requests.append(Recorded(path, {k.lower(): v for k, v in headers.items()}))

    def note_connection(self) -> None:
        """Called by the handler for each connection."""
        with self._lock:
            self.connections += 1

    def user_of(self, authorization: str | None) -> dict[str, Any]:
        """The answer of the user endpoint; raises `RejectionError`."""
        claims = self._verify(_bearer(authorization))
        if not claims.get("sub"):
            raise RejectionError(403, "bad_jwt", "invalid claim: missing sub claim")
        try:
            user = self.users.get(str(uuid.UUID(str(claims["sub"]))))
        except ValueError:
            raise RejectionError(
                400, "bad_jwt", "invalid claim: sub claim must be a UUID"
            ) from None
        if user is None:
            raise RejectionError(403, "user_not_found", "User from sub claim in JWT does not exist")
        session = claims.get("session_id")
        if session and self.sessions.get(str(session)) != user.id:
            message = "Session from session_id claim in JWT does not exist"
            raise RejectionError(403, "session_not_found", message)
        if user.banned_until and datetime.fromisoformat(user.banned_until) > datetime.now(UTC):
            raise RejectionError(403, "user_banned", "User is banned")
        return _row(user)

    def _verify(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            key: Any = self.secret if algorithm == "HS256" else None
            if "kid" in header:
                # A symmetric token that names a public key is checked with that key, and fails.
                key = self.keys[header["kid"]].public_key()
            return jwt.decode(
                token,
                key,
                algorithms=["HS256", "RS256", "ES256"],
                options={
                    **{"verify_aud": False, "verify_iss": False},
                    **{"verify_iat": False, "verify_sub": False},
                },
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            message = f"invalid JWT: unable to parse or verify signature, {error}"
            raise RejectionError(403, "bad_jwt", message) from None

    def _api_key(self, role: str) -> str:
        claims = {"iss": "supabase", "ref": "test", "role": role, "iat": 1700000000}
        return jwt.encode({**claims, "exp": 2015360000}, self.secret, algorithm="HS256")


def _bearer(authorization: str | None) -> str:
    match = re.fullmatch(r"(?i:bearer) (\S+)", authorization or "")
    if not match:
        raise RejectionError(401, "no_authorization", "This endpoint requires a valid Bearer token")
    return match[1]


def _row(user: User) -> dict[str, Any]:
    at = "2026-01-01T00:00:00.123456789Z"
    found = {
        "id": user.id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": user.email,
        "email_confirmed_at": at if user.confirmed and user.email else None,
        "phone": "",
        "last_sign_in_at": at,
        "app_metadata": {"provider": "email", "providers": ["email"], **user.app_metadata},
        "user_metadata": user.user_metadata,
        "identities": [],
        "created_at": at,
        "updated_at": at,
        "banned_until": user.banned_until,
        "is_anonymous": user.anonymous,
        **user.overrides,
    }
    return {name: value for name, value in found.items() if value is not None}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    owner: AuthServer
    trust: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.trust is None:
            return connection, address
        # The handshake belongs into the connection's own thread: it happens at the first read.
        wrapped = self.trust.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._owner.note_connection()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def do_GET(self) -> None:
        self._owner.note(self.path, dict(self.headers.items()))
        fault = self._owner.faults.get(self.path)
        if fault is not None:
            self._fail(fault)
        elif self.path == JWKS:
            self._send(200, json.dumps({"keys": self._owner.published}).encode())
        elif self.path == USER:
            self._user()
        else:
            self._send(404, b'{"message":"no Route matched with those values"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    @property
    def _owner(self) -> AuthServer:
        assert isinstance(self.server, _HttpServer)
        return self.server.owner

    def _user(self) -> None:
        try:
            status, body = 200, self._owner.user_of(self.headers["Authorization"])
        except RejectionError as rejection:
            status, body = rejection.status, rejection.body
        self._send(status, json.dumps(body).encode())

    def _fail(self, fault: Fault) -> None:
        if fault.hang:
            self._owner.over.wait()
        elif fault.drip == "headers":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 100_000)
        elif fault.drip == "body":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            self._drip(b"{" + b" " * 99_999)
        else:
            self._send(fault.status, fault.body, fault.location)

    def _drip(self, data: bytes) -> None:
        for byte in data:
            if self._owner.over.wait(0.01):
                return
            self.wfile.write(bytes((byte,)))

    def _send(self, status: int, body: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "__cf_bm=a-cookie-nobody-should-send-back; Path=/")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)


def main(arguments: Sequence[str]) -> None:
    """Serve one user's project until stdin ends; one JSON line says how to use it."""
    algorithm: Algorithm = "ES256"
    if arguments and arguments[0] in ("RS256", "HS256"):
        algorithm = "RS256" if arguments[0] == "RS256" else "HS256"
    with AuthServer(algorithm) as server:
        user = server.add_user("ann@example.org")
        facts = {
            "SUPABASE_URL": server.url,
            "SUPABASE_SERVICE_ROLE_KEY": server.service_key,
            "IAC_ADMIN_USERS": user.id,
            "token": server.sign_in(user),
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
