"""`env:` of one service in a repos file, changed as a person would: the rest stays as written.

A secret value goes into a file of its project, and a ``${NAME}`` for it into the list. Either all
of it is done or nothing.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock, repos_edit, repos_file, stored_values
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.repos_edit import CannotEditError, Way
from iac_wrapper.model import app_rules
from iac_wrapper.model.redact import Redactor
from iac_wrapper.operations import entry_env, secret_reference
from iac_wrapper.operations.entry_env import Lists, Variable
from iac_wrapper.operations.workspace import Workspace


@dataclass(frozen=True)
class Edited:
    """What was changed: `written` are variables in `file`, `stored` those whose secret value was
    stored, with the name that stands for it, `forgotten` such names of which nothing is stored any
    more. `services` is the service, and others that use the same values. `left` is what weaker
    parts still say; `environments` are those of a list of which none was named, as all are meant.
    """

    file: Path
    written: tuple[str, ...]
    services: tuple[str, ...]
    environments: tuple[str, ...]
    stored: Mapping[str, str]
    forgotten: tuple[str, ...] = ()
    left: tuple[Variable, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON; it holds no value."""
        return {
            "file": str(self.file),
            "written": list(self.written),
            "stored": dict(self.stored),
            "forgotten": list(self.forgotten),
            "services": list(self.services),
        }


def check(
    workspace: Workspace, files: Sequence[Path], service: str, secrets: Sequence[str]
) -> None:
    """Refuse what `set_values` would refuse whatever the values are, before a person types them.

    Raises:
        ConfigError: as of `set_values`.
    """
    lists = _lists(workspace, files, service, secrets)
    for name in secrets:
        secret_reference.find(workspace, lists, service, name)


def set_values(
    workspace: Workspace,
    files: Sequence[Path],
    service: str,
    plain: Mapping[str, str],
    secrets: Mapping[str, str],
) -> Edited:
    """Give variables of a service values, `secrets` by reference.

    Raises:
        ConfigError: the lists are bad, the service is not in them, a name or a value cannot be one,
            or only a person can change the file.
    """
    for name, value in plain.items():
        _check(name, value, service)
    for name, value in secrets.items():
        _check_secret(name, value)
    with _alone(workspace):
        lists = _lists(workspace, files, service, tuple(secrets))
        used, known = lists.used(), lists.variables(service)
        names = {name: secret_reference.find(workspace, lists, service, name) for name in secrets}
        new = {name: ref for name, ref in names.items() if not secret_reference.refers(name, known)}
        wanted = {**plain, **{name: f"${{{ref}}}" for name, ref in new.items()}}
        file, way, _ = _place(lists, service)
        text = lists.texts[file]
        path = lists.paths[file]
        changed = [name for name, value in wanted.items() if _value(known, name) != value]
        for name in changed:
            with _by_hand(path, service, f"{name}: …"):
                text = repos_edit.put(text, (*way, name), wanted[name], is_json=_is_json(path))
        after = _check_result(lists, file, text, service, wanted)
        stored = workspace.layout.stored_values(workspace.project)
        values = stored_values.load(stored)
        gone = _unused(values, known, changed, after)
        kept = {name: value for name, value in values.items() if name not in gone}
        _write(path, text, stored, {**kept, **{names[n]: v for n, v in secrets.items()}})
    others = {each for ref in names.values() for each in used.get(ref, ())} - {service}
    return Edited(path, tuple(changed), (service, *sorted(others)), lists.unnamed, names, gone)


def unset(
    workspace: Workspace, files: Sequence[Path], service: str, names: Sequence[str]
) -> Edited:
    """Take variables of a service away, and stored values that nothing refers to any more.

    Raises:
        ConfigError: as of `set_values`; or the service does not say one of them itself.
    """
    with _alone(workspace):
        lists = _lists(workspace, files, service, ())
        known = lists.variables(service)
        file, way, stays = _place(lists, service)
        text = lists.texts[file]
        path = lists.paths[file]
        for name in dict.fromkeys(names):
            _check_own(lists, service, name, known, path)
            with _by_hand(path, service, f"{name}: …"):
                text = repos_edit.drop(text, (*way, name), stays=stays, is_json=_is_json(path))
        after = _check_result(lists, file, text, service, {})
        stored = workspace.layout.stored_values(workspace.project)
        values = stored_values.load(stored)
        gone = _unused(values, known, names, after)
        kept = {name: value for name, value in values.items() if name not in gone}
        _write(path, text, stored, kept)
    weaker = after.variables(service)
    left = tuple(weaker[name] for name in names if name in weaker)
    return Edited(path, tuple(names), (service,), lists.unnamed, {}, gone, left)


def _lists(
    workspace: Workspace, files: Sequence[Path], service: str, secrets: Sequence[str]
) -> Lists:
    lists = entry_env.read(files, workspace.environment)
    if secrets and lists.environment is None:
        # The project of a secret is the environment's: an error says which there are.
        repos_file.load_entries(*files)
    lists.check_service(service)
    return lists


def _check(name: str, value: str, service: str) -> None:
    if Redactor()(value) != value:
        raise ConfigError(
            f"the value of {name} looks like a key, token or password",
            where="argument",
            found="a secret for a file that is meant to be committed",
            expected="its value on standard input, or typed",
            next_step=f"iac env set {service} --secret {name}; and change it,"
            " as your shell has noted it",
        )
    try:
        app_rules.check_env_name(name)
        app_rules.check_env_value(name, value)
    except ConfigError as error:
        error.where = "argument"
        raise


def _check_secret(name: str, value: str) -> None:
    app_rules.check_env_name(name)
    app_rules.check_env_size(name, value)
    if "\0" in value:
        raise ConfigError(
            f"the value of {name} holds a NUL character",
            expected="text",
            next_step="encode what is binary, as base64 for instance",
        )


def _value(known: Mapping[str, Variable], name: str) -> str | None:
    return known[name].value if name in known else None


def _unused(
    values: Mapping[str, str], known: Mapping[str, Variable], changed: Sequence[str], after: Lists
) -> tuple[str, ...]:
    """The stored values that `changed` variables referred to, and nothing refers to any more."""
    old = {ref for name in changed if name in known for ref in known[name].references}
    return tuple(sorted(old & {*values} - {*after.used()}))


def _place(lists: Lists, service: str) -> tuple[int, Way, int]:
    """Which file, the way to the service's `env:` in it, and how many steps of that stay."""
    numbered = list(enumerate(lists.documents))[::-1]
    name = lists.environment
    if name is not None:
        file = next(n for n, document in numbered if name in document.environments)
        return file, ("environments", name, "services", service, "env"), 2
    file, at = next(
        (n, at)
        for n, document in numbered
        for at, entry in enumerate(document.entries)
        if entry.name == service
    )
    way = (*repos_edit.apps(lists.texts[file], is_json=_is_json(lists.paths[file])), at)
    return file, (*way, "env"), len(way)


def _check_own(
    lists: Lists, service: str, name: str, known: Mapping[str, Variable], path: Path
) -> None:
    """Refuse a variable that the part in question does not say."""
    if name not in known:
        raise ConfigError(
            f"{service} has no variable {name}",
            where=str(path),
            expected="one of " + ", ".join(known) if known else "a service with `env:`",
            next_step=f"iac env list {service} shows those that there are",
        )
    part = f"environment {lists.environment}" if lists.environment else "entry"
    if known[name].origin != part or not known[name].where.startswith(f"{path}:"):
        raise ConfigError(
            f"{name} is not from the {part} of {service}",
            where=known[name].where,
            found=f"{name}, said by: {known[name].origin}",
            next_step="delete that line by hand if it may go for all that it is for",
        )


def _check_result(
    lists: Lists, file: int, text: str, service: str, wanted: Mapping[str, str]
) -> Lists:
    """The lists with the new text, if they are good and the service gets what is wanted.

    Raises:
        ConfigError: they are not; or a later file says something else.
    """
    texts = tuple(text if n == file else each for n, each in enumerate(lists.texts))
    documents = repos_file.check(*zip(texts, lists.paths, strict=True))
    after = replace(lists, texts=texts, documents=tuple(documents))
    found = after.variables(service)
    for name, value in wanted.items():
        if found[name].value != value:
            raise ConfigError(
                f"{found[name].origin} says another value of {name}, and wins",
                where=found[name].where,
                next_step=f"change {found[name].where} by hand",
            )
    return after


@contextmanager
def _by_hand(path: Path, service: str, line: str) -> Iterator[None]:
    try:
        yield
    except CannotEditError:
        raise ConfigError(
            "the file is written in a way that only a person can change: nothing was written",
            where=str(path),
            found="an anchor that others share, or a comment in the way",
            expected="`env:` of the service as lines of its own",
            next_step=f"change `{line}` of {service} in {path} by hand",
        ) from None


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """One change at a time in a project folder: each begins with what the last one wrote."""
    with file_lock.hold(os.open(workspace.layout.root, os.O_RDONLY | os.O_CLOEXEC)):
        yield


def _write(path: Path, text: str, stored: Path, values: Mapping[str, str]) -> None:
    """Both files; the stored values first and those that go last, so that no list refers to what is
    not there."""
    known = stored_values.load(stored)
    both = {**known, **values}
    if both != known:
        stored_values.save(stored, both)
    try:
        if text != repos_file.read_text(path):
            _replace(path.resolve(), text)
    except BaseException:
        stored_values.save(stored, known)
        raise
    if both != values:
        stored_values.save(stored, values)


def _replace(path: Path, text: str) -> None:
    with path.open("rb") as file:
        mark = codecs.BOM_UTF8 if file.read(3) == codecs.BOM_UTF8 else b""
    write_bytes(path, mark + text.encode(), mode=path.stat().st_mode & 0o777)


def _is_json(path: Path) -> bool:
    return path.suffix == ".json"
