"""The user endpoint of Supabase's auth server: whose token this is, right now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from admin.auth.bounded_http import BoundedHttp, HttpAnswer
from admin.auth.claims import email_of, is_uuid, role_of
from admin.auth.errors import AuthUnavailableError, TokenRefusedError
from admin.strict_json import load_object

# What may be passed on as a reason; anything else is the server's text, and stays unsaid.
_CODES = frozenset(
    (
        *("no_authorization", "bad_jwt", "user_not_found", "user_banned"),
        *("session_not_found", "session_expired"),
    )
)


@dataclass(frozen=True)
class User:
    """A user as the auth server has it. `email` is empty unless it is confirmed."""

    id: str
    email: str
    role: str


class AuthServer:
    """Asks ``GET {url}/auth/v1/user``.

    Args:
        url: the project's base URL.
        api_key: the service role key; it goes into `apikey`, never into Authorization.
        http: how to ask.
        now: Unix time, to tell whether a ban is over.
    """

    def __init__(
        self, url: str, api_key: str, http: BoundedHttp, *, now: Callable[[], float]
    ) -> None:
        self._url = f"{url}/auth/v1/user"
        self._api_key = api_key
        self._http = http
        self._now = now

    def user(self, token: str) -> User:
        """The user that the server says the token is of. The caller compares it with the token.

        Raises:
            TokenRefusedError: the server says no, or names a user we do not accept.
            AuthUnavailableError: any answer that is neither yes nor no.
        """
        headers = {"apikey": self._api_key, "Authorization": f"Bearer {token}"}
        answer = self._http.get(self._url, {**headers, "Accept": "application/json"})
        if answer.status in (400, 401, 403):
            raise TokenRefusedError(_code(answer))
        body = load_object(answer.body) if answer.status == 200 else None
        if body is None or not is_uuid(body.get("id")):
            raise AuthUnavailableError
        self._check(body)
        confirmed = bool(body.get("email_confirmed_at"))
        return User(body["id"].lower(), email_of(body) if confirmed else "", role_of(body))

    def _check(self, body: Mapping[str, Any]) -> None:
        if body.get("is_anonymous", False) is not False:
            raise TokenRefusedError("anonymous")
        if body.get("deleted_at"):
            raise TokenRefusedError("user_not_found")
        if body.get("banned_until") and not _is_over(body["banned_until"], self._now()):
            raise TokenRefusedError("user_banned")


def _code(answer: HttpAnswer) -> str:
    code = (load_object(answer.body) or {}).get("error_code")
    return code if isinstance(code, str) and code in _CODES else ""


def _is_over(until: object, now: float) -> bool:
    try:
        moment = datetime.fromisoformat(str(until))
    except ValueError:
        return False
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() <= now
