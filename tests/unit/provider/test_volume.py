"""docker_volume against the recorded engine."""

from __future__ import annotations

import pytest

from provider import schema
from provider.problems import ProviderError
from provider.resource import ProviderContext
from provider.values import settle
from provider.volume import VolumeResource
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import StandIn, recorded
from tests.unit.provider.test_network import official, sample

FOUND = recorded("docker_volume.data")
PATH = "/volumes/svc-a-data"


def test_new_state_is_the_official_one(context: ProviderContext, stand_in: StandIn) -> None:
    """One call; every attribute of the sample."""
    stand_in.answer("POST /volumes/create", FOUND, 201)
    made = VolumeResource().create(context, sample("docker_volume", "data"))
    state = settle(schema.load_schemas().resources["docker_volume"].block, made)
    assert state == official("docker_volume")
    assert stand_in.sent("POST /volumes/create") == {
        "Name": "svc-a-data",
        "DriverOpts": {},
        "Labels": {"org.karstkit.project": "iacnet"},
    }


def test_docker_names_a_nameless_volume(context: ProviderContext, stand_in: StandIn) -> None:
    """An unknown name is not sent."""
    stand_in.answer("POST /volumes/create", FOUND, 201)
    VolumeResource().create(context, planned("docker_volume", driver="local"))
    assert stand_in.sent("POST /volumes/create") == {
        "Driver": "local",
        "DriverOpts": {},
        "Labels": {},
    }


def test_read_finds_or_forgets(context: ProviderContext, stand_in: StandIn) -> None:
    """A removed volume is no error."""
    state = official("docker_volume")
    assert VolumeResource().read(context, state) is None
    stand_in.answer(f"GET {PATH}", FOUND)
    assert VolumeResource().read(context, state) == state


def test_faults_are_sentences(context: ProviderContext, stand_in: StandIn) -> None:
    """Create, delete in use, delete otherwise, import of nothing."""
    state = official("docker_volume")
    stand_in.answer("POST /volumes/create", {"message": "no such driver"}, 500)
    with pytest.raises(ProviderError, match="no such driver"):
        VolumeResource().create(context, sample("docker_volume", "data"))
    VolumeResource().delete(context, state)
    stand_in.answer(f"DELETE {PATH}", {"message": "volume is in use"}, 409)
    with pytest.raises(ProviderError, match="still used by a container"):
        VolumeResource().delete(context, state)
    stand_in.answer(f"DELETE {PATH}", {"message": "boom"}, 500)
    with pytest.raises(Exception, match="boom"):
        VolumeResource().delete(context, state)
    with pytest.raises(ProviderError, match="no volume 'x'"):
        VolumeResource().adopt(context, "x")


def test_import(context: ProviderContext, stand_in: StandIn) -> None:
    """By name."""
    stand_in.answer(f"GET {PATH}", FOUND)
    assert VolumeResource().adopt(context, "svc-a-data") == official("docker_volume")
