"""Pushes over HTTP: what they redeploy, and what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from iac_wrapper.adapters import workspace_lock
from tests.admin.test_webhook_verify import GITHUB, encode, github
from tests.support.admin_api import PROJECT, Api, admin_api, check_schema, code, wait_for
from tests.support.deployed import app, deployed

pytestmark = pytest.mark.slow

KEY = "s3cret-of-github"


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Api]:
    """Two services of the repository's default branch, one of another ref."""
    with admin_api(tmp_path, GITHUB_WEBHOOK_SECRET=KEY) as made:
        deployed(
            made.layout,
            app("web", "gh:owner/repo"),
            app("jobs", "gh:owner/repo#main:jobs"),
            app("old", "gh:owner/repo#v1"),
        )
        yield made


def push(api: Api, path: str = "/webhooks/github", **more: Any) -> requests.Response:
    event, key = more.pop("event", "push"), more.pop("key", KEY)
    body = encode({**GITHUB, **more})
    headers = {**github(body, event=event, key=key), "Content-Type": "application/json"}
    return api.http().post(path, data=body, headers=headers)


def test_a_push_redeploys_the_services_it_concerns(hooked: Api) -> None:
    """Without a token: the signature says who it is. The audit has the repository."""
    with workspace_lock.hold(hooked.layout.project(PROJECT), "iac deploy"):
        answer = push(hooked)
        assert answer.status_code == 202
        shown = answer.json()
        check_schema("Deployment", shown)
        assert (shown["kind"], shown["status"]) == ("deploy", "queued")
        assert shown["request"] == {"services": ["jobs", "web"]}
        assert answer.headers["Location"] == shown["links"]["self"]
        actor = {"kind": "webhook", "id": "github", "name": "Owner/repo", "via": "http"}
        assert shown["actor"] == {**actor, "peer": "127.0.0.1"}
        line = hooked.audited(action="webhook", outcome="accepted")
        assert (line["actor"], line["deployment"]) == (shown["actor"], shown["id"])
        ended = hooked.http("deployer").post(shown["links"]["cancel"]).json()
        again = hooked.http("deployer").post(f"{ended['links']['resume']}?wait=60")
        assert again.json()["request"] == shown["request"]
        hooked.http("deployer").post(again.json()["links"]["cancel"])


def test_a_push_starts_a_worker_when_the_project_is_free(hooked: Api) -> None:
    """Which then finds what is deployed; the answer is JSON whatever the host accepts."""
    body = encode(GITHUB)
    headers = {**github(body), "Content-Type": "application/json", "Accept": "text/html"}
    answer = hooked.http().post("/webhooks/github", data=body, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (202, "application/json")
    assert wait_for(hooked.http("reader"), answer.json())["status"] == "failed"


def test_a_delivery_is_taken_once(hooked: Api) -> None:
    """Also by the next server; another push of the same ref is another delivery."""
    with workspace_lock.hold(hooked.layout.project(PROJECT), "iac deploy"):
        assert push(hooked).status_code == 202
        answer = push(hooked)
        assert (answer.status_code, code(answer)) == (409, "replayed")
        assert push(hooked, after="3" * 40).status_code == 202
        for job in hooked.backend.jobs.list(status="queued"):
            hooked.backend.jobs.cancel(job.id)


def test_pushes_that_wait_become_one_deployment(hooked: Api) -> None:
    """A queued one will see all of them; another ref is another matter."""
    with workspace_lock.hold(hooked.layout.project(PROJECT), "iac deploy"):
        ids = [push(hooked, after=str(n) * 40).json()["id"] for n in range(5)]
        assert len(set(ids)) == 1
        other = push(hooked, ref="refs/tags/v1").json()
        assert other["request"] == {"services": ["old"]}
        assert other["id"] != ids[0]
        for job in hooked.backend.jobs.list(status="queued"):
            hooked.backend.jobs.cancel(job.id)


@pytest.mark.parametrize(
    "change",
    [
        {"event": "ping"},
        {"event": "issues"},
        {"ref": "refs/heads/other"},
        {"deleted": True},
        {"repository": {**GITHUB["repository"], "full_name": "owner/other"}},
    ],
    ids=str,
)
def test_pushes_that_concern_nobody(hooked: Api, change: dict[str, Any]) -> None:
    """200 and why, so that the host does not send them again; nothing is started."""
    answer = push(hooked, **change)
    assert answer.status_code == 200
    check_schema("Ignored", answer.json())
    assert hooked.socket().get("/deployments").json() == {"deployments": []}


def test_other_projects(hooked: Api) -> None:
    """The address says which project a webhook is for."""
    assert (
        "no service of project other"
        in push(hooked, "/webhooks/github?project=other").json()["ignored"]
    )
    assert push(hooked, "/webhooks/github?project=build").status_code == 422
    assert push(hooked, "/webhooks/github?x=1").status_code == 400
    assert push(hooked, "/webhooks/sourcehut").status_code == 400


def test_forgeries_are_counted(hooked: Api) -> None:
    """401 before anything is read, 429 after ten of them; genuine ones are not kept out."""
    for _ in range(10):
        answer = push(hooked, key="guess")
        assert (answer.status_code, code(answer)) == (401, "bad-signature")
        assert answer.headers["WWW-Authenticate"] == "Webhook-Signature"
    assert push(hooked, key="guess").status_code == 429
    assert push(hooked, event="ping").status_code == 200
    assert hooked.http("reader").get("/services").status_code == 429
    assert hooked.audited(action="webhook", status=401)["actor"] is None
    assert hooked.socket().get("/deployments").json() == {"deployments": []}


def test_a_signature_opens_nothing_else(hooked: Api) -> None:
    """It proves a push, not a caller."""
    body = encode({"confirm": PROJECT})
    headers = {**github(body), "Content-Type": "application/json"}
    assert hooked.http().post("/destroy", data=body, headers=headers).status_code == 401


def test_payloads_that_are_none(hooked: Api) -> None:
    """Signed nonsense is refused, and does not count as a forgery."""
    for body in (b"{}", b"[", b'"x"'):
        headers = {**github(body), "Content-Type": "application/json"}
        answer = hooked.http().post("/webhooks/github", data=body, headers=headers)
        assert (answer.status_code, code(answer)) == (400, "bad-payload")


@pytest.mark.parametrize("host", ["github", "gitlab", "bitbucket"])
def test_webhooks_that_are_not_set_up(api: Api, host: str) -> None:
    """404 that names the setting; without a secret nothing can be proven."""
    answer = api.http().post(f"/webhooks/{host}", json={})
    assert (answer.status_code, code(answer)) == (404, "webhook-not-configured")
    assert host.upper() in answer.json()["next_step"]


def test_a_browser_cannot_push(hooked: Api) -> None:
    """Origin and Host are looked at here as everywhere."""
    body = encode(GITHUB)
    for extra in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        headers = {**github(body), "Content-Type": "application/json", **extra}
        answer = hooked.http().post("/webhooks/github", data=body, headers=headers)
        assert answer.status_code in (400, 403)
