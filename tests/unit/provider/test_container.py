"""docker_container's life against the recorded engine."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from provider import schema
from provider.container import ContainerResource
from provider.problems import ProviderError
from provider.resource import ProviderContext
from provider.values import settle
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import StandIn, recorded
from tests.unit.provider.test_container_api import sample
from tests.unit.provider.test_container_state import official

BLOCK = schema.load_schemas().resources["docker_container"].block
CREATE = "POST /containers/create"


def wanted(name: str, **more: Any) -> dict[str, Any]:
    return planned("docker_container", **{**sample(name), **more})


def running(stand_in: StandIn, name: str) -> dict[str, Any]:
    """Let a create of a recorded container succeed."""
    found: dict[str, Any] = recorded(f"docker_container.{name}")
    path = f"/containers/{found['Id']}"
    stand_in.answer(CREATE, {"Id": found["Id"]}, 201)
    stand_in.answer(f"GET {path}/json", found)
    for call in (
        f"POST {path}/start",
        f"PUT {path}/archive",
        f"POST {path}/update",
        f"POST {path}/stop",
        f"DELETE {path}",
    ):
        stand_in.answer(call)
    return found


def test_four_calls_make_a_container_with_a_file(
    context: ProviderContext, stand_in: StandIn
) -> None:
    """Create, upload, start, inspect; the state is the official one."""
    found = running(stand_in, "envoy")
    state = settle(BLOCK, ContainerResource().create(context, wanted("envoy")))
    path = f"/containers/{found['Id']}"
    assert [call for call, _, _ in stand_in.calls] == [
        CREATE,
        f"PUT {path}/archive",
        f"POST {path}/start",
        f"GET {path}/json",
    ]
    assert stand_in.calls[0][1] == "name=svc-a-envoy"
    theirs = official("envoy")
    assert {k for k in state if state[k] != theirs[k]} <= {"id", "network_mode"}


def test_further_networks_are_connected_before_the_start(
    context: ProviderContext, stand_in: StandIn
) -> None:
    """The program must not start without them."""
    found = running(stand_in, "pod")
    blocks = [{"name": "iacnet"}, {"name": "second", "aliases": ["x"]}]
    stand_in.answer("POST /networks/second/connect")
    ContainerResource().create(context, wanted("pod", networks_advanced=blocks))
    assert [call for call, _, _ in stand_in.calls][1:3] == [
        "POST /networks/second/connect",
        f"POST /containers/{found['Id']}/start",
    ]
    body = stand_in.sent("POST /networks/second/connect")
    assert body == {"Container": found["Id"], "EndpointConfig": {"Aliases": ["x"]}}


def test_a_missing_image_is_pulled_once(context: ProviderContext, stand_in: StandIn) -> None:
    """Then the create is tried again; when the pull fails, the image is named."""
    stand_in.answer(CREATE, {"message": "No such image: python:3.11-slim"}, 404)
    with pytest.raises(ProviderError, match="cannot be pulled") as failure:
        ContainerResource().create(context, wanted("pod"))
    assert failure.value.path == ("image",)
    stand_in.answer("POST /images/create", b'{"status":"done"}\n')
    with pytest.raises(ProviderError, match="No such image"):
        ContainerResource().create(context, wanted("pod"))


def test_not_started_if_so_configured(context: ProviderContext, stand_in: StandIn) -> None:
    """`start = false` is no failure to run."""
    found = running(stand_in, "app")
    found["State"]["Running"] = False
    stand_in.answer(f"GET /containers/{found['Id']}/json", found)
    state = ContainerResource().create(context, wanted("app", start=False))
    assert not any("start" in call for call, _, _ in stand_in.calls)
    assert state["must_run"] is True


def test_what_exists_is_in_the_error(context: ProviderContext, stand_in: StandIn) -> None:
    """A failed start, an unreadable upload, an early end: Terraform must know the container."""
    found = running(stand_in, "envoy")
    path = f"/containers/{found['Id']}"
    upload = [{"file": "/a", "source": "/no/such"}]
    stand_in.answer(f"POST {path}/start", {"message": "boom"}, 500)
    for more, sentence in (({}, "boom"), ({"upload": upload}, "/no/such")):
        with pytest.raises(ProviderError, match=sentence) as failure:
            ContainerResource().create(context, wanted("envoy", **more))
        assert failure.value.state is not None
        assert failure.value.state["id"] == found["Id"]
    stand_in.answer(f"POST {path}/start")
    found["State"].update(Running=False, ExitCode=3)
    stand_in.answer(f"GET {path}/json", found)
    with pytest.raises(ProviderError, match="exited at once with exit code 3") as failure:
        ContainerResource().create(context, wanted("envoy"))
    assert failure.value.state is not None


@pytest.mark.parametrize(("answer", "status"), [({"message": "boom"}, 500), (None, 0)])
def test_an_engine_lost_after_the_create_does_not_lose_the_container(
    context: ProviderContext, stand_in: StandIn, answer: Any, status: int
) -> None:
    """Refused or hung up at the start or at the inspect: the id is in the error's state."""
    for call in ("POST /containers/{}/start", "GET /containers/{}/json"):
        found = running(stand_in, "app")
        stand_in.answer(call.format(found["Id"]), answer, status)
        with pytest.raises(ProviderError, match=r"boom|No Docker engine answers") as failure:
            ContainerResource().create(context, wanted("app"))
        assert failure.value.state is not None
        assert failure.value.state["id"] == found["Id"]


def test_a_swap_limit_the_engine_cannot_set_is_no_drift(
    context: ProviderContext, stand_in: StandIn
) -> None:
    """Without swap accounting Docker drops the limit: that is asked once, and only then."""
    found = running(stand_in, "app")
    state = {**official("app"), "id": found["Id"]}
    ContainerResource().read(context, state)
    assert not any(call == "GET /info" for call, _, _ in stand_in.calls)
    found["HostConfig"]["MemorySwap"] = -1
    stand_in.answer(f"GET /containers/{found['Id']}/json", found)
    stand_in.answer("GET /info", {"MemoryLimit": True, "SwapLimit": False})
    for wanted_ in (512, 0):
        seen = ContainerResource().read(context, {**state, "memory_swap": wanted_})
        assert seen is not None
        assert seen["memory_swap"] == wanted_
    assert [call for call, _, _ in stand_in.calls].count("GET /info") == 1


def test_a_lifted_limit_is_drift_where_the_engine_has_limits(
    context: ProviderContext, stand_in: StandIn
) -> None:
    """Memory and swap alike."""
    found = running(stand_in, "app")
    found["HostConfig"].update(Memory=0, MemorySwap=-1)
    stand_in.answer(f"GET /containers/{found['Id']}/json", found)
    stand_in.answer("GET /info", {"MemoryLimit": True, "SwapLimit": True})
    seen = ContainerResource().read(context, {**official("app"), "id": found["Id"]})
    assert seen is not None
    assert (seen["memory"], seen["memory_swap"]) == (0, -1)


@pytest.mark.parametrize(
    ("health", "sentence"),
    [(None, "has no health check"), ({"Status": "unhealthy"}, "is unhealthy, not healthy")],
)
def test_wait_needs_a_passing_check(
    context: ProviderContext, stand_in: StandIn, health: Any, sentence: str
) -> None:
    """Polled until the time is up; the state is kept."""
    found = running(stand_in, "app")
    found["State"]["Health"] = health
    stand_in.answer(f"GET /containers/{found['Id']}/json", found)
    with pytest.raises(ProviderError, match=sentence) as failure:
        ContainerResource().create(context, wanted("app", wait=True, wait_timeout=0.1))
    assert failure.value.state is not None


def test_wait_ends_with_health(context: ProviderContext, stand_in: StandIn) -> None:
    """At the first good answer."""
    found = running(stand_in, "app")
    found["State"]["Health"] = {"Status": "healthy"}
    stand_in.answer(f"GET /containers/{found['Id']}/json", found)
    assert ContainerResource().create(context, wanted("app", wait=True))["id"] == found["Id"]


def test_update_sends_limits_only_when_they_changed(
    context: ProviderContext, stand_in: StandIn
) -> None:
    """What Terraform alone knows needs no call."""
    found = running(stand_in, "app")
    before = {**official("app"), "id": found["Id"]}
    ContainerResource().update(context, before, {**before, "wait_timeout": 5})
    assert not any("update" in call for call, _, _ in stand_in.calls)
    ContainerResource().update(context, before, {**before, "restart": "always"})
    body = stand_in.sent(f"POST /containers/{found['Id']}/update")
    assert body["RestartPolicy"]["Name"] == "always"
    assert body["Memory"] == 256 * 2**20


def test_update_starts_what_should_run(context: ProviderContext, stand_in: StandIn) -> None:
    """The answer to `must_run = false` in a refreshed state; a failure keeps the old state."""
    found = running(stand_in, "app")
    path = f"/containers/{found['Id']}"
    found["State"].update(Running=False, ExitCode=1)
    stand_in.answer(f"GET {path}/json", found)
    planned_ = {**official("app"), "id": found["Id"]}
    prior = {**planned_, "must_run": False}
    with pytest.raises(ProviderError, match="exited at once"):
        ContainerResource().update(context, prior, planned_)
    stand_in.answer(f"POST {path}/start", {"message": "No such container: 0123"}, 404)
    with pytest.raises(ProviderError, match="is not running") as failure:
        ContainerResource().update(context, prior, planned_)
    assert failure.value.state == prior


@pytest.mark.parametrize(
    ("more", "query"),
    [({"destroy_grace_seconds": 3}, "t=3"), ({"stop_timeout": 4}, "t=4"), ({}, None)],
)
def test_delete_stops_in_time(
    context: ProviderContext, stand_in: StandIn, more: dict[str, Any], query: str | None
) -> None:
    """With the grace that is configured; without one it is killed."""
    found = running(stand_in, "envoy")
    state = {**official("envoy"), "id": found["Id"], "destroy_grace_seconds": None, **more}
    ContainerResource().delete(context, state)
    stops = [q for call, q, _ in stand_in.calls if call.endswith("/stop")]
    assert stops == ([query] if query else [])
    assert stand_in.calls[-1][1] == "force=true&v=true"


def test_delete_of_what_is_gone_or_going(context: ProviderContext, stand_in: StandIn) -> None:
    """Both are successes; anything else is an error."""
    state = {**official("app"), "id": "0123", "stop_timeout": 0}
    ContainerResource().delete(context, state)
    delete = "DELETE /containers/0123"
    stand_in.answer(delete, {"message": "removal of container 0123 is already in progress"}, 409)
    ContainerResource().delete(context, state)
    stand_in.answer(delete, {"message": "boom"}, 500)
    with pytest.raises(ProviderError, match="cannot remove container 'svc-a-app': boom"):
        ContainerResource().delete(context, state)


def test_read_and_import(context: ProviderContext, stand_in: StandIn) -> None:
    """Gone is None; an import of nothing is an error; by name it works."""
    found = running(stand_in, "app")
    assert ContainerResource().read(context, {**official("app"), "id": "0123"}) is None
    with pytest.raises(ProviderError, match="no container 'x'"):
        ContainerResource().adopt(context, "x")
    stand_in.answer("GET /containers/svc-a-app/json", found)
    stand_in.answer(f"GET /images/{found['Image']}/json", {"Config": {}})
    assert ContainerResource().adopt(context, "svc-a-app")["name"] == "svc-a-app"


def test_calls_are_few(context: ProviderContext, stand_in: StandIn) -> None:
    """A read is one call."""
    found = running(stand_in, "app")
    ContainerResource().read(context, {**official("app"), "id": found["Id"]})
    names = [call for call, _, _ in itertools.islice(stand_in.calls, 5)]
    assert names == [f"GET /containers/{found['Id']}/json"]
