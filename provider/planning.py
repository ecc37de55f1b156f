"""What a change means: the planned values and the attributes that force a new object.

Generic over schemas; a resource adds its exceptions as `Rules`. It must not know Docker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .schema import Attribute, Block, NestedBlock
from .values import UNKNOWN, Values, equivalent, fill, is_empty, normal


@dataclass(frozen=True)
class Rules:
    """A resource's exceptions to the schema.

    `same`: per attribute or block, extra cases in which prior (first) and desired mean the same.
    `replace`: per attribute, cases in which an otherwise updatable change needs a new object.
    """

    same: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    replace: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourcePlan:
    """`planned` values and the names of the attributes that force a replacement."""

    planned: Values
    replace: tuple[str, ...] = ()


def plan_create(block: Block, desired: Values) -> ResourcePlan:
    """The plan of a new object: defaults filled in, computed values unknown."""
    planned: Values = {}
    for name, attribute in block.attributes.items():
        value = desired.get(name)
        if value is None:
            value = attribute.default
        if value is None and attribute.computed:
            value = UNKNOWN
        planned[name] = value
    for name, nested in block.blocks.items():
        planned[name] = fill(nested, desired.get(name), computed=UNKNOWN)
    return ResourcePlan(planned)


def plan_update(block: Block, prior: Values, desired: Values, rules: Rules) -> ResourcePlan:
    """The plan of an existing object: `prior` wherever `desired` means the same.

    Args:
        block: the resource's schema.
        prior: its state.
        desired: the configuration, with prior values where computed attributes are left out
            (Terraform's "proposed new state").
        rules: the resource's exceptions.
    """
    planned: Values = {}
    replace: list[str] = []
    for name, attribute in block.attributes.items():
        old, new = prior.get(name), desired.get(name)
        if new is None:
            new = attribute.default
        if _unchanged(attribute, old, new) or _same(rules, name, old, new):
            planned[name] = old
            continue
        planned[name] = new
        if attribute.replace or rules.replace.get(name, _never)(old, new):
            replace.append(name)
    for name, nested in block.blocks.items():
        old, new = prior.get(name), fill(nested, desired.get(name), computed=None)
        left_out = nested.computed and not new
        if left_out or equivalent(nested, old, new) or _same(rules, name, old, new):
            planned[name] = old
            continue
        planned[name] = new
        if nested.replace or _inner_replace(nested, old, new):
            replace.append(name)
    return ResourcePlan(planned, tuple(replace))


def _unchanged(attribute: Attribute, old: Any, new: Any) -> bool:
    if attribute.computed and not (attribute.optional or attribute.required):
        return True
    if attribute.computed and not isinstance(new, bool | int) and is_empty(new):
        # An empty string or collection for something Docker computes means "not set".
        return True
    return equivalent(attribute, old, new)


def _same(rules: Rules, name: str, old: Any, new: Any) -> bool:
    return new is not UNKNOWN and rules.same.get(name, _never)(old, new)


def _never(_old: Any, _new: Any) -> bool:
    return False


def _inner_replace(nested: NestedBlock, old: Any, new: Any) -> bool:
    """True if a difference between two values of a block touches something that forces it."""
    left, right = normal(nested, old), normal(nested, new)
    if not isinstance(left, list) or not isinstance(right, list):
        return _forces(nested.block) if UNKNOWN in (left, right) else False
    if len(left) != len(right):
        return _forces(nested.block)
    return any(
        _item_replace(nested.block, a, b) for a, b in zip(left, right, strict=True) if a != b
    )


def _item_replace(block: Block, old: Any, new: Any) -> bool:
    if UNKNOWN in (old, new):
        return _forces(block)
    for name, attribute in block.attributes.items():
        if attribute.replace and old[name] != new[name]:
            return True
    return any(
        (inner.replace and old[name] != new[name]) or _inner_replace(inner, old[name], new[name])
        for name, inner in block.blocks.items()
    )


def _forces(block: Block) -> bool:
    return any(item.replace for item in block.attributes.values()) or any(
        inner.replace or _forces(inner.block) for inner in block.blocks.values()
    )
