"""The frame around every operation: routes, scopes, headers, problems."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from admin import contract
from admin.app import HEADERS, create_app
from admin.contract import Operation
from admin.jobs.jobs import Jobs
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import CommandError
from tests.support.admin_api import PROJECT, Api, Client, admin_api, code

OPERATIONS = {operation.id: operation for operation in contract.operations()}
SCOPED = [o for o in OPERATIONS.values() if o.access not in ("public", "signature")]
UNKNOWN = "20260101T000000-00000000"
SCOPES = {"reader": {"read"}, "deployer": {"read", "deploy"}}
BODIES: dict[str, Any] = {
    "deploy": {"slugs": ["gh:o/r"]},
    "plan": {"slugs": ["gh:o/r"]},
    "rollback": {"services": ["web"]},
    "destroy": {"confirm": "not-this-one"},
}
ALLOWED = {
    "deploy": 409,
    "plan": 409,
    "rollback": 409,
    "removeService": 409,
    "destroy": 422,
    "resume": 404,
    "cancel": 404,
    "getDeployment": 404,
    "getEvents": 404,
    "getRelease": 404,
    "getDifference": 404,
    "getService": 404,
    "getLogs": 404,
}
"""What those get who may: the project is held, and nothing else is there. Others: 200."""


@pytest.fixture(scope="module", autouse=True)
def held(shared_api: Api) -> Iterator[None]:
    with workspace_lock.hold(shared_api.layout.project(PROJECT), "iac deploy"):
        yield


def call(client: Client, operation: Operation, method: str | None = None) -> requests.Response:
    path = operation.path.format(id=UNKNOWN, name="web", host="github", number=1, other=2)
    return client.request(method or operation.method, path, json=BODIES.get(operation.id))


def test_the_routes_are_the_document(shared_api: Api) -> None:
    """Nothing can be reached that the document does not have, and everything that it has."""
    app = create_app(shared_api.backend)
    routed = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert routed == {(o.method, o.path) for o in OPERATIONS.values()}


@pytest.mark.parametrize("operation", SCOPED, ids=lambda o: o.id)
def test_scopes(shared_api: Api, operation: Operation) -> None:
    """No token: 401; a scope too few: 403 that names it; else the operation answers."""
    answer = call(shared_api.http(), operation)
    assert (answer.status_code, code(answer)) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    for who in ("reader", "deployer", "boss", "service"):
        answer = call(shared_api.http(who), operation)
        if operation.access in {"by-kind", *SCOPES.get(who, ("read", "deploy", "destroy"))}:
            assert answer.status_code == ALLOWED.get(operation.id, 200), answer.text
        else:
            assert (answer.status_code, code(answer)) == (403, "insufficient-scope")
            assert f'scope="{operation.access}"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/health", "/openapi.json"])
def test_public_operations(shared_api: Api, path: str) -> None:
    """Anybody may ask whether it lives and what it can do; a bad token does not matter."""
    assert shared_api.http().get(path).status_code == 200
    assert Client(shared_api.url, "bad").get(path).status_code == 200


def test_a_user_on_no_list_gets_nothing(shared_api: Api) -> None:
    """Signed in is not allowed."""
    answer = shared_api.http("stranger").get("/services")
    assert (answer.status_code, code(answer)) == (403, "not-allowed")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health/",
        "/HEALTH",
        "/services/",
        "/services/web/",
        "/services//logs",
        "/webhooks/",
        "/services/web/logs/more",
        "/deployments/",
        "/static/x",
        "/deploy/x",
        "/a%2Fb",
        "/%F0%9F",
    ],
)
def test_other_addresses(shared_api: Api, path: str) -> None:
    """They are not there, and strangers are not even told that; nobody is sent elsewhere."""
    assert shared_api.http().get(path).status_code == 401
    assert shared_api.http("reader").get(path).status_code == 404


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "PATCH", "PUT", "POST"])
def test_other_methods(shared_api: Api, method: str) -> None:
    """405 says which method it would be, to those with a token."""
    assert shared_api.http().request(method, "/services").status_code == 401
    answer = shared_api.http("reader").request(method, "/services")
    assert (answer.status_code, code(answer)) == (405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS.values() if o.method == "GET"], ids=lambda o: o.id
)
def test_head(shared_api: Api, operation: Operation) -> None:
    """HEAD is GET without the body, and opens no stream."""
    get = call(shared_api.http("service"), operation)
    head = call(shared_api.http("service"), operation, "HEAD")
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert shared_api.streams() == 0


def test_every_answer_has_the_security_headers(shared_api: Api) -> None:
    """Good or bad; each with an id of its own, which a problem repeats."""
    reader = shared_api.http("reader")
    answers = [
        reader.get("/health"),
        reader.get("/nowhere"),
        reader.post("/services"),
        reader.post("/deploy", json={}),
        reader.get("/services?x=1"),
        shared_api.http().get("/services"),
        reader.get("/health", headers={"Origin": "https://evil.example"}),
        reader.get("/health", headers={"Host": "evil.example"}),
    ]
    for answer in answers:
        assert HEADERS.items() <= answer.headers.items()
        assert not {h for h in answer.headers if h.startswith("Access-Control-")}
        if answer.status_code >= 400:
            assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "project=demo&project=demo",
        "Project=demo",
        "project=",
        "project=-",
        "project=%0A",
        "project=demo%0A",
        "project=%FF",
    ],
)
def test_parameters_that_do_not_fit(shared_api: Api, query: str) -> None:
    """Unknown, given twice or malformed: 400 that points at the parameter."""
    answer = shared_api.http("reader").get(f"/services?{query}")
    assert (answer.status_code, code(answer)) == (400, "bad-request")
    assert answer.json()["errors"][0]["pointer"] == query.partition("=")[0]


def test_a_name_that_is_reserved(shared_api: Api) -> None:
    """The folder of build secrets is no project."""
    answer = shared_api.http("reader").get("/services?project=build")
    assert (answer.status_code, answer.json()["where"]) == (422, "project")


def test_metrics_count_requests_by_route(shared_api: Api) -> None:
    """A route's template, never its path; refusals by their reason."""
    service = shared_api.http("service")
    service.get(f"/deployments/{UNKNOWN}")
    text = service.get("/metrics").text
    assert 'iac_http_requests_total{method="GET",route="/deployments/<id>",status="404"}' in text
    assert UNKNOWN not in text
    assert 'iac_auth_failures_total{reason="unauthenticated"}' in text


def test_requests_before_the_start_and_after_the_end_are_put_off(tmp_path: Path) -> None:
    """A deployment that an earlier server began is not called unknown while it is taken up."""
    with admin_api(tmp_path, start=False) as api:
        for client in (api.http("service"), api.socket()):
            assert client.get("/health").status_code == 200
            for answer in (
                client.get(f"/deployments/{UNKNOWN}"),
                client.post("/destroy", json={"confirm": PROJECT}),
                client.post("/webhooks/github", json={}),
            ):
                assert (answer.status_code, code(answer)) == (503, "not-serving")
                assert answer.headers["Retry-After"] == "1"
        api.backend.start()
        assert api.socket().get(f"/deployments/{UNKNOWN}").status_code == 404
        api.backend.close()
        answer = api.socket().post("/destroy", json={"confirm": PROJECT})
        assert (answer.status_code, code(answer)) == (503, "not-serving")


def test_a_job_asked_for_while_the_server_stops_is_put_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a request that had come in before."""
    check = api.backend.jobs.submit

    def late(*args: Any, **more: Any) -> Any:
        api.backend.close()
        return check(*args, **more)

    monkeypatch.setattr(api.backend.jobs, "submit", late)
    answer = api.socket().post("/destroy", json={"confirm": PROJECT})
    assert (answer.status_code, code(answer)) == (503, "not-serving")


def test_a_bug_shows_no_details(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets an id; the log has the traceback beside it."""

    def fail(_jobs: Jobs, **_more: Any) -> Any:
        raise RuntimeError("sentinel")

    monkeypatch.setattr(Jobs, "list", fail)
    answer = api.socket().get("/deployments")
    assert (answer.status_code, code(answer)) == (500, "internal")
    assert "sentinel" not in answer.text
    record = next(r for r in caplog.records if answer.headers["X-Request-Id"] in r.getMessage())
    assert record.levelno == logging.ERROR
    assert "sentinel" in caplog.text


def test_an_error_of_the_machine_is_logged_without_secrets(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a person needs is in the answer and in the log; secrets are in neither."""

    def fail(_jobs: Jobs, **_more: Any) -> Any:
        raise CommandError("the disk is odd", found=f"key {api.auth.service_key}")

    monkeypatch.setattr(Jobs, "list", fail)
    answer = api.socket().get("/deployments")
    assert (answer.status_code, answer.json()["detail"]) == (500, "the disk is odd")
    assert "the disk is odd" in caplog.text
    assert api.auth.service_key not in caplog.text + answer.text
