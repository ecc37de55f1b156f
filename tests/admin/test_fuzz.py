"""Schemathesis plays the served document against the real server: no 5xx, nothing undocumented.

A few examples of each operation, always the same ones; FUZZ_EXAMPLES=300 in the environment makes
it more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from admin import contract
from iac_wrapper.adapters import workspace_lock
from tests.support.admin_api import PROJECT, Api, Client
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import FakeContainer

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PLAYS = [
    pytest.param(operation.id, mode, id=f"{operation.id}-{mode.value}")
    for operation in contract.operations()
    for mode in GenerationMode
    if mode == GenerationMode.POSITIVE or operation.parameters or operation.body
]
"""What has neither parameters nor a body cannot be asked wrongly."""


@pytest.fixture(scope="module")
def fuzzed(shared_api: Api) -> Iterator[tuple[Api, str]]:
    """A project with a service and an ended deployment; it is held, so that deploys are cheap."""
    deployed(shared_api.layout, app("web"))
    shared_api.engine.add(FakeContainer("c1", PROJECT, "web", "app", log=[(1, b"hello\n")]))
    with workspace_lock.hold(shared_api.layout.project(PROJECT), "iac deploy"):
        client = shared_api.socket()
        shown = client.post("/destroy?wait=60", json={"confirm": PROJECT}).json()
        client.post(shown["links"]["cancel"])
        yield shared_api, shown["id"]
        shared_api.backend.close()  # or what is queued would begin


@pytest.mark.parametrize(("operation_id", "mode"), PLAYS)
def test_operations(
    fuzzed: tuple[Api, str],
    operation_id: str,
    mode: GenerationMode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever fits the document or does not: the answer is one that the document has."""
    api, known = fuzzed
    schema = schemathesis.openapi.from_dict(api.http().get("/openapi.json").json())
    operation = schema.find_operation_by_id(operation_id)
    client = Client("", api.token("service"))
    monkeypatch.setattr("admin.streams.MAX_SECONDS", 0.1)  # or some would not end
    monkeypatch.setattr("admin.streams.HEARTBEAT_SECONDS", 0.1)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(mode), real=strategies.booleans())
    def play(case: schemathesis.Case[Any], real: bool) -> None:
        if real:
            name_what_exists(case, known)
        if isinstance(case.body, dict) and isinstance(case.body.get("project"), str):
            case.body["project"] = PROJECT
        case.call_and_validate(base_url=api.url, session=client, checks=CHECKS)

    play()


def name_what_exists(case: schemathesis.Case[Any], known: str) -> None:
    """Random names exist nowhere."""
    for name, value in {"id": known, "name": "web"}.items():
        if name in case.path_parameters:
            case.path_parameters[name] = value
    case.query.pop("project", None)
