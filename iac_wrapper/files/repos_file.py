"""repos.yaml: what people want deployed. Every error names file, line, found and expected.

The file is a list, or a mapping with the one key ``apps`` that holds the list. An entry is a slug,
or a mapping with ``slug`` and any of ``name``, ``subdir``, ``entrypoint``, ``port``, ``env`` and
what `repos_options` reads::

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
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_options
from iac_wrapper.files.yaml_nodes import Reader, compose
from iac_wrapper.model import app_rules
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.slug import Slug, dns_label

MAX_ENTRIES = 500
"""Far above what one Docker host runs; keeps a mistaken or hostile file from costing much."""

MAX_BYTES = 2**20
"""1 MiB; 500 entries with some environment need less than a tenth of it."""

KEYS = ("slug", "name", "subdir", "entrypoint", "port", "env", *repos_options.KEYS)

_EXAMPLE = "a list of slugs, such as `- gh:owner/repo`"
_WRITE = "write a line such as `- gh:owner/repo`"
_SPLIT = "split it into projects, each with a file of its own (`--project`)"
_OTHER_NAMES = ("repos.yaml", "repos.yml", "repos.json")


def load(path: Path) -> list[AppSpec]:
    """The entries of a repos file, in order.

    Raises:
        ConfigError: the file cannot be read or says something wrong; `where` is ``file:line``.
    """
    return parse(_read(path), path)


def parse(text: str, path: Path) -> list[AppSpec]:
    """`load` for text that was read already; `path` is for messages and relative paths."""
    reader = Reader(str(path))
    root = compose(text, reader, json=path.suffix == ".json")
    entries = _entries(root, reader)
    specs = [_spec(node, reader, path.parent, text) for node in entries]
    _check_unique(specs)
    return specs


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
        specs.append(AppSpec(name=name, slug=slug, where="argument"))
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
            next_step="name an app, such as gh:owner/repo" if not entries else _SPLIT,
        )
    base = base_dir or Path()
    specs = [_from_json(entry, f"{at}/{n}", base) for n, entry in enumerate(entries)]
    _check_unique(specs)
    return specs


def _from_json(value: object, where: str, base: Path) -> AppSpec:
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
        return replace(_spec(node, reader, base, text), where=where)
    except RecursionError:
        raise ConfigError(
            "nested too deep", where=where, next_step="send an app as a string or a flat object"
        ) from None
    except ConfigError as error:  # a line number means nothing here
        error.next_step = (error.next_step or "").replace(error.where or where, where)
        error.where = where
        raise


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(
                "the repos file is too large",
                where=str(path),
                found=f"more than {MAX_BYTES} bytes",
                expected=f"at most {MAX_BYTES} bytes",
                next_step=_SPLIT,
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
    return ConfigError(
        "no repos file",
        where=str(path),
        found=f"{beside[0]} beside it" if beside else "no such file",
        expected=_EXAMPLE,
        next_step=(
            f"pass --file {path.with_name(beside[0])}"
            if beside
            else f"create {path.name} with a line such as `- gh:owner/repo`"
        ),
    )


def _entries(root: yaml.Node | None, reader: Reader) -> list[yaml.Node]:
    if isinstance(root, yaml.MappingNode):
        mapping = reader.mapping(root, ("apps",), "the repos file")
        root = mapping.get("apps") or root
    if root is None or reader.is_null(root):
        raise reader.error(root, "the repos file is empty", expected=_EXAMPLE, next_step=_WRITE)
    if not isinstance(root, yaml.SequenceNode):
        raise reader.error(
            root,
            "not a list of apps",
            found=reader.show(root),
            expected=_EXAMPLE,
            next_step="write each app on a line of its own, after `- `",
        )
    nodes: list[yaml.Node] = root.value
    if not nodes:
        raise reader.error(root, "the list of apps is empty", expected=_EXAMPLE, next_step=_WRITE)
    if len(nodes) > MAX_ENTRIES:
        raise reader.error(
            root,
            "too many apps",
            found=str(len(nodes)),
            expected=f"at most {MAX_ENTRIES}",
            next_step=_SPLIT,
        )
    return nodes


def _spec(node: yaml.Node, reader: Reader, base: Path, text: str) -> AppSpec:
    where = reader.where(node)
    if not isinstance(node, yaml.MappingNode):
        slug_node, mapping = node, {}
    else:
        mapping = reader.mapping(node, KEYS, "an app")
        if "slug" not in mapping:
            raise reader.error(node, "an app without slug", expected="slug: gh:owner/repo")
        slug_node = mapping["slug"]
    slug = _slug(slug_node, mapping.get("subdir"), reader, text)
    name_node = mapping.get("name")
    with reader.at(name_node or slug_node):
        name = (
            app_rules.check_name(reader.text(name_node, "name"))
            if name_node
            else default_name(slug, base)
        )
    return AppSpec(
        name=name,
        slug=slug,
        entrypoint=_entrypoint(mapping.get("entrypoint"), reader),
        port=_port(mapping.get("port"), reader),
        env=_env(mapping.get("env"), reader),
        options=repos_options.read(mapping, reader),
        where=where,
    )


def _slug(node: yaml.Node, subdir: yaml.Node | None, reader: Reader, text: str) -> Slug:
    written = reader.text(node, "slug", expected="a slug, such as gh:owner/repo")
    lost = reader.glued_comment(node, text)
    if lost and "#" not in written:
        raise reader.error(
            node,
            f"{lost!r} is a comment in YAML, because of the space before it, not a ref",
            expected=f"{written}{lost} for a ref, `# {lost[1:]}` for a comment",
        )
    with reader.at(node):
        slug = Slug.parse(written)
    if subdir is None:
        return slug
    with reader.at(subdir):
        wanted = slug.with_subdir(reader.text(subdir, "subdir"))
    if slug.subdir and slug.subdir != wanted.subdir:
        raise reader.error(
            subdir,
            "two different subdirectories",
            found=f"{slug.subdir!r} in the slug, {wanted.subdir!r} here",
            expected="one of them",
        )
    return slug if slug.subdir else wanted


def _entrypoint(node: yaml.Node | None, reader: Reader) -> str | None:
    if node is None:
        return None
    expected = "module:function, module or path/to/script.py"
    value = reader.text(node, "entrypoint", expected=expected)
    if not value.strip() or not value.isprintable():
        raise reader.error(node, "bad entrypoint", found=repr(value), expected=expected)
    return value


def _port(node: yaml.Node | None, reader: Reader) -> int | None:
    if node is None:
        return None
    with reader.at(node):
        return app_rules.check_port(reader.text(node, "port", expected="a number"))


def _env(node: yaml.Node | None, reader: Reader) -> dict[str, str]:
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise reader.error(
            node, "env is not a mapping", found=reader.show(node), expected="NAME: value lines"
        )
    env = {}
    for name, value_node in reader.mapping(node, None, "env").items():
        with reader.at(value_node):
            value = reader.text(value_node, name, expected=f'a value; `{name}: ""` if empty')
            env[app_rules.check_env_name(name)] = app_rules.check_env_value(name, value)
    return env


def default_name(slug: Slug, base: Path) -> str:
    """The service name when none is written: the directory's or the repository's.

    Args:
        slug: the source.
        base: what a relative local path starts from.

    Raises:
        ConfigError: nothing usable can be made of it.
    """
    name = slug.label
    if slug.kind == "path" and not slug.subdir:
        name = dns_label((base / Path(slug.location).expanduser()).resolve().name)
    try:
        return app_rules.check_name(name)
    except ConfigError as error:
        error.message = f"no service name can be made of {slug.text}: {error.message}"
        error.next_step = f"write it as `- slug: {slug.text}` with `name: another-name`"
        raise


def _check_unique(specs: Sequence[AppSpec]) -> None:
    """Service names are certificate names, host names and construct ids: never twice."""
    seen: dict[str, AppSpec] = {}
    for spec in specs:
        first = seen.setdefault(spec.name, spec)
        if first is not spec:
            raise ConfigError(
                f"two services are called {spec.name!r}",
                where=spec.where,
                found=f"{spec.slug.text}; and {first.slug.text} at {first.where}",
                expected="one name per service",
                next_step="write one of them as `- slug: …` with `name: another-name`",
            )
