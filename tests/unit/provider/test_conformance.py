"""The schema served is the official one: as its own record says, and as the bindings say."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from provider import schema
from provider.schema import Attribute, Block, NestedBlock

OFFICIAL = Path(__file__).parents[2] / "data" / "official"
RESOURCES = ("container", "image", "network", "volume")

ENGINE_CANNOT = {
    # The official provider lets these change "in place" and then changes nothing; the engine can
    # change none of them, so here a change makes a new object.
    "docker_container": {"healthcheck", "init", "mounts", "rm", "tmpfs"},
    "docker_image": {"label", "tag"},
    "docker_network": set(),
    "docker_volume": set(),
}


def _flags(attribute: Attribute) -> dict[str, Any]:
    names = ("required", "optional", "computed", "sensitive", "deprecated")
    return {name: True for name in names if getattr(attribute, name)}


def _as_terraform(block: Block) -> dict[str, Any]:
    """The shape of `terraform providers schema -json`."""
    made: dict[str, Any] = {
        "attributes": {n: {"type": a.type, **_flags(a)} for n, a in block.attributes.items()}
    }
    if block.blocks:
        made["block_types"] = {n: _nested(b) for n, b in block.blocks.items()}
    return made


def _nested(nested: NestedBlock) -> dict[str, Any]:
    limits = {n: getattr(nested, n) for n in ("min_items", "max_items") if getattr(nested, n)}
    return {"nesting_mode": nested.nesting, "block": _as_terraform(nested.block), **limits}


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    """A recorded block without what has no meaning (descriptions, empty parts)."""
    made: dict[str, Any] = {
        "attributes": {
            name: {k: v for k, v in item.items() if v and not k.startswith("description")}
            for name, item in block.get("attributes", {}).items()
        }
    }
    if block.get("block_types"):
        made["block_types"] = {
            name: {k: v for k, v in item.items() if v and k != "block"}
            | {"block": _bare(item["block"])}
            for name, item in block["block_types"].items()
        }
    return made


def test_schema_equals_the_record() -> None:
    """Types, nesting, limits, flags and versions, for the provider and every resource known."""
    record = json.loads((OFFICIAL / "schema-3.6.2.json").read_text())
    ours = schema.load_schemas()
    assert _as_terraform(ours.provider.block) == _bare(record["provider"]["block"])
    known = {**ours.resources, **ours.missing}
    assert record["resource_schemas"].keys() <= known.keys()
    for name, theirs in record["resource_schemas"].items():
        assert known[name].version == theirs["version"]
        assert _as_terraform(known[name].block) == _bare(theirs["block"])


@pytest.mark.parametrize("kind", [f"docker_{name}" for name in RESOURCES])
def test_replacements_and_defaults_equal_the_record(kind: str) -> None:
    """Except where the engine cannot do what the official provider claims to do."""
    record = json.loads((OFFICIAL / "behaviour-3.6.2.json").read_text())[kind]
    _check_behaviour(schema.load_schemas().resources[kind].block, record, ENGINE_CANNOT[kind])


def _check_behaviour(block: Block, record: dict[str, Any], exceptions: set[str]) -> None:
    for name, item in record.items():
        if name in block.blocks:
            nested = block.blocks[name]
            if name in exceptions:
                assert nested.replace
                continue
            assert nested.replace is item["replace"], name
            _check_behaviour(nested.block, item.get("block", {}), exceptions)
            continue
        attribute = block.attributes[name]
        assert attribute.replace is (item["replace"] or name in exceptions), name
        if item.get("default"):
            assert json.dumps(attribute.default).strip('"') == item["default"], name


def bindings_folder() -> Path:
    spec = importlib.util.find_spec("cdktf_cdktf_provider_docker")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


class Bindings:
    """Classes of one module of the bindings, read as text: importing them starts Node."""

    def __init__(self, kind: str) -> None:
        self.kind = "".join(part.capitalize() for part in kind.split("_"))
        tree = ast.parse((bindings_folder() / kind / "__init__.py").read_text())
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def properties(self, name: str) -> dict[str, str]:
        """Property names of a class, with their annotations."""
        return {
            node.name: ast.unparse(node.returns)
            for node in self.classes[name].body
            if isinstance(node, ast.FunctionDef) and node.returns and _is_getter(node)
        }


def _is_getter(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(item) == "builtins.property" for item in node.decorator_list)


RENAMED = {"build_attribute": "build", "node_attribute": "node", "global_": "global"}
"""`build` and `node` are members of every construct, `global` is a word of Python's."""
META = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners"}


@pytest.mark.parametrize("kind", RESOURCES)
def test_every_attribute_of_the_bindings_is_served(kind: str) -> None:
    """Names, types, required or optional, nesting, to the last level; nothing is invented."""
    _check_kind(kind, schema.load_schemas().resources[f"docker_{kind}"].block)


def test_every_type_of_the_bindings_is_known() -> None:
    """What is not implemented has the schema all the same, so that its refusal can be said."""
    ours = schema.load_schemas()
    data = {f"data_{name}": item.block for name, item in ours.data_sources.items()}
    others = {name.removeprefix("docker_"): item.block for name, item in ours.missing.items()}
    modules = {path.parent.name for path in bindings_folder().glob("[a-z]*/__init__.py")}
    assert modules - {"provider"} == {*RESOURCES, *data, *others}
    for kind, block in {**data, **others}.items():
        _check_kind(kind, block)


def _check_kind(kind: str, block: Block) -> None:
    bindings = Bindings(kind)
    checked = _check_struct(bindings, f"{bindings.kind}Config", block, bindings.kind)
    assert checked == _configurable(block)
    getters = bindings.properties(bindings.kind)
    computed = {n for n in getters if f"{n}_input" not in getters and not n.endswith("_input")}
    only_computed = {n for n, a in block.attributes.items() if not (a.required or a.optional)}
    assert computed - set(block.blocks) - RENAMED.keys() - META == only_computed


def _configurable(block: Block) -> int:
    attributes = sum(a.required or a.optional for a in block.attributes.values())
    return attributes + sum(1 + _configurable(b.block) for b in block.blocks.values())


def _check_struct(bindings: Bindings, name: str, block: Block, prefix: str) -> int:
    """Compare one struct of the bindings with a block; returns how many properties it saw."""
    checked = 0
    for getter, annotation in bindings.properties(name).items():
        if getter in META:
            continue
        checked += 1
        prop = RENAMED.get(getter, getter)
        if prop in block.attributes:
            attribute = block.attributes[prop]
            assert attribute.required is ("Optional" not in annotation), (name, prop)
            assert _bindings_type(attribute.type) in annotation, (name, prop)
            continue
        nested = block.blocks[prop]
        inner = prefix + "".join(part.capitalize() for part in prop.split("_"))
        assert inner in annotation
        many = re.search(r"typing\.List\[", annotation) is not None
        assert many is (nested.max_items != 1 and nested.nesting != "single"), (name, prop)
        checked += _check_struct(bindings, inner, nested.block, inner)
    return checked


def _bindings_type(type_: Any) -> str:
    if isinstance(type_, str):
        return {"string": "builtins.str", "number": "jsii.Number", "bool": "builtins.bool"}[type_]
    return {"map": "typing.Mapping[builtins.str, builtins.str]"}.get(
        type_[0], "typing.List[builtins.str]"
    )
