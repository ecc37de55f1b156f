"""The official provider's schema as typed values; no behaviour here.

Data: `schema.json` for what is implemented; `other_types.json` for the rest, names and types only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Type = str | list[Any]
"""A Terraform type as its JSON form: ``"string"``, ``["set", "string"]``, ``["object", {…}]``."""


@dataclass(frozen=True)
class Attribute:
    """One attribute.

    `replace`: a change needs a new object. `default`: value when the configuration has none.
    `keeps_null`: the official provider leaves null in the state where others become "" or 0.
    """

    type: Type
    required: bool = False
    optional: bool = False
    computed: bool = False
    sensitive: bool = False
    deprecated: bool = False
    replace: bool = False
    default: str | int | bool | None = None
    keeps_null: bool = False


@dataclass(frozen=True)
class NestedBlock:
    """A block inside a block; `nesting` is ``list``, ``set`` or ``single``.

    `computed`: without one in the configuration, what Docker (or the image) chose is right. The
    protocol has no such flag for blocks; the official provider keeps the choice in the state.
    """

    nesting: str
    block: Block
    min_items: int = 0
    max_items: int = 0
    replace: bool = False
    computed: bool = False


@dataclass(frozen=True)
class Block:
    """Attributes and nested blocks by name."""

    attributes: Mapping[str, Attribute]
    blocks: Mapping[str, NestedBlock]


@dataclass(frozen=True)
class Schema:
    """A versioned block."""

    version: int
    block: Block


@dataclass(frozen=True)
class Schemas:
    """Everything this provider serves: its own configuration, and by type name the resources,
    those that it only knows by name, and the data sources, which it all only knows by name."""

    provider: Schema
    resources: Mapping[str, Schema]
    missing: Mapping[str, Schema] = field(default_factory=dict)
    data_sources: Mapping[str, Schema] = field(default_factory=dict)


@cache
def load_schemas() -> Schemas:
    """Read the files beside this one, once a process."""
    data, others = _read("schema.json"), _read("other_types.json")
    return Schemas(
        provider=_schema(data["provider"]),
        resources=_schemas(data["resources"]),
        missing=_schemas(others["resources"]),
        data_sources=_schemas(others["data_sources"]),
    )


def _read(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _schemas(data: Mapping[str, Any]) -> dict[str, Schema]:
    return {name: _schema(item) for name, item in data.items()}


def _schema(data: Mapping[str, Any]) -> Schema:
    return Schema(version=data["version"], block=_block(data["block"]))


def _block(data: Mapping[str, Any]) -> Block:
    return Block(
        attributes={name: Attribute(**item) for name, item in data["attributes"].items()},
        blocks={
            name: NestedBlock(**{**item, "block": _block(item["block"])})
            for name, item in data.get("blocks", {}).items()
        },
    )
