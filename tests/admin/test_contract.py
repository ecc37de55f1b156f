"""The document as the judge of requests, and the frame's own bounds on bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.datastructures import Headers, MultiDict

from admin import contract
from admin.call import MAX_BODY_BYTES
from admin.contract import MAX_ERRORS
from admin.problem import Problem
from iac_wrapper.adapters import workspace_lock
from tests.support.admin_api import PROJECT, Api, Client, code

OPERATIONS = {operation.id: operation for operation in contract.operations()}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client(shared_api: Api) -> Iterator[Client]:
    """Deploys of it that fit end with 409."""
    with workspace_lock.hold(shared_api.layout.project(PROJECT), "iac deploy"):
        yield shared_api.socket()


def misfit(value: Any, operation: str = "deploy") -> list[dict[str, str]]:
    with pytest.raises(Problem) as caught:
        OPERATIONS[operation].read_body(json.dumps(value).encode())
    assert caught.value.status == 400
    errors: list[dict[str, str]] = caught.value.extra["errors"]
    return errors


@pytest.mark.parametrize(
    ("query", "value"),
    [("wait=0", 0), ("wait=3600", 3600), ("wait=1.5", 1.5), ("wait=5e-3", 0.005)],
)
def test_numbers(query: str, value: float) -> None:
    """As JSON writes them."""
    name, _, text = query.partition("=")
    found = OPERATIONS["deploy"].read_parameters({}, MultiDict({name: text}), Headers())
    assert found["wait"] == value


@pytest.mark.parametrize("text", ["-1", "3601", "nan", "inf", "1e999", "1_0", "0x1", "", " 1", "٣"])
def test_numbers_that_do_not_fit(client: Client, text: str) -> None:
    """Out of bounds, or none at all."""
    answer = client.post("/deploy", params={"wait": text}, json={"slugs": ["gh:o/r"]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "wait")


@pytest.mark.parametrize("text", ["True", "1", "yes", ""])
def test_booleans_that_do_not_fit(client: Client, text: str) -> None:
    """They are true and false."""
    assert client.get("/services/web/logs", params={"follow": text}).status_code == 400


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"slugs": []}, "/slugs"),
        ({"slugs": ["gh:o/r"], "apps": ["gh:o/r"]}, ""),
        ({"slugs": ["gh:o/r"], "x": 1}, ""),
        ({"slugs": ["gh:o/r", 1]}, "/slugs/1"),
        ({"slugs": ["x" * 1025]}, "/slugs/0"),
        ({"slugs": ["gh:o/r"] * 501}, "/slugs"),
        ({"slugs": ["gh:o/r"], "dry_run": "true"}, "/dry_run"),
        ({"slugs": ["gh:o/r"], "project": "demo\n"}, "/project"),
        ({"apps": [{"slug": "gh:o/r", "port": 0}]}, "/apps/0/port"),
        ({"apps": [{"slug": "gh:o/r", "env": {"A": None}}]}, "/apps/0/env/A"),
        ({"apps": [{"name": "x"}]}, "/apps/0"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_bodies_that_do_not_fit(body: Any, pointer: str) -> None:
    """The error points at the deepest place that is wrong."""
    assert [error["pointer"] for error in misfit(body)] == [pointer]


@pytest.mark.parametrize("body", [[], None, "gh:o/r", 1, True])
def test_bodies_that_are_no_objects(body: Any) -> None:
    """Every part of the schema that they do not fit is named."""
    assert {error["pointer"] for error in misfit(body)} == {""}


def test_the_document_explains_in_its_own_words() -> None:
    """Where a list of alternatives says nothing to a person."""
    assert misfit({})[0]["detail"] == "name slugs or apps, one of them"
    assert misfit({"confirm": 1}, "destroy")[0]["detail"] == "1 is not of type string"


def test_not_every_error_is_listed_and_none_in_full() -> None:
    """A request of 1 MiB that is wrong everywhere is refused quickly."""
    errors = misfit({"slugs": [0] * 100_000})
    assert len(errors) == MAX_ERRORS
    assert errors[0]["detail"] == "100000 items, at most 500 are allowed"
    assert max(len(error["detail"]) for error in errors) <= 300


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"slugs": ["a"], "slugs": ["b"]}',
        b'{"slugs": ["a"], "port": NaN}',
        b'{"x": Infinity}',
        b'{"x": 1e999}',
        b'{"x": "\\ud800"}',
        b'\xff{"x": 1}',
        b"1" * 5000,
        b'{"slugs": ["gh:o/r"]} x',
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_not_json(client: Client, data: bytes) -> None:
    """Nor what other parsers might read in another way: a key twice, half a surrogate pair."""
    answer = client.post("/deploy", data=data, headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (400, "the body is not JSON")


@pytest.mark.parametrize("depth", [50, 300, 500, 700, 800, 900, 950, 1000, 20_000, 400_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting(client: Client, depth: int, brackets: tuple[str, str]) -> None:
    """Is refused, at whichever depth a parser, a validator or a message gives up."""
    opening, closing = brackets
    data = opening * depth + "1" + closing * depth
    nested = f'{{"apps": [{{"slug": "gh:o/r", "env": {{"A": {data}}}}}]}}'
    for body in (data, nested):
        if len(body) <= MAX_BODY_BYTES:
            answer = client.post("/deploy", data=body, headers=JSON)
            assert answer.status_code == 400


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ],
)
def test_bodies_that_are_not_announced_as_json(client: Client, kind: str | None) -> None:
    """What a page of a browser could send without asking is not read."""
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post("/deploy", data=b'{"slugs": ["gh:o/r"]}', headers=headers)
    assert (answer.status_code, code(answer)) == (415, "not-json")


def test_json_with_parameters_is_json(client: Client) -> None:
    """A charset is allowed, and the bytes decide."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = client.post("/deploy", data=b'{"slugs": ["gh:o/r"]}', headers=headers)
    assert answer.status_code == 409


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/deploy", "/webhooks/github"])
def test_bodies_have_a_bound(shared_api: Api, *, chunked: bool, path: str) -> None:
    """1 MiB and not a byte more, with or without a length."""
    body = b" " * (MAX_BODY_BYTES + 1)
    answer = shared_api.http("service").post(
        path, data=iter([body[:1000], body[1000:]]) if chunked else body, headers=JSON
    )
    assert (answer.status_code, code(answer)) == (413, "request-entity-too-large")


def test_a_body_of_just_the_bound(client: Client) -> None:
    """Is read."""
    body = b'{"slugs": ["gh:o/r"]}'.ljust(MAX_BODY_BYTES)
    assert client.post("/deploy", data=body, headers=JSON).status_code == 409


def test_media_types_that_are_not_offered(client: Client) -> None:
    """406 before anything is started, with what there is."""
    for path in ("/deploy", "/plan"):
        answer = client.post(path, json={"slugs": ["gh:o/r"]}, headers={"Accept": "text/html"})
        assert (answer.status_code, code(answer)) == (406, "not-acceptable")
        assert "text/event-stream" in answer.json()["expected"]
    assert client.get("/deployments").json() == {"deployments": []}
