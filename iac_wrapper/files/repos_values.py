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
from iac_wrapper.model import processes
from iac_wrapper.model.app_rules import NAME
from iac_wrapper.model.key import (
    MAX_BLOCKS,
    Blocks,
    ByName,
    ByProcess,
    Key,
    Listed,
    ListsByName,
    Misfit,
    Text,
    boolean,
)
from iac_wrapper.model.repos_keys import (
    KEYS,
    OF_ONE_KIND,
    SLUG,
    SOURCES,
    contradiction,
    misplaced,
    mount_clash,
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
    said: dict[str, KeyValue] = {}
    with reader.whole():
        mapping = reader.mapping(node, tuple(KEYS), what)
        for name, key in KEYS.items():
            if name in mapping:
                with reader.part():
                    said[name] = KeyValue(_value(key, mapping[name], reader), mapping[name])
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
            with reader.part():
                raise reader.error(
                    key_node,
                    f"{key.name} cannot be a default: {key.no_default}",
                    expected="any of "
                    + ", ".join(k.name for k in KEYS.values() if not k.no_default),
                    next_step=f"write `{key.name}:` in the entries that it is for",
                )
    return read_keys(node, reader, "defaults")


def _value(key: Key, node: yaml.Node, reader: Reader) -> Any:
    if isinstance(key.form, ByName):
        return _by_name(key, key.form, node, reader)
    if isinstance(key.form, ByProcess):
        return _by_process(key, key.form, node, reader)
    if isinstance(key.form, Listed):
        return _listed(key, key.form, node, reader)
    if isinstance(key.form, ListsByName):
        return _lists_by_name(key, key.form, node, reader)
    if isinstance(key.form, Blocks):
        return _blocks(key, key.form, node, reader)
    return _text(key, key.form, node, reader)


def _listed(key: Key, form: Listed, node: yaml.Node, reader: Reader) -> tuple[Any, ...]:
    found: dict[Any, None] = {}
    for item in _items(key, form.expected, node, reader):
        with reader.part():
            found[_text(key, form.item, item, reader)] = None
    return tuple(found)


def _lists_by_name(
    key: Key, form: ListsByName, node: yaml.Node, reader: Reader
) -> dict[str, tuple[str, ...]]:
    if not isinstance(node, yaml.SequenceNode):
        expected = _with_example(form.expected, key)
        raise reader.error(
            node, f"{key.name} is not a list", found=reader.show(node), expected=expected
        )
    found: dict[str, tuple[str, ...]] = {}
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            named = {
                name: _values(key, form, name, values, reader)
                for name, values in reader.mapping(item, None, key.name).items()
            }
        else:
            named = {reader.text(item, key.name, expected=form.expected): ()}
        for name, values in named.items():
            with reader.at(item):
                form.name.read(name)
            if name in found:
                raise reader.error(
                    item,
                    f"{key.name} names {name} twice",
                    expected="each service once, with all of its rules",
                )
            found[name] = values
    return found


def _values(
    key: Key, form: ListsByName, name: str, node: yaml.Node, reader: Reader
) -> tuple[str, ...]:
    items = node.value if isinstance(node, yaml.SequenceNode) else []
    if not 0 < len(items) <= form.most:
        raise reader.error(
            node,
            f"bad value of {key.name}, {name}",
            found=(
                f"a list of {len(items)}"
                if isinstance(node, yaml.SequenceNode)
                else reader.show(node)
            ),
            expected=f"a list of 1 to {form.most}, each {form.item.expected}",
            next_step=f"write `{name}` alone if it may call everything",
        )
    return tuple(dict.fromkeys(_text(key, form.item, item, reader) for item in items))


def _items(key: Key, expected: str, node: yaml.Node, reader: Reader) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode) and node.value:
        return list(node.value)
    is_empty = isinstance(node, yaml.SequenceNode)
    raise reader.error(
        node,
        f"{key.name} is not a list",
        found="an empty list" if is_empty else reader.show(node),
        expected=_with_example(expected, key),
    )


def _by_process(key: Key, form: ByProcess, node: yaml.Node, reader: Reader) -> dict[str, KeyValues]:
    """What is said of each process; its command is that of an `entrypoint`, None for the line of
    the Procfile."""
    if isinstance(node, yaml.MappingNode):
        found = {}
        for name, value in reader.mapping(node, None, key.name).items():
            with reader.part():
                found[name] = (value, _process(name, value, reader))
    else:
        items = _items(key, form.expected, node, reader)
        texts = [(reader.text(item, key.name, expected=form.expected), item) for item in items]
        found = {name: (item, _of_procfile(item)) for name, item in texts}
    for name, (value, _) in found.items():
        if not NAME.fullmatch(name):
            with reader.part():
                raise reader.error(
                    value,
                    "bad name of a process",
                    found=repr(name),
                    expected="a part of a service's name: a-z, 0-9 and '-', not '-' at an end",
                    next_step="write another name and its command: "
                    'processes: {other-name: "COMMAND"}',
                )
    return {name: said for name, (_, said) in found.items()}


def _process(name: str, node: yaml.Node, reader: Reader) -> KeyValues:
    if not isinstance(node, yaml.MappingNode):
        return _command(node, reader)
    keys = processes.own_keys(KEYS)
    mapping = reader.mapping(node, keys, f"process {name}")
    command = mapping.get(processes.COMMAND)
    said: dict[str, KeyValue] = {}
    with reader.whole():
        if command:
            with reader.part():
                said |= _command(command, reader)
        for key, value in mapping.items():
            if key != processes.COMMAND:
                with reader.part():
                    said[key] = KeyValue(_value(KEYS[key], value, reader), value)
    check_together(said, reader)
    return said


def _command(node: yaml.Node, reader: Reader) -> KeyValues:
    is_text = isinstance(node, yaml.ScalarNode)
    if is_text and node.value == processes.PROCFILE:
        return _of_procfile(node)
    key = KEYS["entrypoint"]
    return {key.name: KeyValue(_value(key, node, reader), node)}


def _of_procfile(node: yaml.Node) -> KeyValues:
    return {"entrypoint": KeyValue(None, node)}


def _text(key: Key, form: Text, node: yaml.Node, reader: Reader) -> Any:
    expected = _with_example(form.expected, key)
    if form.listed and isinstance(node, yaml.SequenceNode):
        texts = [reader.text(item, key.name, expected="text") for item in node.value]
        written = form.listed(texts)
        if written is None:
            raise reader.error(
                node, f"bad value of {key.name}", found="a list of one", expected=expected
            )
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
        with reader.part(), reader.at(value_node):
            try:
                known, value = form.read(name, reader.text(value_node, name, expected=expected))
            except Misfit as misfit:
                raise _misfit(key, misfit) from None
            values[known] = value
    return values


def _blocks(key: Key, form: Blocks, node: yaml.Node, reader: Reader) -> Any:
    written: Any
    if isinstance(node, yaml.ScalarNode):
        written = boolean(reader.text(node, key.name, expected=_with_example(form.expected, key)))
        if written is None:
            raise reader.error(
                node,
                f"bad value of {key.name}",
                found=reader.show(node),
                expected=_with_example(form.expected, key),
            )
    else:
        listed = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not 0 < len(listed) <= MAX_BLOCKS:
            found = f"a list of {len(listed)}"
            expected = f"1 to {MAX_BLOCKS} mappings"
            raise reader.error(node, f"bad value of {key.name}", found=found, expected=expected)
        written = [_block(key, form, each, reader) for each in listed]
    with reader.at(node):
        try:
            return form.make(written)
        except Misfit as misfit:
            raise _misfit(key, misfit) from None


def _block(key: Key, form: Blocks, node: yaml.Node, reader: Reader) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise reader.not_a_mapping(node, key.name, _with_example(form.expected, key))
    fields = {field.name: field for field in form.fields}
    values: dict[str, Any] = {}
    with reader.whole():
        for name, each in reader.mapping(node, tuple(fields), key.name).items():
            with reader.part():
                values[name] = _value(fields[name], each, reader)
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
    values = {name: each.value for name, each in said.items()}
    found = contradiction(values)
    if found:
        node = said[found.key.name].node
        written = found.key.name + (f": {node.value}" * isinstance(node, yaml.ScalarNode))
        at = f" at {reader.where(said[found.other].node)}" if merged else ""
        instead = found.instead
        raise reader.error(
            node,
            found.why,
            found=f"{found.said}{at} and {written}",
            expected="one of the two" + (f", or {instead} and {written}" if instead else ""),
            next_step=f"delete `{written}`"
            + (f", or write `{instead}` if it answers requests" if instead else ""),
        )
    if clash := mount_clash(values):
        raise reader.error(
            said["volumes"].node,
            clash,
            expected="a path of its own for each, none inside another volume's",
            next_step="give it another path",
        )


def over(weak: KeyValues, strong: KeyValues) -> KeyValues:
    """Both, key by key: the strong one's value, and mappings (as `env`) merged by name.

    A slug or an image takes the place of both and of `subdir`: a folder of another repository is
    none of this one. An image in place of a slug, or the other way, also of how that is started.
    """
    gone = _replaced(weak, strong)
    kept = {name: found for name, found in weak.items() if name not in gone}
    merged = dict(kept)
    for name, found in strong.items():
        merged[name] = _merged(kept[name], found, KEYS[name]) if name in kept else found
    return {name: merged[name] for name in KEYS if name in merged}


def _merged(weak: KeyValue, strong: KeyValue, key: Key) -> KeyValue:
    if isinstance(key.form, ByName):
        return KeyValue({**weak.value, **strong.value}, strong.node)
    if isinstance(key.form, ByProcess):
        both = {
            name: over(weak.value.get(name, {}), strong.value.get(name, {}))
            for name in {**weak.value, **strong.value}
        }
        return KeyValue(both, strong.node)
    return strong


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
        if clash and name != "volumes":  # to lose data over a default is no default
            notes.append(f"the default of `{name}` does not apply: {clash.why}")
        else:
            taken[name] = found
    return over(taken, said), tuple(notes)
