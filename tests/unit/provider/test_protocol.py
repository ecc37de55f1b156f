"""The plugin protocol in process: messages in, messages out, over the recorded engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider import schema
from provider.grpc_pb import tfplugin6_pb2 as pb
from provider.problems import ProviderError, as_problem
from provider.protocol import Servicer, diagnostic
from provider.server import resources
from provider.values import UNKNOWN, decode, encode
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import StandIn, recorded
from tests.unit.provider.test_container_checks import conform
from tests.unit.provider.test_network import FOUND, official, sample

KIND = "docker_network"
BLOCK = schema.load_schemas().resources[KIND].block


@pytest.fixture
def servicer(stand_in: StandIn) -> Servicer:
    made = Servicer(schema.load_schemas(), resources())
    answer = made.ConfigureProvider(
        pb.ConfigureProvider.Request(config=wire({"host": stand_in.host})), None
    )
    assert not answer.diagnostics
    return made


def wire(value: Any) -> Any:
    return pb.DynamicValue(msgpack=encode(value))


def plan(servicer: Servicer, prior: Any, proposed: Any, private: bytes = b"") -> Any:
    request = pb.PlanResourceChange.Request(
        type_name=KIND,
        prior_state=wire(prior),
        proposed_new_state=wire(proposed),
        prior_private=private,
    )
    return servicer.PlanResourceChange(request, None)


def apply(servicer: Servicer, prior: Any, values: Any) -> Any:
    request = pb.ApplyResourceChange.Request(
        type_name=KIND, prior_state=wire(prior), planned_state=wire(values), planned_private=b"p"
    )
    return servicer.ApplyResourceChange(request, None)


def test_schema_is_served_whole(servicer: Servicer) -> None:
    """Names, versions, types as JSON, nesting and limits."""
    answer = servicer.GetProviderSchema(pb.GetProviderSchema.Request(), None)
    assert set(answer.resource_schemas) == {*resources(), *schema.load_schemas().missing}
    container = answer.resource_schemas["docker_container"]
    assert container.version == 2
    nesting = {b.type_name: (b.nesting, b.max_items) for b in container.block.block_types}
    assert nesting["capabilities"] == (pb.Schema.NestedBlock.SET, 1)
    assert nesting["ports"] == (pb.Schema.NestedBlock.LIST, 0)
    types = {a.name: json.loads(a.type) for a in container.block.attributes}
    assert types["env"] == ["set", "string"]
    (auth,) = answer.provider.block.block_types
    assert {a.name for a in auth.block.attributes if a.sensitive} == {"password"}
    names = servicer.GetMetadata(pb.GetMetadata.Request(), None).resources
    assert {item.type_name for item in names} == set(answer.resource_schemas)
    assert set(answer.data_source_schemas) == set(schema.load_schemas().data_sources)


def test_plan_of_a_new_object(servicer: Servicer) -> None:
    """Unknowns where Docker decides; the private data of the official provider."""
    answer = plan(servicer, None, conform(BLOCK, {"name": "x"}))
    values = decode(answer.planned_state.msgpack)
    assert values["id"] is UNKNOWN
    assert values["ipam_driver"] == "default"
    assert answer.legacy_type_system
    assert answer.planned_private == b'{"schema_version":"1"}'


def test_plan_of_a_replacement_and_of_a_removal(servicer: Servicer) -> None:
    """Paths of what forces it; private data is kept."""
    state = official()
    answer = plan(servicer, state, {**state, "internal": True}, b"kept")
    (path,) = answer.requires_replace
    assert [step.attribute_name for step in path.steps] == ["internal"]
    assert answer.planned_private == b"kept"
    assert decode(plan(servicer, state, None).planned_state.msgpack) is None


def test_apply_creates_and_deletes(servicer: Servicer, stand_in: StandIn) -> None:
    """The state that comes back is settled; deleted means null."""
    stand_in.answer("POST /networks/create", {"Id": FOUND["Id"]}, 201)
    stand_in.answer(f"GET /networks/{FOUND['Id']}", FOUND)
    answer = apply(servicer, None, sample())
    assert not answer.diagnostics
    state = decode(answer.new_state.msgpack)
    assert {**state, "id": ""} == {**official(), "id": ""}
    assert (answer.private, answer.legacy_type_system) == (b"p", True)
    stand_in.answer(f"DELETE /networks/{FOUND['Id']}")
    assert decode(apply(servicer, state, None).new_state.msgpack) is None
    assert decode(apply(servicer, None, None).new_state.msgpack) is None
    changed = apply(servicer, state, {**state, "check_duplicate": True})
    assert decode(changed.new_state.msgpack)["check_duplicate"] is True


def test_a_failure_keeps_what_there_was(servicer: Servicer, stand_in: StandIn) -> None:
    """A failed create leaves nothing, a failed delete the old state, and both say why."""
    stand_in.answer("POST /networks/create", {"message": "boom"}, 500)
    answer = apply(servicer, None, sample())
    assert decode(answer.new_state.msgpack) is None
    assert "boom" in answer.diagnostics[0].summary
    assert answer.diagnostics[0].attribute.steps[0].attribute_name == "name"
    state = official()
    stand_in.answer(f"DELETE /networks/{state['id']}", {"message": "bang"}, 500)
    answer = apply(servicer, state, None)
    assert decode(answer.new_state.msgpack) == state
    assert "bang" in answer.diagnostics[0].summary


def test_a_partial_create_is_in_the_state(servicer: Servicer, stand_in: StandIn) -> None:
    """Terraform taints what comes with an error and a state."""
    stand_in.answer("POST /containers/create", {"Id": "0123"}, 201)
    stand_in.answer("POST /containers/0123/start", {"message": "boom"}, 500)
    values = planned("docker_container", name="x", image="i")
    request = pb.ApplyResourceChange.Request(
        type_name="docker_container", prior_state=wire(None), planned_state=wire(values)
    )
    answer = servicer.ApplyResourceChange(request, None)
    state = decode(answer.new_state.msgpack)
    assert (state["id"], state["env"], len(answer.diagnostics)) == ("0123", [], 1)


def test_read_refreshes_or_forgets(servicer: Servicer, stand_in: StandIn) -> None:
    """Private data passes through."""
    state = {**official(), "id": FOUND["Id"]}
    request = pb.ReadResource.Request(type_name=KIND, current_state=wire(state), private=b"p")
    assert decode(servicer.ReadResource(request, None).new_state.msgpack) is None
    stand_in.answer(f"GET /networks/{FOUND['Id']}", FOUND)
    answer = servicer.ReadResource(request, None)
    assert (decode(answer.new_state.msgpack), answer.private) == (state, b"p")


def upgrade(servicer: Servicer, version: int, raw: Any) -> Any:
    state = pb.RawState(json=json.dumps(raw).encode())
    request = pb.UpgradeResourceState.Request(type_name=KIND, version=version, raw_state=state)
    return servicer.UpgradeResourceState(request, None)


def test_stored_states_of_this_version_are_read(servicer: Servicer) -> None:
    """Missing names become null, unknown ones go; older versions are refused by name."""
    state = official()
    answer = upgrade(servicer, 1, {**state, "of_another_time": 1})
    assert decode(answer.upgraded_state.msgpack) == state
    del state["scope"]
    assert decode(upgrade(servicer, 1, state).upgraded_state.msgpack)["scope"] is None
    assert "schema version 0" in upgrade(servicer, 0, state).diagnostics[0].summary


def test_import_settles_and_fills_defaults(servicer: Servicer, stand_in: StandIn) -> None:
    """The imported state looks like a created one."""
    stand_in.answer("GET /networks/iacnet", FOUND)
    request = pb.ImportResourceState.Request(type_name=KIND, id="iacnet")
    (imported,) = servicer.ImportResourceState(request, None).imported_resources
    assert {**decode(imported.state.msgpack), "id": ""} == {**official(), "id": ""}
    request = pb.ImportResourceState.Request(type_name=KIND, id="other")
    assert servicer.ImportResourceState(request, None).diagnostics


def test_validation_answers_with_paths(servicer: Servicer) -> None:
    """Resource and provider block."""
    block = schema.load_schemas().resources["docker_container"].block
    config = conform(block, {"name": "x", "image": "i", "ports": [{"internal": 70000}]})
    request = pb.ValidateResourceConfig.Request(type_name="docker_container", config=wire(config))
    (problem,) = servicer.ValidateResourceConfig(request, None).diagnostics
    steps = [s.attribute_name or s.element_key_int for s in problem.attribute.steps]
    assert steps == ["ports", 0, "internal"]
    provider_request = pb.ValidateProviderConfig.Request(config=wire({"host": "ssh://x"}))
    assert len(servicer.ValidateProviderConfig(provider_request, None).diagnostics) == 1


def test_an_engine_that_is_down_is_named(stand_in: StandIn) -> None:
    """Once, when the provider is configured; not at all if so configured."""
    made = Servicer(schema.load_schemas(), resources())
    config: dict[str, Any] = {"host": stand_in.host + ".none"}
    answer = made.ConfigureProvider(pb.ConfigureProvider.Request(config=wire(config)), None)
    assert "engine.sock.none" in answer.diagnostics[0].summary
    assert "DOCKER_HOST" in answer.diagnostics[0].detail
    config["disable_docker_daemon_check"] = True
    answer = made.ConfigureProvider(pb.ConfigureProvider.Request(config=wire(config)), None)
    assert not answer.diagnostics
    config["host"] = "ssh://x"
    answer = made.ConfigureProvider(pb.ConfigureProvider.Request(config=wire(config)), None)
    assert "ssh://x" in answer.diagnostics[0].summary


def test_what_there_is_not_is_said(servicer: Servicer) -> None:
    """Data sources, functions, moves between types."""
    data = pb.ReadDataSource.Request(type_name="docker_logs")
    assert "docker_logs" in servicer.ReadDataSource(data, None).diagnostics[0].summary
    check = pb.ValidateDataResourceConfig.Request(type_name="docker_logs")
    (problem,) = servicer.ValidateDataResourceConfig(check, None).diagnostics
    assert problem.summary == (
        "The embedded Docker provider has docker_container, docker_image, docker_network and "
        "docker_volume, but no data source docker_logs."
    )
    assert problem.detail.startswith("For the rest, take the official provider: ")
    move = pb.MoveResourceState.Request(target_type_name=KIND)
    assert servicer.MoveResourceState(move, None).diagnostics
    assert not servicer.GetFunctions(pb.GetFunctions.Request(), None).functions
    assert "f" in servicer.CallFunction(pb.CallFunction.Request(name="f"), None).error.text


@pytest.mark.parametrize("kind", sorted(schema.load_schemas().missing))
def test_a_type_that_is_not_here_is_refused_whatever_is_asked(
    servicer: Servicer, kind: str
) -> None:
    """Validate, plan of a state that the official provider wrote, read, destroy, import."""
    block = schema.load_schemas().missing[kind].block
    config = wire(conform(block, {}))
    validate = pb.ValidateResourceConfig.Request(type_name=kind, config=config)
    read = pb.ReadResource.Request(type_name=kind, current_state=config)
    apply = {
        "create": (wire(None), config),
        "update": (config, config),
        "destroy": (config, wire(None)),
    }
    answers = [
        servicer.ValidateResourceConfig(validate, None),
        servicer.ReadResource(read, None),
        servicer.ImportResourceState(pb.ImportResourceState.Request(type_name=kind, id="x"), None),
    ] + [
        servicer.ApplyResourceChange(
            pb.ApplyResourceChange.Request(type_name=kind, prior_state=a, planned_state=b), None
        )
        for a, b in apply.values()
    ]
    for answer in answers:
        (problem,) = answer.diagnostics
        assert problem.summary.endswith(f"but no resource {kind}.")


def test_stop_reaches_running_work(servicer: Servicer, stand_in: StandIn) -> None:
    """A pull in progress ends at its next message."""
    servicer.StopProvider(pb.StopProvider.Request(), None)
    stand_in.answer("POST /images/create", b'{"status":"x"}\n')
    values = planned("docker_image", name="x")
    request = pb.ApplyResourceChange.Request(
        type_name="docker_image", prior_state=wire(None), planned_state=wire(values)
    )
    answer = servicer.ApplyResourceChange(request, None)
    assert "was stopped" in answer.diagnostics[0].summary


def test_a_defect_is_no_silence(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence for the user, the traceback for the log, no secret in either."""
    try:
        dict[str, str]()["https://user:sentinel@host/"]
    except KeyError as error:
        made = diagnostic(as_problem(error))
    assert "defect: KeyError" in made.summary
    log = capsys.readouterr().err
    assert "Traceback" in log
    assert "sentinel" not in log + made.summary + made.detail


def test_diagnostics_hide_credentials() -> None:
    """Whatever the engine repeats."""
    made = diagnostic(ProviderError("pull of https://me:sentinel@r/ failed"))
    assert "sentinel" not in made.summary


def test_recorded_answers_are_of_the_sample() -> None:
    """The recordings carry no name of the machine they were made on."""
    assert recorded("docker_container.app")["Name"] == "/svc-a-app"
