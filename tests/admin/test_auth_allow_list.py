"""IAC_ADMIN_USERS: its grammar, and who is on the list by what."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from admin.auth.allow_list import AllowList
from admin.auth.gate import Gate
from iac_wrapper.errors import ConfigError
from iac_wrapper.settings import Settings
from tests.support.auth_lab import lab
from tests.support.auth_server import USER, AuthServer

ALL = {"read", "deploy", "destroy"}
ID = "3c4a3b52-a76f-4f93-99ed-e8a3e84a531a"


@pytest.fixture(params=["ES256", "HS256"])
def server(request: pytest.FixtureRequest) -> Iterator[AuthServer]:
    with AuthServer(request.param) as server:
        yield server


@pytest.mark.parametrize(
    ("text", "who", "scopes"),
    [
        (ID, {"user_id": ID}, ALL),
        (ID.upper(), {"user_id": ID}, ALL),
        (f"{ID}=read", {"user_id": ID}, {"read"}),
        ("a+b@example.org=read+deploy", {"email": "A+B@Example.ORG"}, {"read", "deploy"}),
        ("a+b@example.org", {"email": "a+b@example.org"}, ALL),
        ("a=b@example.org=read", {"email": "a=b@example.org"}, {"read"}),
        (" role:ops = read + destroy , ", {"role": "ops"}, {"read", "destroy"}),
        ("role:ops=read,role:ops=deploy", {"role": "ops"}, {"read", "deploy"}),
        (
            f"{ID}=read,a@example.org=deploy,role:ops=destroy",
            {"user_id": ID, "email": "a@example.org", "role": "ops"},
            ALL,
        ),
        ("role:ops", {"role": "OPS"}, set()),
        ("role:ops", {"email": "role:ops"}, set()),
        ("role:ops", {"user_id": "role:ops", "role": "x"}, ALL),
        ("k@example.org", {"email": "\u212a@example.org"}, set()),
        ("a@example.org", {"email": "a@example.org.evil.example"}, set()),
        ("a@example.org", {"role": "a@example.org"}, set()),
        ("", {"user_id": ID, "email": "a@example.org", "role": "ops"}, set()),
        (" , ,", {"user_id": ID, "email": "", "role": ""}, set()),
    ],
)
def test_scopes_of_matching_entries_add_up(
    text: str, who: dict[str, str], scopes: set[str]
) -> None:
    """Ids, addresses (in any case) and roles give the scopes that their entries name."""
    facts = {"user_id": str(uuid.uuid4()), "email": "", "role": "", **who}
    assert AllowList.parse(text).scopes(**facts) == scopes


@pytest.mark.parametrize(
    "text",
    [
        "ann",
        "*",
        "@example.org",
        "ann@",
        "ann@exa mple.org",
        "a@b@c",
        "role:",
        "role:a b",
        "role:ops=",
        "role:ops=write",
        "role:ops=read+",
        "role:ops=read;deploy",
        "=read",
        "ROLE:ops",
        f"{uuid.UUID(int=0)}",
        f"{ID}=READ",
        "j\u00fcrg@example.org",
        f"{ID[:-1]}",
        f"{ID} {ID}",
        "a@example.org b@example.org",
    ],
)
def test_bad_entry_is_an_error_at_the_start(text: str) -> None:
    """A typing mistake stops the server with the entry, the grammar and what to do."""
    with pytest.raises(ConfigError) as caught:
        Gate(Settings(IAC_ADMIN_USERS=f"role:good=read,{text}"))
    error = caught.value
    assert (error.where, error.found) == ("IAC_ADMIN_USERS", repr(text))
    assert error.expected
    assert error.next_step


@pytest.mark.parametrize("mutating", [False, True])
def test_empty_list_lets_only_the_service_role_in(server: AuthServer, mutating: bool) -> None:
    """A good token of a user is 403 while the list is empty."""
    found = lab(server, "")
    token = server.sign_in(server.add_user("ann@example.org"))
    problem = found.refusal(token, mutating=mutating)
    assert (problem.status, problem.code) == (403, "not-allowed")
    assert "IAC_ADMIN_USERS" in problem.extra["next_step"]
    assert found.ask(server.service_key, mutating=mutating).scopes == ALL


@pytest.mark.parametrize("mutating", [False, True])
def test_only_app_metadata_gives_a_role(server: AuthServer, mutating: bool) -> None:
    """The role in app_metadata counts; the one that users write themselves does not."""
    found = lab(server, "role:ops=read+deploy")
    good = server.add_user("a@example.org", app_metadata={"iac_role": "ops"})
    own = server.add_user("b@example.org", user_metadata={"iac_role": "ops"})
    other: dict[str, Any] = {"app_metadata": {"iac_role": ["ops"], "role": "ops"}}
    assert found.ask(server.sign_in(good), mutating=mutating).scopes == {"read", "deploy"}
    for user in (own, server.add_user("c@example.org", **other)):
        assert found.refusal(server.sign_in(user), mutating=mutating).status == 403


@pytest.mark.parametrize("mutating", [False, True])
def test_address_counts_only_when_confirmed(server: AuthServer, mutating: bool) -> None:
    """Whoever signs up with a listed address must have confirmed it; reads ask for that, too."""
    found = lab(server, "ann@example.org=read")
    stranger = server.add_user("Ann@example.org", confirmed=False)
    assert found.refusal(server.sign_in(stranger), mutating=mutating).status == 403
    ann = server.add_user("ANN@example.org")
    assert found.ask(server.sign_in(ann), mutating=mutating).scopes == {"read"}
    assert server.count(USER) == 2


def test_address_in_a_token_is_not_enough(server: AuthServer) -> None:
    """The server's address decides, not the one that was in the token when it was signed."""
    found = lab(server, "ann@example.org")
    user = server.add_user("mallory@example.org")
    token = server.sign(server.claims(user, email="ann@example.org"))
    assert found.refusal(token).status == 403
    assert found.refusal(token, mutating=True).status == 403


def test_role_taken_away_counts_for_the_next_mutating_call() -> None:
    """The server's app_metadata decide a mutating call, though the token still has the old ones."""
    with AuthServer("ES256") as server:
        found = lab(server, "role:ops")
        user = server.add_user("a@example.org", app_metadata={"iac_role": "ops"})
        token = server.sign_in(user)
        assert found.ask(token, mutating=True).scopes == ALL
        user.app_metadata = {}
        assert found.refusal(token, mutating=True).status == 403
