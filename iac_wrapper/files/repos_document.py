"""One repos file as it is written: entries, defaults and environments, each value in its form.

Nothing is merged here, and no environment is chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from iac_wrapper.files import repos_values
from iac_wrapper.files.repos_entry import service_name
from iac_wrapper.files.repos_values import KeyValues
from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model import app_rules
from iac_wrapper.model.environment import ENVIRONMENT
from iac_wrapper.model.key import Misfit
from iac_wrapper.model.limits import MAX_ENTRIES, MAX_ENVIRONMENTS

SPLIT = "split it into projects, each with a file of its own (`--project`)"
EXAMPLE = "a list of slugs, such as `- gh:owner/repo`"

_WRITE = "write a line such as `- gh:owner/repo`"


@dataclass(frozen=True)
class Entry:
    """What one entry says, and of which service; `where` is ``file:line``."""

    name: str
    said: KeyValues
    where: str


@dataclass(frozen=True)
class Environment:
    """What is different in one environment.

    `services` is by name; `only` and `left_out` are the names of services that are, or are not, a
    part of it, None where that is not said. `node` is where it stands.
    """

    node: yaml.Node
    defaults: KeyValues = field(default_factory=dict)
    services: Mapping[str, tuple[KeyValues, yaml.Node]] = field(default_factory=dict)
    only: Mapping[str, yaml.Node] | None = None
    left_out: Mapping[str, yaml.Node] | None = None


@dataclass(frozen=True)
class Document:
    """A file, or several that were merged."""

    entries: tuple[Entry, ...] = ()
    defaults: KeyValues = field(default_factory=dict)
    environments: Mapping[str, Environment] = field(default_factory=dict)


def read_document(root: yaml.Node | None, reader: Reader) -> Document:
    """The file whose root is `root`.

    Raises:
        ConfigError: it says something wrong.
    """
    if not isinstance(root, yaml.MappingNode) or not root.value:
        return Document(_entries(root, reader))
    mapping = reader.mapping(root, ("apps", "defaults", "environments"), "the repos file")
    entries: tuple[Entry, ...] = ()
    defaults: KeyValues = {}
    environments: dict[str, Environment] = {}
    if "apps" in mapping:
        with reader.part():
            entries = _entries(mapping["apps"], reader)
    if "defaults" in mapping:
        with reader.part():
            defaults = repos_values.read_defaults(mapping["defaults"], reader)
    if "environments" in mapping:
        with reader.part():
            environments = _environments(mapping["environments"], reader)
    return Document(entries, defaults, environments)


def _entries(root: yaml.Node | None, reader: Reader) -> tuple[Entry, ...]:
    if root is None or reader.is_null(root):
        raise reader.error(root, "the repos file is empty", expected=EXAMPLE, next_step=_WRITE)
    if not isinstance(root, yaml.SequenceNode):
        raise reader.error(
            root,
            "not a list of apps",
            found=reader.show(root),
            expected=EXAMPLE,
            next_step="write each app on a line of its own, after `- `",
        )
    if not root.value:
        raise reader.error(root, "the list of apps is empty", expected=EXAMPLE, next_step=_WRITE)
    if len(root.value) > MAX_ENTRIES:
        raise reader.error(
            root,
            "too many apps",
            found=str(len(root.value)),
            expected=f"at most {MAX_ENTRIES}",
            next_step=SPLIT,
        )
    entries = []
    for node in root.value:
        with reader.part():
            entries.append(read_entry(node, reader))
    return tuple(entries)


def read_entry(node: yaml.Node, reader: Reader, base: Path | None = None) -> Entry:
    """One entry; `base` is what relative paths start from, the file's folder if None.

    Raises:
        ConfigError: it says something wrong, or neither slug, image nor name.
    """
    if not isinstance(node, yaml.MappingNode):
        said = repos_values.read_slug(node, reader)
    else:
        said = repos_values.read_keys(node, reader, "an app")
    where = reader.where(node)
    if repos_values.source(said):
        return Entry(service_name(said, reader, base), said, where)
    if "name" not in said:
        raise reader.error(node, "an app without slug", expected="slug: gh:owner/repo")
    return Entry(str(said["name"].value), said, where)


def _environments(node: yaml.Node, reader: Reader) -> dict[str, Environment]:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise reader.not_a_mapping(node, "environments", "a mapping by name, such as `staging: {}`")
    if len(node.value) > MAX_ENVIRONMENTS:
        raise reader.error(
            node,
            "too many environments",
            found=str(len(node.value)),
            expected=f"at most {MAX_ENVIRONMENTS}",
        )
    found = {}
    for name, value in reader.mapping(node, None, "environments").items():
        with reader.part():
            try:
                found[ENVIRONMENT.read(name)] = _environment(value, reader, name)
            except Misfit as misfit:
                raise reader.error(
                    value,
                    "bad name of an environment",
                    found=repr(name),
                    expected=misfit.expected,
                ) from None
    return found


def _environment(node: yaml.Node, reader: Reader, name: str) -> Environment:
    if reader.is_null(node):
        return Environment(node)
    what = f"environment {name}"
    if not isinstance(node, yaml.MappingNode):
        raise reader.not_a_mapping(node, what, "defaults, services, only or except; or {}")
    mapping = reader.mapping(node, ("defaults", "services", "only", "except"), what)
    if "only" in mapping and "except" in mapping:
        raise reader.error(
            mapping["except"],
            f"{what} has both only and except",
            expected="one of the two",
            next_step="delete `except:`; what `only:` does not list is left out anyway",
        )
    found = Environment(node)
    if "defaults" in mapping:
        with reader.part():
            defaults = repos_values.read_defaults(mapping["defaults"], reader)
            found = replace(found, defaults=defaults)
    if "services" in mapping:
        with reader.part():
            found = replace(found, services=_services(mapping["services"], reader))
    if "only" in mapping:
        with reader.part():
            found = replace(found, only=_names(mapping["only"], reader, "only"))
    if "except" in mapping:
        with reader.part():
            found = replace(found, left_out=_names(mapping["except"], reader, "except"))
    return found


def _services(node: yaml.Node, reader: Reader) -> dict[str, tuple[KeyValues, yaml.Node]]:
    expected = "service names with keys below them, such as `orders: {memory: 1g}`"
    if not isinstance(node, yaml.MappingNode):
        raise reader.not_a_mapping(node, "services", expected)
    found: dict[str, tuple[KeyValues, yaml.Node]] = {}
    for name, value in reader.mapping(node, None, "services").items():
        with reader.part():
            found |= _service(name, value, reader)
    return found


def _service(name: str, node: yaml.Node, reader: Reader) -> dict[str, tuple[KeyValues, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise reader.not_a_mapping(node, f"service {name}", "keys of an entry: `memory: 1g`")
    said = repos_values.read_keys(node, reader, f"service {name}")
    if "name" in said:
        raise reader.error(
            said["name"].node,
            "an environment cannot give a service another name",
            found=f"name: {said['name'].value}",
            expected=f"other keys; {name} is the name",
            next_step="delete the line",
        )
    with reader.at(node):
        return {app_rules.check_name(name): (said, node)}


def _names(node: yaml.Node, reader: Reader, key: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise reader.error(
            node,
            f"{key} is not a list of services",
            found="an empty list" if isinstance(node, yaml.SequenceNode) else reader.show(node),
            expected=f"names, such as `{key}: [orders]`",
        )
    names = {}
    for item in node.value:
        with reader.part(), reader.at(item):
            name = app_rules.check_name(reader.text(item, key, expected="a service name"))
            names[name] = item
    return names
