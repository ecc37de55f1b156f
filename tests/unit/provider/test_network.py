"""docker_network against the recorded engine."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from provider import network, schema
from provider.network import NetworkResource
from provider.problems import ProviderError
from provider.resource import ProviderContext
from provider.values import settle
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import StandIn, recorded

OFFICIAL = Path(__file__).parents[2] / "data" / "official"
FOUND = recorded("docker_network.iacnet")
PATH = f"/networks/{FOUND['Id']}"


def sample(kind: str = "docker_network", name: str = "iacnet") -> dict[str, Any]:
    config = json.loads((OFFICIAL / "sample.tf.json").read_text())
    return planned(kind, **config["resource"][kind][name])


def official(kind: str = "docker_network") -> dict[str, Any]:
    data = json.loads((OFFICIAL / "sample.tfstate.json").read_text())
    (found,) = (r for r in data["resources"] if r["type"] == kind)
    return dict(found["instances"][0]["attributes"])


def test_new_state_is_the_official_one(context: ProviderContext, stand_in: StandIn) -> None:
    """Created with two calls; the state is the sample's, the id aside."""
    stand_in.answer("POST /networks/create", {"Id": FOUND["Id"]}, 201)
    stand_in.answer(f"GET {PATH}", FOUND)
    state = settle(
        schema.load_schemas().resources["docker_network"].block,
        NetworkResource().create(context, sample()),
    )
    assert {**state, "id": ""} == {**official(), "id": ""}
    assert [call for call, _, _ in stand_in.calls] == ["POST /networks/create", f"GET {PATH}"]
    sent = stand_in.sent("POST /networks/create")
    assert sent["IPAM"]["Config"] == [{"Subnet": "172.20.0.0/16", "Gateway": "172.20.0.1"}]
    assert sent["Labels"] == {"org.karstkit.project": "iacnet"}
    assert sent["CheckDuplicate"] is True
    assert "Internal" not in sent


def test_read_finds_or_forgets(context: ProviderContext, stand_in: StandIn) -> None:
    """A removed network is no error; a fault of the engine is not a removal."""
    state = {**official(), "id": FOUND["Id"]}
    assert NetworkResource().read(context, state) is None
    stand_in.answer(f"GET {PATH}", {**FOUND, "Internal": True})
    assert NetworkResource().read(context, state) == {**state, "internal": True}
    stand_in.answer(f"GET {PATH}", {"message": "boom"}, 500)
    with pytest.raises(Exception, match="boom"):
        NetworkResource().read(context, state)


@pytest.mark.parametrize(
    ("refusal", "sentence", "path"),
    [
        ((409, "network with name iacnet already exists"), "exists already", ("name",)),
        (
            (403, "Pool overlaps with other one on this address space"),
            "172.20.0.0/16",
            ("ipam_config",),
        ),
        ((500, "boom"), "boom", ("name",)),
    ],
)
def test_create_refused(
    context: ProviderContext, stand_in: StandIn, refusal: tuple[int, str], sentence: str, path: Any
) -> None:
    """A taken name, an overlapping subnet, anything else."""
    stand_in.answer("POST /networks/create", {"message": refusal[1]}, refusal[0])
    with pytest.raises(ProviderError, match=sentence) as failure:
        NetworkResource().create(context, sample())
    assert failure.value.path == path


@pytest.mark.parametrize("status", [500, 0])
def test_a_network_that_cannot_be_read_back_is_not_lost(
    context: ProviderContext, stand_in: StandIn, status: int
) -> None:
    """An error or no answer at all after the create: the id is in the error's state."""
    stand_in.answer("POST /networks/create", {"Id": FOUND["Id"]}, 201)
    stand_in.answer(f"GET {PATH}", {"message": "boom"}, status)
    with pytest.raises(ProviderError) as failure:
        NetworkResource().create(context, sample())
    assert failure.value.state is not None
    assert failure.value.state["id"] == FOUND["Id"]


def test_delete(
    context: ProviderContext, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gone already is a success; in use names the containers. Endpoints of what is gone are waited
    for."""
    state = {**official(), "id": FOUND["Id"]}
    NetworkResource().delete(context, state)
    message = f"error while removing network: network iacnet id {FOUND['Id']} has active endpoints"
    stand_in.answer(f"DELETE {PATH}", {"message": message}, 403)
    stand_in.answer(f"GET {PATH}", FOUND)
    with pytest.raises(ProviderError, match="still has containers: svc-a-pod"):
        NetworkResource().delete(context, state)
    monkeypatch.setattr(network, "SETTLE_SECONDS", 0.3)
    stand_in.answer(f"GET {PATH}", {**FOUND, "Containers": {}})
    with pytest.raises(ProviderError, match="still has containers: unknown"):
        NetworkResource().delete(context, state)
    threading.Timer(0.1, stand_in.answer, (f"DELETE {PATH}", {}, 204)).start()
    NetworkResource().delete(context, state)
    stand_in.answer(f"DELETE {PATH}", {"message": "boom"}, 500)
    with pytest.raises(Exception, match="boom"):
        NetworkResource().delete(context, state)


def test_import(context: ProviderContext, stand_in: StandIn) -> None:
    """By name; addresses come from Docker."""
    stand_in.answer("GET /networks/iacnet", FOUND)
    state = NetworkResource().adopt(context, "iacnet")
    assert state["ipam_config"] == official()["ipam_config"]
    with pytest.raises(ProviderError, match="no network 'other'"):
        NetworkResource().adopt(context, "other")
