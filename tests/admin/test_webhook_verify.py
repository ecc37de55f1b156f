"""Deliveries as the three hosts send them: signatures over the raw body, then the payload."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from admin.problem import Problem
from admin.webhooks.delivery import Delivery, verify
from admin.webhooks.push import Host, Ref
from iac_wrapper.settings import Settings

KEY = bytes(range(32))
SIGNING = "whsec_" + base64.b64encode(KEY).decode()
SETTINGS = Settings(
    GITHUB_WEBHOOK_SECRET="s3cret-of-github",
    GITLAB_WEBHOOK_TOKEN="t0ken-öf-gitlab",
    BITBUCKET_WEBHOOK_SECRET="s3cret-of-bitbucket",
)
SIGNED = Settings(GITLAB_WEBHOOK_TOKEN=SIGNING)
NOW = 1_800_000_000.0

GITHUB: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": "1" * 40,
    "after": "2" * 40,
    "created": False,
    "deleted": False,
    "repository": {
        "full_name": "Owner/repo",
        "html_url": "https://github.com/Owner/repo",
        "clone_url": "https://github.com/Owner/repo.git",
        "ssh_url": "git@github.com:Owner/repo.git",
        "default_branch": "main",
        "pushed_at": 1_800_000_000,
    },
}
GITLAB: dict[str, Any] = {
    "object_kind": "push",
    "before": "1" * 40,
    "after": "2" * 40,
    "ref": "refs/heads/feature/x",
    "project": {
        "path_with_namespace": "group/sub/repo",
        "web_url": "https://gitlab.example.org/group/sub/repo",
        "git_http_url": "https://gitlab.example.org/group/sub/repo.git",
        "git_ssh_url": "git@gitlab.example.org:group/sub/repo.git",
        "default_branch": "main",
    },
}
BITBUCKET: dict[str, Any] = {
    "push": {
        "changes": [
            {"new": {"type": "branch", "name": "main"}, "old": None, "created": True},
            {"new": None, "old": {"type": "tag", "name": "v1"}, "closed": True},
            {"new": {"type": "bookmark", "name": "hg"}, "old": None},
        ]
    },
    "repository": {
        "full_name": "owner/repo",
        "links": {"html": {"href": "https://bitbucket.org/owner/repo"}},
    },
}


def encode(payload: object) -> bytes:
    return json.dumps(payload).encode()


def github(body: bytes, *, event: str = "push", key: str = "s3cret-of-github") -> dict[str, str]:
    digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-Hub-Signature-256": f"sha256={digest}",
    }


def gitlab(*, event: str = "Push Hook", uuid: str = "u1", retry: str = "i1") -> dict[str, str]:
    token = "t0ken-öf-gitlab".encode().decode("latin-1")  # as WSGI hands it over
    return {
        "X-Gitlab-Event": event,
        "X-Gitlab-Token": token,
        "X-Gitlab-Event-UUID": uuid,
        "Idempotency-Key": retry,
    }


def standard(body: bytes, *, identity: str = "msg_1", at: float = NOW) -> dict[str, str]:
    signed = f"{identity}.{at:.0f}.".encode() + body
    digest = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    return {
        "X-Gitlab-Event": "Push Hook",
        "webhook-id": identity,
        "webhook-timestamp": f"{at:.0f}",
        "webhook-signature": f"v1,{digest}",
    }


def bitbucket(body: bytes, *, event: str = "repo:push") -> dict[str, str]:
    digest = hmac.new(b"s3cret-of-bitbucket", body, hashlib.sha256).hexdigest()
    return {"X-Event-Key": event, "X-Hub-Signature": f"sha256={digest}"}


def take(
    host: Host, headers: dict[str, str], body: bytes, settings: Settings = SETTINGS
) -> Delivery:
    return verify(host, headers, body, settings, clock=lambda: NOW)


def refusal(
    host: Host, headers: dict[str, str], body: bytes, settings: Settings = SETTINGS
) -> Problem:
    with pytest.raises(Problem) as caught:
        take(host, headers, body, settings)
    return caught.value


def test_a_known_signature_of_github() -> None:
    """The example in GitHub's documentation on validating deliveries."""
    headers = {
        "X-GitHub-Event": "ping",
        "X-Hub-Signature-256": "sha256="
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    }
    settings = Settings(GITHUB_WEBHOOK_SECRET="It's a Secret to Everybody")
    assert take("gh", headers, b"Hello, World!", settings).push is None


def test_a_push_to_github() -> None:
    """Repository, branch, default branch and clone URLs; header names in any case."""
    body = encode(GITHUB)
    found = take("gh", {name.lower(): v for name, v in github(body).items()}, body)
    assert found.push
    assert found.push.repository == "Owner/repo"
    assert found.push.refs == (Ref("branch", "main", deleted=False),)
    assert found.push.default_branch == "main"
    assert "git@github.com:Owner/repo.git" in found.push.urls


def test_a_push_to_gitlab() -> None:
    """Groups in the path, slashes in the branch; a tag that is gone has an after of zeros."""
    push = take("gl", gitlab(), encode(GITLAB)).push
    assert push
    assert push.repository == "group/sub/repo"
    assert push.refs == (Ref("branch", "feature/x", deleted=False),)
    gone = encode({**GITLAB, "ref": "refs/tags/v1", "after": "0" * 40})
    push = take("gl", gitlab(event="Tag Push Hook"), gone).push
    assert push
    assert push.refs == (Ref("tag", "v1", deleted=True),)


def test_a_push_to_bitbucket() -> None:
    """Several changes at once; the default branch is not told."""
    body = encode(BITBUCKET)
    push = take("bb", bitbucket(body), body).push
    assert push
    assert push.refs == (Ref("branch", "main", deleted=False), Ref("tag", "v1", deleted=True))
    assert push.default_branch is None
    assert push.urls == ("https://bitbucket.org/owner/repo",)


@pytest.mark.parametrize("event", ["ping", "pull_request", ""])
def test_other_events_do_nothing(event: str) -> None:
    """A verified delivery of another event is answered with the reason, and not read further."""
    found = take("gh", github(b"no json", event=event), b"no json")
    assert found.push is None
    assert event in found.reason
    assert "deploys nothing" in found.reason


@pytest.mark.parametrize(
    ("host", "setting"),
    [
        ("gh", "GITHUB_WEBHOOK_SECRET"),
        ("gl", "GITLAB_WEBHOOK_TOKEN"),
        ("bb", "BITBUCKET_WEBHOOK_SECRET"),
    ],
)
def test_without_a_secret_there_is_no_webhook(host: Host, setting: str) -> None:
    """Not configured is 404 and names the setting, also for an empty signature's HMAC."""
    headers = {**github(b"{}", key=""), "X-Gitlab-Token": ""}
    found = refusal(host, headers, b"{}", Settings())
    assert (found.status, found.code) == (404, "webhook-not-configured")
    assert setting in found.detail


def test_wrong_signatures_are_refused() -> None:
    """Another secret, a changed body, none, the old SHA-1 form alone, and non-ASCII rubbish."""
    body = encode(GITHUB)
    good = github(body)
    sha1 = hmac.new(b"s3cret-of-github", body, hashlib.sha1).hexdigest()
    for headers, sent in (
        (github(body, key="other"), body),
        (good, body + b" "),
        ({"X-GitHub-Event": "push"}, body),
        ({"X-GitHub-Event": "push", "X-Hub-Signature": f"sha1={sha1}"}, body),
        ({**good, "X-Hub-Signature-256": f"sha1={sha1}"}, body),
        ({**good, "X-Hub-Signature-256": "sha256=é€"}, body),
        ({**good, "X-Hub-Signature-256": good["X-Hub-Signature-256"] * 2}, body),
    ):
        found = refusal("gh", headers, sent)
        assert (found.status, found.code) == (401, "bad-signature")
        assert "WWW-Authenticate" in found.headers
        assert "s3cret" not in json.dumps(found.body())


def test_bitbucket_and_gitlab_refuse_strangers() -> None:
    """Their own headers only: one host's proof is none for another."""
    body = encode(BITBUCKET)
    good = bitbucket(body)
    assert refusal("bb", {**good, "X-Hub-Signature": "sha1=00"}, body).status == 401
    moved = {"X-Event-Key": "repo:push", "X-Hub-Signature-256": good["X-Hub-Signature"]}
    assert refusal("bb", moved, body).status == 401
    assert refusal("gl", {**gitlab(), "X-Gitlab-Token": "t0ken"}, encode(GITLAB)).status == 401
    assert refusal("gl", github(body), body).status == 401


def test_a_signed_gitlab_delivery() -> None:
    """The newer form of GitLab; one good signature of several is enough (a key is rotated)."""
    body = encode(GITLAB)
    headers = standard(body)
    assert take("gl", headers, body, SIGNED).push
    headers["webhook-signature"] = "v1,AAAA v1a,other " + headers["webhook-signature"]
    assert take("gl", headers, body, SIGNED).push


def test_a_signing_token_allows_nothing_weaker() -> None:
    """No signature, the token in the clear, an old or mangled timestamp, another id: refused."""
    body = encode(GITLAB)
    good = standard(body)
    for headers in (
        {**gitlab(), "X-Gitlab-Token": SIGNING},
        standard(body, at=NOW - 301),
        standard(body, at=NOW + 301),
        {**good, "webhook-timestamp": "soon"},
        {**good, "webhook-id": "msg_2"},
        {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
    ):
        assert refusal("gl", headers, body, SIGNED).code == "bad-signature"
    timeless = base64.b64encode(hmac.new(KEY, b"msg_1.x." + body, hashlib.sha256).digest())
    headers = {**good, "webhook-timestamp": "x", "webhook-signature": f"v1,{timeless.decode()}"}
    assert refusal("gl", headers, body, SIGNED).code == "bad-signature"


@pytest.mark.parametrize("token", ["whsec_", "whsec_no base64!"])
def test_a_broken_signing_token_is_named(token: str) -> None:
    """An empty key would let everybody in."""
    body = encode(GITLAB)
    found = refusal("gl", standard(body), body, Settings(GITLAB_WEBHOOK_TOKEN=token))
    assert (found.status, found.code) == (404, "webhook-not-configured")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"payload=%7B%7D",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'"text"',
        encode({**GITHUB, "ref": "main"}),
        encode({**GITHUB, "ref": 7}),
        encode({**GITHUB, "repository": None}),
    ],
)
def test_malformed_payloads(payload: bytes) -> None:
    """A signed body that is no push of this host is 400, never a crash."""
    for host, headers in (
        ("gh", github(payload)),
        ("gl", gitlab()),
        ("bb", bitbucket(payload)),
    ):
        found = refusal(host, headers, payload)  # type: ignore[arg-type]
        assert (found.status, found.code) == (400, "bad-payload")


def test_refs_of_other_kinds_concern_nobody() -> None:
    """refs/notes and the like are a push without branches or tags."""
    body = encode({**GITHUB, "ref": "refs/notes/commits"})
    push = take("gh", github(body), body).push
    assert push
    assert push.refs == ()


def test_the_key_stands_on_what_is_signed() -> None:
    """An unsigned delivery id does not make a replay a new delivery; a signed id does."""
    body = encode(GITHUB)
    again = {**github(body), "X-GitHub-Delivery": "another"}
    assert take("gh", github(body), body).key == take("gh", again, body).key
    other = encode({**GITHUB, "after": "3" * 40})
    assert take("gh", github(body), body).key != take("gh", github(other), other).key
    lab = encode(GITLAB)
    assert take("gl", gitlab(), lab).key != take("gl", gitlab(uuid="u2"), lab).key
    assert take("gl", gitlab(), lab).key != take("gl", gitlab(retry="i2"), lab).key
    first, later = standard(lab), standard(lab, at=NOW + 60)
    assert take("gl", first, lab, SIGNED).key == take("gl", later, lab, SIGNED).key
    second = standard(lab, identity="msg_2")
    assert take("gl", first, lab, SIGNED).key != take("gl", second, lab, SIGNED).key
