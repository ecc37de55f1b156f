"""The rules for claims, one at a time."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest

from admin.auth.claims import check
from admin.auth.errors import TokenRefusedError

ISSUER = "https://project.example/auth/v1"
NOW = 1_800_000_000.0
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": "authenticated",
    "exp": NOW + 1,
    "sub": str(uuid.uuid4()),
    "session_id": str(uuid.uuid4()),
    "role": "authenticated",
}
NIL = str(uuid.UUID(int=0))


def verdict(**changes: Any) -> str:
    """The reason of a refusal, empty for none; a change to `...` leaves the claim out."""
    payload = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    try:
        check(payload, issuer=ISSUER, now=NOW)
    except TokenRefusedError as refused:
        return refused.reason
    return ""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["authenticated"]},
        {"exp": NOW + 0.5},
        {"nbf": NOW, "iat": NOW + 5},
        {"is_anonymous": False},
        {"sub": GOOD["sub"].upper()},
        {"email": 7, "app_metadata": [], "user_metadata": None},
    ],
)
def test_good_claims_pass(changes: dict[str, Any]) -> None:
    """A signed-in user's claims pass in every form that the server writes."""
    assert verdict(**changes) == ""


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("iss", [..., None, "", ISSUER + "/", ISSUER.upper(), [ISSUER]], "wrong_issuer"),
        (
            "aud",
            [
                ...,
                None,
                "",
                "anon",
                [],
                ["anon"],
                ["authenticated", "anon"],
                {},
                True,
                {"authenticated": 1},
                ["authenticated"] * 2,
            ],
            "wrong_audience",
        ),
        (
            "role",
            [..., None, "anon", "service_role", "Authenticated", ["authenticated"], 1],
            "wrong_role",
        ),
        (
            "exp",
            [
                ...,
                None,
                True,
                str(NOW + 99),
                math.nan,
                math.inf,
                -math.inf,
                -1,
                10**12,
                10**400,
                1e300,
                [NOW + 9],
            ],
            "no_expiry",
        ),
        ("exp", [NOW, NOW - 0.1, 0, False + 1], "expired"),
        ("nbf", [NOW + 0.1, "0", None, math.nan, True], "not_yet_valid"),
        ("iat", [NOW + 5.1, "0", None, math.inf, [], False], "not_yet_valid"),
        (
            "sub",
            [
                ...,
                None,
                "",
                "ann",
                7,
                NIL,
                GOOD["sub"] + "\n",
                "{" + GOOD["sub"] + "}",
                GOOD["sub"].replace("-", ""),
            ],
            "no_user",
        ),
        ("session_id", [..., None, "", "x", NIL, 1, [GOOD["session_id"]]], "no_session"),
        ("is_anonymous", [True, None, "false", 0, 1, "", []], "anonymous"),
    ],
)
def test_bad_claim_is_named(name: str, values: list[Any], reason: str) -> None:
    """Each rule refuses on its own, with its reason."""
    assert {repr(value): verdict(**{name: value}) for value in values} == {
        repr(value): reason for value in values
    }


def test_what_is_used_of_a_token() -> None:
    """Id in lower case, e-mail address, and the role from app_metadata, never user_metadata."""
    payload = {
        **GOOD,
        "sub": GOOD["sub"].upper(),
        "email": "Ann@Example.org",
        "app_metadata": {"iac_role": "oncall"},
        "user_metadata": {"iac_role": "admin"},
    }
    found = check(payload, issuer=ISSUER, now=NOW)
    assert (found.sub, found.exp) == (GOOD["sub"], NOW + 1)
    assert (found.email, found.role) == ("Ann@Example.org", "oncall")


@pytest.mark.parametrize("email", ["", "x", "a@b\n", "a@\ud800", "a@" + "b" * 400, None, ["a@b"]])
def test_text_that_is_no_address_is_none(email: Any) -> None:
    """What could break a log line or an answer is not taken for an address."""
    assert check({**GOOD, "email": email}, issuer=ISSUER, now=NOW).email == ""


@pytest.mark.parametrize("metadata", [None, [], "x", {}, {"iac_role": ["a"]}, {"iac_role": 1}])
def test_role_is_a_text(metadata: Any) -> None:
    """Anything but a text in app_metadata is no role."""
    assert check({**GOOD, "app_metadata": metadata}, issuer=ISSUER, now=NOW).role == ""
