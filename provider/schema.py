"""The official provider's schema as typed values. Data in `schema.json`; no behaviour here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    """A block inside a block; `nesting` is ``list``, ``set`` or ``single``."""

    nesting: str
    block: Block
    min_items: int = 0
    max_items: int = 0
    replace: bool = False


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
    """Everything this provider serves: its own configuration and the resources by type name."""

    provider: Schema
    resources: Mapping[str, Schema]


@cache
def load() -> Schemas:
    """Read `schema.json` beside this file, once a process."""
    data = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
    return Schemas(
        provider=_schema(data["provider"]),
        resources={name: _schema(item) for name, item in data["resources"].items()},
    )


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
