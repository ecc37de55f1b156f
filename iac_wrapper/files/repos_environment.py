"""From a repos file to the services of one environment, or of the file if it has none.

What is said of one service wins over what is said of all, an environment over the rest:
`environments.NAME.services`, the entry, `environments.NAME.defaults`, `defaults`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

import yaml

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.repos_document import Document, Entry, Environment
from iac_wrapper.files.repos_entry import entry_specs
from iac_wrapper.files.repos_merge import namesakes, near
from iac_wrapper.files.repos_values import KeyValues, check_together, over, with_defaults
from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model import needs, policy
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.limits import MAX_ENTRIES


def specs(document: Document, environment: str | None, reader: Reader) -> list[AppSpec]:
    """The services of `environment` in their order; None: of a file without environments.

    All environments are worked out, so that a mistake in production does not wait for it.

    Raises:
        ConfigError: there is no such environment, or the file has some and none is named; one
            names a service that is not there or leaves none; or two keys of one service
            contradict each other.
    """
    if not document.environments and environment is None:
        plain: list[tuple[Entry, KeyValues]] = [(entry, {}) for entry in document.entries]
        return _checked(_each(plain, [document.defaults], reader), reader)
    chosen = None
    for name, each in document.environments.items():
        with reader.part():
            found = _in_environment(document, name, each, reader)
            chosen = found if name == environment else chosen
    if chosen is None:
        raise _no_environment(environment, list(document.environments), reader)
    return chosen


def _no_environment(environment: str | None, names: list[str], reader: Reader) -> ConfigError:
    if not names:
        return reader.error(
            None,
            f"there is no environment {environment}",
            found="a file without `environments:`",
            next_step="leave --env out, or write `environments: {" + f"{environment}: {{}}}}`",
        )
    return reader.error(
        None,
        f"there is no environment {environment}" if environment else "which environment?",
        found=f"the environments {', '.join(names)}",
        expected=near(environment, names) if environment else "--env with one of them",
        next_step=f"add --env {names[0]} to the command",
    )


def _in_environment(
    document: Document, name: str, environment: Environment, reader: Reader
) -> list[AppSpec]:
    names = {entry.name: entry for entry in document.entries}
    said = {service: node for service, (_, node) in environment.services.items()}
    for service, node in [
        *said.items(),
        *(environment.only or {}).items(),
        *(environment.left_out or {}).items(),
    ]:
        if service not in names:
            raise _unknown(service, name, names, node, reader)
    here = [
        entry
        for entry in document.entries
        if (environment.only is None or entry.name in environment.only)
        and entry.name not in (environment.left_out or {})
    ]
    if not here:
        raise reader.error(
            environment.node,
            f"environment {name} leaves no service",
            expected="at least one that `except:` does not name",
        )
    for service in said.keys() - {entry.name for entry in here}:
        raise reader.error(
            said[service],
            f"environment {name} leaves {service} out, and says something of it",
            expected="one of the two",
            next_step=f"delete `{service}:` here, or let {name} have the service",
        )
    defaults = [environment.defaults, document.defaults]
    services = environment.services
    entries = [(e, services[e.name][0] if e.name in services else {}) for e in here]
    return _checked(_each(entries, defaults, reader), reader)


def _each(
    entries: Iterable[tuple[Entry, KeyValues]], defaults: list[KeyValues], reader: Reader
) -> list[AppSpec]:
    """What entries make, each with what is said over it."""
    found: list[AppSpec] = []
    with reader.whole():
        for entry, override in entries:
            with reader.part():
                found += _specs(entry, override, defaults, reader)
    return found


def _checked(found: list[AppSpec], reader: Reader) -> list[AppSpec]:
    """`found`, if they can be services of one project."""
    if len(found) > MAX_ENTRIES:
        raise reader.error(
            None,
            "too many services, the processes of entries included",
            found=str(len(found)),
            expected=f"at most {MAX_ENTRIES}",
        )
    needing = {s.name: needs.Needing(s.options.needs, s.needs_where) for s in found}
    granting = {s.name: policy.Granting(s.options.allow, s.allow_where) for s in found}
    for error in chain(
        namesakes((spec.name, spec.slug.text, spec.where) for spec in found),
        needs.problems(needing),
        policy.problems(granting),
    ):
        with reader.part():
            raise error
    return found


def _specs(
    entry: Entry, override: KeyValues, defaults: list[KeyValues], reader: Reader
) -> list[AppSpec]:
    """What one entry makes: `override` over it, that over `defaults`, the strongest one first."""
    said = over(entry.said, override)
    check_together(said, reader, merged=True)
    notes: tuple[str, ...] = ()
    for each in defaults:
        said, more = with_defaults(said, each)
        notes += more
    check_together(said, reader, merged=True)
    own, *others = entry_specs(entry.name, said, reader, None, entry.where)
    return [replace(own, notes=notes), *others]


def _unknown(
    service: str, environment: str, names: Iterable[str], node: yaml.Node, reader: Reader
) -> ConfigError:
    return reader.error(
        node,
        f"environment {environment} names a service that the file does not have",
        found=service,
        expected=near(service, names),
    )
