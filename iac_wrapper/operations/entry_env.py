"""What repos files say in `env:` of their services: each variable, and which line it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.files.repos_document import Document
from iac_wrapper.files.repos_merge import near
from iac_wrapper.files.repos_values import KeyValues
from iac_wrapper.model import processes, references
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Variable:
    """A variable of a service as it is written: `origin` says in which part, `where` is
    ``file:line``."""

    service: str
    name: str
    value: str
    origin: str
    where: str

    @property
    def references(self) -> tuple[str, ...]:
        """The variables that its value refers to."""
        return references.names(self.value)


@dataclass(frozen=True)
class Lists:
    """Repos files that are good together, and which of their environments is meant.

    `services` are the entries of that environment; without one, all.
    """

    paths: tuple[Path, ...]
    texts: tuple[str, ...]
    documents: tuple[Document, ...]
    environment: str | None
    services: tuple[str, ...]

    @property
    def unnamed(self) -> tuple[str, ...]:
        """The environments that there are, if none of them is meant."""
        if self.environment is not None:
            return ()
        return tuple(dict.fromkeys(name for each in self.documents for name in each.environments))

    def variables(self, service: str) -> dict[str, Variable]:
        """The variables of a service by name, each from where it wins."""
        found: dict[str, Variable] = {}
        for origin, said in self._layers(service):
            for name, value, where in _variables(said):
                found.setdefault(name, Variable(service, name, value, origin, where))
        return dict(sorted(found.items()))

    def used(self) -> dict[str, set[str]]:
        """Which entries refer to a variable of the deploy, by its name."""
        found: dict[str, set[str]] = {}
        for service in self.services:
            envs = [variable.value for variable in self.variables(service).values()]
            envs += [value for env in self._processes(service) for value in env.values()]
            for name in {name for value in envs for name in references.names(value)}:
                found.setdefault(name, set()).add(service)
        return found

    def check_service(self, service: str) -> None:
        """Refuse what is no entry.

        Raises:
            ConfigError: names those that there are.
        """
        if service in self.services:
            return
        for entry in self.services:
            if service in self._process_names(entry):
                raise ConfigError(
                    f"{service} is a process of {entry}, and has the `env:` of that",
                    where=str(self.paths[-1]),
                    expected=near(service, self.services),
                    next_step=f"name {entry}, or write an `env:` of its own below"
                    f" `{processes.KEY}:` by hand",
                )
        within = f"environment {self.environment}" if self.environment else "the list"
        raise ConfigError(
            f"{service} is no service of {within}",
            where=" and ".join(map(str, self.paths)),
            expected=near(service, self.services),
            next_step="name one of these, or another list with --file",
        )

    def _layers(self, service: str) -> Iterator[tuple[str, KeyValues]]:
        """What is said of a service, the strongest first."""
        later_first, name = self.documents[::-1], self.environment or ""
        chosen = [each.environments[name] for each in later_first if name in each.environments]
        for part in chosen:
            if service in part.services:
                yield f"environment {name}", part.services[service][0]
        for said in self._said(service):
            yield "entry", said
        for part in chosen:
            yield f"defaults of environment {name}", part.defaults
        for document in later_first:
            yield "defaults", document.defaults

    def _said(self, service: str) -> Iterator[KeyValues]:
        for document in reversed(self.documents):
            yield from (entry.said for entry in document.entries if entry.name == service)

    def _process_names(self, entry: str) -> set[str]:
        said = [each for each in self._said(entry) if processes.KEY in each]
        names = {name for each in said for name in each[processes.KEY].value}
        return {processes.service(entry, name) for name in names}

    def _processes(self, service: str) -> Iterator[Mapping[str, str]]:
        for _, said in self._layers(service):
            if processes.KEY in said:
                for own in said[processes.KEY].value.values():
                    yield own["env"].value if "env" in own else {}


def read(files: Sequence[Path], environment: str | None) -> Lists:
    """Repos files, a later one over those before it.

    Raises:
        ConfigError: one is bad, or there is no such environment.
    """
    texts = tuple(repos_file.read_text(path) for path in files)
    documents = repos_file.check(*zip(texts, files, strict=True))
    services = {entry.name for document in documents for entry in document.entries}
    if environment is not None:
        specs = repos_file.load_entries(*files, environment=environment)
        services &= {spec.name for spec in specs}
    return Lists(tuple(files), texts, tuple(documents), environment, tuple(sorted(services)))


def _variables(said: KeyValues) -> Iterator[tuple[str, str, str]]:
    """Name, value and place."""
    if "env" not in said:
        return
    values, node = said["env"]
    lines = {
        key.value: f"{key.start_mark.name}:{key.start_mark.line + 1}"
        for key, _ in (node.value if isinstance(node, yaml.MappingNode) else ())
    }
    for name, value in values.items():
        yield name, value, lines[name]


def sources(workspace: Workspace, names: Iterable[str]) -> dict[str, str]:
    """Who says what ``${NAME}`` stands for, by the name: "environment" (or `.env`), "stored", or
    "command", which is not asked; a name that nobody knows is left out."""
    said, known = workspace.settings.environment, workspace.known_variables()
    found = {name: "stored" if known[name] != said.get(name) else "environment" for name in known}
    asked = dict.fromkeys(names, "command") if workspace.settings.secrets_command else {}
    return {**asked, **found}
