"""Several repos files become one: a later one wins, key by key, over those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.repos_document import Document, Entry, Environment
from iac_wrapper.files.repos_values import check_together, over, source
from iac_wrapper.files.yaml_nodes import Reader


def check_unique(services: Iterable[tuple[str, str, str]]) -> None:
    """Refuse two services of one name: it is a certificate's, a host's and a construct's.

    Args:
        services: name, slug and place of each.

    Raises:
        ConfigError: two have one name.
    """
    for error in namesakes(services):
        raise error


def namesakes(services: Iterable[tuple[str, str, str]]) -> Iterator[ConfigError]:
    """Every error of `check_unique`."""
    seen: dict[str, tuple[str, str]] = {}
    for name, slug, where in services:
        if name in seen:
            yield ConfigError(
                f"two services are called {name!r}",
                where=where,
                found=f"{slug}; and {seen[name][0]} at {seen[name][1]}",
                expected="one name per service",
                next_step="write one of them as `- slug: …` with `name: another-name`",
            )
        else:
            seen[name] = (slug, where)


def merge(first: Document, second: Document, reader: Reader) -> Document:
    """`second` over `first`.

    Raises:
        ConfigError: an entry of `second` has no slug, and `first` has no service of its name; or
            two keys of one service contradict each other.
    """
    entries = {entry.name: entry for entry in first.entries}
    for entry in second.entries:
        known = entries.get(entry.name)
        if known:
            said = over(known.said, entry.said)
            check_together(said, reader, merged=True)
            entries[entry.name] = replace(known, said=said)
        elif source(entry.said):
            entries[entry.name] = entry
        else:
            raise _without_slug(entry, entries)
    environments = dict(first.environments)
    for name, environment in second.environments.items():
        known_one = environments.get(name)
        environments[name] = _merged(known_one, environment) if known_one else environment
    return Document(tuple(entries.values()), over(first.defaults, second.defaults), environments)


def _without_slug(entry: Entry, entries: Mapping[str, Entry]) -> ConfigError:
    others = f", or the name of a service of the files before: {near(entry.name, entries)}"
    return ConfigError(
        "an app without slug",
        where=entry.where,
        found=f"name: {entry.name}",
        expected="slug: gh:owner/repo" + (others if entries else ""),
        next_step=f"correct {entry.where}",
    )


def _merged(first: Environment, second: Environment) -> Environment:
    services = dict(first.services)
    for name, (said, node) in second.services.items():
        known = services.get(name)
        services[name] = (over(known[0], said) if known else said, node)
    chosen = second if second.only or second.left_out else first
    return Environment(
        second.node,
        over(first.defaults, second.defaults),
        services,
        chosen.only,
        chosen.left_out,
    )


def near(name: str, names: Iterable[str]) -> str:
    """The names there are, after the likeliest."""
    every = list(names)
    meant = get_close_matches(name, every, n=1)
    return (f"{meant[0]!r}; of " if meant else "one of ") + ", ".join(every)
