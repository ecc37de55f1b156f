"""Terraform's values: wire format, null against zero, sets without order."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from provider import schema
from provider.schema import Attribute
from provider.values import UNKNOWN, decode, encode, equivalent, fill, has_unknown, settle, zero
from tests.unit.provider.conftest import ALL_ADDRESSES

CONTAINER = schema.load_schemas().resources["docker_container"].block


def test_values_survive_the_wire() -> None:
    """Nested values, nulls and unknowns come back as they went."""
    value = {"a": [1, "x", None, True], "b": UNKNOWN, "c": {"d": -1}}
    assert decode(encode(value)) == value
    assert decode(b"") is None


def test_refined_unknowns_are_unknown() -> None:
    """Terraform may say more about an unknown (extension 12); it is still unknown."""
    assert decode(msgpack.packb(msgpack.ExtType(12, b"\x81\x01\xc2"))) is UNKNOWN


def test_other_objects_are_not_sent() -> None:
    """A programming error does not become a strange state."""
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})


@pytest.mark.parametrize(
    ("type_", "left", "right", "same"),
    [
        ("string", None, "", True),
        ("string", None, "x", False),
        ("number", 0, None, True),
        ("bool", False, None, True),
        ("bool", True, None, False),
        (["list", "string"], None, [], True),
        (["list", "string"], ["a", "b"], ["b", "a"], False),
        (["set", "string"], ["a", "b"], ["b", "a"], True),
        (["set", "string"], ["a"], ["a", "b"], False),
        (["map", "string"], {"a": None}, {"a": ""}, True),
        (["map", "string"], {"a": "1"}, {}, False),
        (["object", {"a": "string", "b": "number"}], {"a": "x"}, {"a": "x", "b": 0}, True),
        ("string", UNKNOWN, "x", False),
        ("string", UNKNOWN, None, False),
        ("string", UNKNOWN, UNKNOWN, True),
    ],
)
def test_null_means_zero_and_sets_have_no_order(
    type_: Any, left: Any, right: Any, same: bool
) -> None:
    """The legacy rule, both ways round."""
    attribute = Attribute(type_, optional=True)
    assert equivalent(attribute, left, right) is same
    assert equivalent(attribute, right, left) is same


def test_blocks_compare_by_meaning() -> None:
    """A set of blocks: other order, nulls for zeros and left-out defaults are the same."""
    kind = CONTAINER.blocks["upload"]
    left = [{"file": "/a", "content": "x"}, {"file": "/b", "content": "y"}]
    right = [
        {"file": "/b", "content": "y", "executable": False},
        {"file": "/a", "content": "x", "source": ""},
    ]
    assert equivalent(kind, left, right)
    assert not equivalent(kind, left, right[:1])
    assert not equivalent(kind, left, UNKNOWN)
    assert equivalent(
        CONTAINER.blocks["ports"],
        [{"internal": 1}],
        [{"internal": 1, "protocol": "tcp", "ip": ALL_ADDRESSES}],
    )


def test_lists_of_blocks_keep_their_order() -> None:
    """Ports are a list: the comparison itself respects order."""
    one, two = {"internal": 1}, {"internal": 2}
    assert not equivalent(CONTAINER.blocks["ports"], [one, two], [two, one])


def test_fill_leaves_no_null_inside_a_block() -> None:
    """Defaults, zero values, and for computed attributes what the caller says."""
    (port,) = fill(CONTAINER.blocks["ports"], [{"internal": 80}], computed=UNKNOWN)
    assert port == {"internal": 80, "external": UNKNOWN, "ip": ALL_ADDRESSES, "protocol": "tcp"}
    (mount,) = fill(CONTAINER.blocks["mounts"], [{"type": "tmpfs", "target": "/t"}], computed=None)
    assert mount["source"] == ""
    assert mount["bind_options"] == []
    assert fill(CONTAINER.blocks["ports"], UNKNOWN, computed=None) is UNKNOWN
    assert fill(CONTAINER.blocks["ports"], [UNKNOWN], computed=None) == [UNKNOWN]


def test_settled_state_has_nulls_only_where_the_official_one_has() -> None:
    """Unknown and null become zero values, the never-read attributes null."""
    state = settle(
        CONTAINER,
        {
            "name": "x",
            "env": UNKNOWN,
            "exit_code": UNKNOWN,
            "ports": [{"internal": 80, "external": UNKNOWN}],
        },
    )
    assert state["env"] == []
    assert state["exit_code"] is None
    assert state["cpu_set"] == ""
    assert state["cpus"] is None
    assert state["ports"][0]["external"] == 0
    assert not has_unknown(state)


def test_unknowns_are_found_anywhere() -> None:
    """In maps, in lists, at the top."""
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": None}]})
    assert zero(["map", "string"]) == {}
