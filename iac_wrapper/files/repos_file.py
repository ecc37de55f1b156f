"""repos.yaml: what people want deployed. Every error names file, line, found and expected.

The file is a list, or a mapping with the list as ``apps``, ``defaults`` for all of them, and
``environments`` (docs/repos-yaml.md). An entry is a slug, or a mapping with ``slug`` and other keys
of `repos_keys`::

    - gh:owner/repo
    - slug: ./services/greeter       # relative to this file
      name: greeter
      entrypoint: greeter.server:main
      port: 8080
      env:
        GREETING: hello
        API_KEY: ${API_KEY}          # taken from the environment at deploy, never stored
      run: web                       # or worker, job
      health: /healthz
      memory: 1g
      tmpfs:
        /tmp: 256m

JSON of the same shape is read too. Anchors work; nothing is fetched and no path is looked at.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_document, repos_environment, repos_merge
from iac_wrapper.files.repos_document import EXAMPLE, SPLIT, Document, Entry
from iac_wrapper.files.repos_entry import default_name, entry_specs
from iac_wrapper.files.repos_values import source
from iac_wrapper.files.yaml_nodes import Reader, compose
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.limits import MAX_ENTRIES
from iac_wrapper.model.slug import Slug

MAX_BYTES = 2**20
"""1 MiB; 500 entries with some environment need less than a tenth of it."""

_OTHER_NAMES = ("repos.yaml", "repos.yml", "repos.json")


def load_entries(*paths: Path, environment: str | None = None) -> list[AppSpec]:
    """The services that repos files list, in order; a later file wins over those before it.

    Args:
        paths: the files, one at least.
        environment: one of those that the files have; None if they have none.

    Raises:
        ConfigError: a file cannot be read or says something wrong; `where` is ``file:line``.
    """
    return _specs([(read_text(path), path) for path in paths], environment)


def problems(
    *paths: Path, environment: str | None = None
) -> tuple[list[ConfigError], list[AppSpec]]:
    """Everything that is wrong with repos files, by its place; without any, their services.

    First the form of all that is written, each error that there is; what entries become, and how
    they fit together, if that is good. All environments are worked out.

    Args:
        paths: as of `load_entries`.
        environment: whose services are returned; None: those of the first one, if there are some.
    """
    noted: list[ConfigError] = []
    found: list[AppSpec] = []
    reader = Reader(str(paths[0]), noted)
    documents = []
    for path in paths:
        with reader.part():
            documents.append(_document(read_text(path), path, noted))
    with reader.part():
        if not noted:
            named = (name for each in documents for name in each.environments)
            found = _joined(documents, environment or next(named, None), reader)
    unique = {(error.where, error.column, error.message): error for error in noted}
    return sorted(unique.values(), key=lambda error: error.place), [] if noted else found


def check(*texts: tuple[str, Path]) -> list[Document]:
    """What repos files say, each by itself, if they are good together.

    Args:
        texts: of the files, with the path of each. All environments are worked out.

    Raises:
        ConfigError: as of `load_entries`.
    """
    documents = [_document(text, path) for text, path in texts]
    named = (name for each in documents for name in each.environments)
    _joined(documents, next(named, None), Reader(str(texts[0][1])))
    return documents


def parse_entries(text: str, path: Path) -> list[AppSpec]:
    """`load` for text that was read already; `path` is for messages and relative paths."""
    return _specs([(text, path)], None)


def _specs(texts: Sequence[tuple[str, Path]], environment: str | None) -> list[AppSpec]:
    documents = [_document(text, path) for text, path in texts]
    return _joined(documents, environment, Reader(str(texts[0][1])))


def _joined(
    documents: Sequence[Document], environment: str | None, reader: Reader
) -> list[AppSpec]:
    found = reduce(lambda a, b: repos_merge.merge(a, b, reader), documents, Document())
    if not 0 < len(found.entries) <= MAX_ENTRIES:
        raise reader.error(
            None,
            "too many apps" if found.entries else "no apps",
            found=f"{len(found.entries)} in all files" if found.entries else "no `apps:`",
            expected=f"at most {MAX_ENTRIES}" if found.entries else f"`apps:` with {EXAMPLE}",
            next_step=SPLIT if found.entries else "",
        )
    return repos_environment.specs(found, environment, reader)


def _document(text: str, path: Path, noted: list[ConfigError] | None = None) -> Document:
    reader = Reader(str(path), noted)
    document = repos_document.read_document(
        compose(text, reader, json=path.suffix == ".json"), reader
    )
    for error in repos_merge.namesakes(map(_named, document.entries)):
        with reader.part():
            raise error
    return document


def _named(entry: Entry) -> tuple[str, str, str]:
    """Name, slug and place."""
    slug = source(entry.said)
    return entry.name, slug.value.text if slug else "no slug", entry.where


def from_slugs(slugs: Sequence[str], *, base_dir: Path | None = None) -> list[AppSpec]:
    """Entries for slugs given as arguments.

    Args:
        slugs: their texts.
        base_dir: what relative local paths start from; the working directory if None.

    Raises:
        ConfigError: none given, a bad slug, or two services of one name.
    """
    base = base_dir or Path()
    if not slugs:
        raise ConfigError(
            "no slugs given",
            where="argument",
            expected="slugs such as gh:owner/repo",
            next_step="iac deploy gh:owner/repo, or iac deploy --file repos.yaml",
        )
    specs = []
    for text in slugs:
        try:
            slug = Slug.parse(text)
            name = default_name(slug, base)
        except ConfigError as error:
            error.where = "argument"
            error.next_step = error.next_step or "correct it, then run the command again"
            raise
        specs.append(AppSpec(name=name, slug=slug, where="argument", base=base))
    _check_unique(specs)
    return specs


def from_entries(
    entries: Sequence[object], *, at: str = "/apps", base_dir: Path | None = None
) -> list[AppSpec]:
    """Entries that came as JSON values: texts, or mappings as in the file.

    Args:
        entries: the values.
        at: JSON pointer of the list; errors and specs say ``/apps/0``.
        base_dir: what relative local paths start from; the working directory if None.

    Raises:
        ConfigError: none or too many, a bad one, or two services of one name.
    """
    if not 0 < len(entries) <= MAX_ENTRIES:
        raise ConfigError(
            "no apps given" if not entries else "too many apps",
            where=at,
            found=str(len(entries)),
            expected=f"1 to {MAX_ENTRIES}",
            next_step="name an app, such as gh:owner/repo" if not entries else SPLIT,
        )
    base = base_dir or Path()
    found = [_from_json(entry, f"{at}/{n}", base) for n, entry in enumerate(entries)]
    specs = [spec for each in found for spec in each]
    _check_unique(specs)
    return specs


def _check_unique(specs: Sequence[AppSpec]) -> None:
    repos_merge.check_unique((spec.name, spec.slug.text, spec.where) for spec in specs)


def _from_json(value: object, where: str, base: Path) -> list[AppSpec]:
    reader = Reader(where)
    try:
        # JSON writes rare characters as two \u escapes or as they are, YAML reads neither.
        text = re.sub(
            r"[^\x20-\x7e]",
            lambda match: f"\\U{ord(match[0]):08x}",
            json.dumps(value, ensure_ascii=False),
        )
        node = compose(text, reader, json=True)
        assert node is not None  # noqa: S101 - every JSON value is a document
        entry = repos_document.read_entry(node, reader, base)
        if source(entry.said) is None:
            raise reader.error(node, "an app without slug", expected="slug: gh:owner/repo")
        specs = entry_specs(entry.name, entry.said, reader, base, where)
        return [replace(spec, where=where, needs_where=where, allow_where=where) for spec in specs]
    except RecursionError:
        raise ConfigError(
            "nested too deep", where=where, next_step="send an app as a string or a flat object"
        ) from None
    except ConfigError as error:  # a line number means nothing here
        error.next_step = (error.next_step or "").replace(error.where or where, where)
        error.where = where
        raise


def read_text(path: Path) -> str:
    """The text of a repos file, without the mark of its encoding.

    Raises:
        ConfigError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(
                "the repos file is too large",
                where=str(path),
                found=f"more than {MAX_BYTES} bytes",
                expected=f"at most {MAX_BYTES} bytes",
                next_step=SPLIT,
            )
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "cannot read the repos file",
            where=str(path),
            found=str(error),
            expected="a UTF-8 text file",
            next_step="make the file readable, and save it as UTF-8",
        ) from None


def _missing(path: Path) -> ConfigError:
    beside = [name for name in _OTHER_NAMES if name != path.name and (path.parent / name).exists()]
    above = [folder / path.name for folder in path.absolute().parent.parents]
    projects = [file for file in above if file.exists() and file.with_name("cdktf.json").exists()]
    if projects and not beside:  # started in a folder of the project
        return ConfigError(
            "no repos file",
            where=str(path),
            found=f"{path.name} in the project folder, {projects[0].parent}",
            expected="a file relative to the current folder",
            next_step=f"pass --file {shlex.quote(os.path.relpath(projects[0]))}",
        )
    return ConfigError(
        "no repos file",
        where=str(path),
        found=f"no such file, but {beside[0]} beside it" if beside else "no such file",
        expected=EXAMPLE,
        next_step=(
            f"pass --file {path.with_name(beside[0])}"
            if beside
            else f"create {path.name} with a line such as `- gh:owner/repo`"
        ),
    )
