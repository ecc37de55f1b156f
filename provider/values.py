"""Values as Terraform sends them: msgpack with unknowns, nulls, and sets that have no order.

Blocks are dicts, lists and sets are lists. It knows schemas, not Docker.

The official provider is of the legacy kind to which null and "", 0, false or an empty collection
are one and the same; `equivalent` is that rule, and the only comparison a plan uses.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from .schema import Attribute, Block, NestedBlock, Type

Values = dict[str, Any]
"""One block: attribute and block names to values."""


class UnknownValue:
    """The type of UNKNOWN."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = UnknownValue()
"""A value that is known only after apply."""


def decode(data: bytes) -> Any:
    """Python values of a msgpack message; every extension is an unknown (refined ones too)."""
    return msgpack.unpackb(data, ext_hook=lambda _code, _data: UNKNOWN) if data else None


def encode(value: Any) -> bytes:
    """The msgpack message of `value`."""

    def unknown(item: Any) -> Any:
        if item is UNKNOWN:
            return msgpack.ExtType(0, b"\x00")
        raise TypeError(f"cannot send {type(item).__name__} to Terraform")

    packed: bytes = msgpack.packb(value, default=unknown)
    return packed


def is_empty(value: Any) -> bool:
    """True for null and for the zero value of any type."""
    return value is None or (value is not UNKNOWN and not value)


def zero(type_: Type) -> Any:
    """The zero value of a type."""
    if isinstance(type_, str):
        return {"string": "", "number": 0, "bool": False}[type_]
    return {} if type_[0] in {"map", "object"} else []


def has_unknown(value: Any) -> bool:
    """True if an unknown lies anywhere in `value`."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(has_unknown, value))
    return value is UNKNOWN


def equivalent(kind: Attribute | NestedBlock, left: Any, right: Any) -> bool:
    """True if two values of `kind` mean the same: order of sets and null against zero aside."""
    return bool(normal(kind, left) == normal(kind, right))


def normal(kind: Attribute | NestedBlock, value: Any) -> Any:
    """The one form all equivalent values share."""
    if isinstance(kind, Attribute):
        return _normal_type(kind.type, value)
    if value is UNKNOWN:
        return value
    if kind.nesting == "single":
        return None if value is None else _normal_block(kind.block, value)
    items = [_normal_block(kind.block, item) for item in value or []]
    return _in_order(items) if kind.nesting == "set" else items


def _normal_block(block: Block, value: Any) -> Any:
    if value is UNKNOWN:
        return value
    filled: Values = {
        name: normal(item, _with_default(item, value.get(name)))
        for name, item in block.attributes.items()
    }
    filled.update({name: normal(item, value.get(name)) for name, item in block.blocks.items()})
    return filled


def _normal_type(type_: Type, value: Any) -> Any:
    if value is UNKNOWN:
        return value
    if is_empty(value):
        return zero(type_)
    if isinstance(type_, str):
        return value
    kind, inner = type_
    if kind == "object":
        return {name: _normal_type(item, value.get(name)) for name, item in inner.items()}
    if kind == "map":
        return {key: _normal_type(inner, item) for key, item in value.items()}
    items = [_normal_type(inner, item) for item in value]
    return _in_order(items) if kind == "set" else items


def _in_order(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=repr))


def _with_default(attribute: Attribute, value: Any) -> Any:
    return attribute.default if value is None else value


def fill(kind: NestedBlock, value: Any, *, computed: Any) -> Any:
    """A nested block as the official provider plans and stores it: no null inside.

    Args:
        kind: the nested block.
        value: what the configuration says.
        computed: stands for a computed attribute the configuration leaves out
            (UNKNOWN while planning a create, None to mean its zero value).
    """
    if value is UNKNOWN or (kind.nesting == "single"):
        return value
    return [_fill_block(kind.block, item, computed) for item in value or []]


def _fill_block(block: Block, value: Any, computed: Any) -> Any:
    if value is UNKNOWN:
        return value
    filled: Values = {}
    for name, attribute in block.attributes.items():
        item = _with_default(attribute, value.get(name))
        if item is None and attribute.computed:
            item = computed
        filled[name] = zero(attribute.type) if item is None else item
    for name, nested in block.blocks.items():
        filled[name] = fill(nested, value.get(name), computed=computed)
    return filled


def settle(block: Block, state: Values) -> Values:
    """`state` with nothing unknown and with zero values where the official provider has them."""
    settled: Values = {}
    for name, attribute in block.attributes.items():
        value = state.get(name)
        if value is None or value is UNKNOWN:
            value = None if attribute.keeps_null else zero(attribute.type)
        settled[name] = value
    for name, nested in block.blocks.items():
        settled[name] = fill(nested, _known(state.get(name)), computed=None)
    return settled


def _known(value: Any) -> Any:
    """`value` with unknowns as nulls."""
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return None if value is UNKNOWN else value
