"""What one mapping of repos.yaml says of a service, and how several of them become one.

A mapping is read by the declarations of its keys (`repos_keys`). Every value keeps its node: an
error names file and line also where the value comes from a default or from another file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model.key import ByName, Key, Misfit, Text
from iac_wrapper.model.repos_keys import (
    KEYS,
    OF_ONE_KIND,
    SLUG,
    SOURCES,
    contradiction,
    misplaced,
)


class KeyValue(NamedTuple):
    """A value of repos.yaml and where it stands."""

    value: Any
    node: yaml.Node


KeyValues = Mapping[str, KeyValue]
"""What is said of a service, by key."""


def read_keys(node: yaml.MappingNode, reader: Reader, what: str) -> KeyValues:
    """The keys of one mapping, each in its form; `what` names the mapping for people.

    Raises:
        ConfigError: a key is unknown, a value has not the form of its key, or two contradict.
    """
    mapping = reader.mapping(node, tuple(KEYS), what)
    said = {
        name: KeyValue(_value(key, mapping[name], reader), mapping[name])
        for name, key in KEYS.items()
        if name in mapping
    }
    check_together(said, reader)
    return said


def source(said: KeyValues) -> KeyValue | None:
    """The slug of an entry, also that of an image; None if it has none."""
    return next((said[name] for name in SOURCES if name in said), None)


def read_slug(node: yaml.Node, reader: Reader) -> KeyValues:
    """An entry that is a slug alone."""
    return {SLUG.name: KeyValue(_value(SLUG, node, reader), node)}


def read_defaults(node: yaml.Node, reader: Reader) -> KeyValues:
    """A mapping that holds for many services.

    Raises:
        ConfigError: as `read`, or a key can only be said of one service.
    """
    if not isinstance(node, yaml.MappingNode):
        raise reader.not_a_mapping(node, "defaults", "KEY: value lines, such as `memory: 256m`")
    for key_node, _ in node.value:
        key = KEYS.get(key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
        if key and key.no_default:
            raise reader.error(
                key_node,
                f"{key.name} cannot be a default: {key.no_default}",
                expected="any of " + ", ".join(k.name for k in KEYS.values() if not k.no_default),
                next_step=f"write `{key.name}:` in the entries that it is for",
            )
    return read_keys(node, reader, "defaults")


def _value(key: Key, node: yaml.Node, reader: Reader) -> Any:
    if isinstance(key.form, ByName):
        return _by_name(key, key.form, node, reader)
    return _text(key, key.form, node, reader)


def _text(key: Key, form: Text, node: yaml.Node, reader: Reader) -> Any:
    expected = _with_example(form.expected, key)
    if form.joined and isinstance(node, yaml.SequenceNode):
        words = [reader.text(item, key.name, expected=expected) for item in node.value]
        written = form.joined(words)
    else:
        written = reader.text(node, key.name, expected=expected)
    if key is SLUG:
        _check_comment(written, node, reader)
    with reader.at(node):
        try:
            return form.read(written)
        except Misfit as misfit:
            raise _misfit(key, misfit) from None


def _by_name(key: Key, form: ByName, node: yaml.Node, reader: Reader) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise reader.not_a_mapping(node, key.name, _with_example(form.expected, key))
    values = {}
    for name, value_node in reader.mapping(node, None, key.name).items():
        expected = form.expected_value.format(name=name)
        with reader.at(value_node):
            try:
                known, value = form.read(name, reader.text(value_node, name, expected=expected))
            except Misfit as misfit:
                raise _misfit(key, misfit) from None
        values[known] = value
    return values


def _with_example(expected: str, key: Key) -> str:
    return f"{expected}; for instance `{key.name}: {key.example}`"


def _misfit(key: Key, misfit: Misfit) -> ConfigError:
    return ConfigError(
        f"bad value of {key.name}",
        found=repr(misfit.found),
        expected=misfit.expected,
        next_step=f"write for instance {key.name}: {key.example}",
    )


def _check_comment(written: str, node: yaml.Node, reader: Reader) -> None:
    lost = reader.glued_comment(node)
    if lost and "#" not in written:
        raise reader.error(
            node,
            f"{lost!r} is a comment in YAML, because of the space before it, not a ref",
            expected=f"{written}{lost} for a ref, `# {lost[1:]}` for a comment",
        )


def check_together(said: KeyValues, reader: Reader, *, merged: bool = False) -> None:
    """Refuse keys that contradict each other; `merged` ones are from several mappings.

    Raises:
        ConfigError: there are some.
    """
    if wrong := misplaced(said):
        key, why = wrong
        raise reader.error(
            said[key.name].node, why, next_step=f"delete one of the lines: {key.name}"
        )
    found = contradiction({name: each.value for name, each in said.items()})
    if found:
        node = said[found.key.name].node
        written = found.key.name + (f": {node.value}" * isinstance(node, yaml.ScalarNode))
        at = f" at {reader.where(said['run'].node)}" if merged else ""
        raise reader.error(
            node,
            found.why,
            found=f"run: {found.run}{at} and {written}",
            expected=f"one of the two, or run: web and {written}",
            next_step=f"delete `{written}`, or write `run: web` if it answers requests",
        )


def over(weak: KeyValues, strong: KeyValues) -> KeyValues:
    """Both, key by key: the strong one's value, and mappings (`env`, `tmpfs`) merged by name.

    A slug or an image takes the place of both and of `subdir`: a folder of another repository is
    none of this one. An image in place of a slug, or the other way, also of how that is started.
    """
    gone = _replaced(weak, strong)
    kept = {name: found for name, found in weak.items() if name not in gone}
    merged = dict(kept)
    for name, found in strong.items():
        if name in kept and isinstance(KEYS[name].form, ByName):
            found = KeyValue({**kept[name].value, **found.value}, found.node)  # noqa: PLW2901
        merged[name] = found
    return {name: merged[name] for name in KEYS if name in merged}


def _replaced(weak: KeyValues, strong: KeyValues) -> set[str]:
    """The keys of `weak` that mean nothing beside the slug or image of `strong`."""
    old, new = (said.keys() & set(SOURCES) for said in (weak, strong))
    if not new:
        return set()
    return {*SOURCES, "subdir", *(OF_ONE_KIND if old and old != new else ())}


def with_defaults(said: KeyValues, defaults: KeyValues) -> tuple[KeyValues, tuple[str, ...]]:
    """`said` over `defaults`, without those that contradict it, and a sentence for each of these.

    A page to ask for may be the default of forty services of which one is a worker.
    """
    taken: dict[str, KeyValue] = {}
    notes = []
    for name, found in defaults.items():
        values = {n: each.value for n, each in said.items()} | {name: found.value}
        clash = None if name in said else contradiction(values)
        if clash:
            notes.append(f"the default of `{name}` does not apply: {clash.why}")
        else:
            taken[name] = found
    return over(taken, said), tuple(notes)
