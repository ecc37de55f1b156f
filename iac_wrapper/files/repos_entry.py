"""From what is said of a service to its `AppSpec`, and to its name where none is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.repos_values import KeyValues
from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model import app_rules, options, tcp
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.options import Options
from iac_wrapper.model.slug import Slug, dns_label


def service_name(said: KeyValues, reader: Reader, base: Path | None) -> str:
    """The name of the service that an entry with a slug is about."""
    if "name" in said:
        return str(said["name"].value)
    with reader.at(said["slug"].node):
        return default_name(_slug(said, reader), folder(said, base))


def spec(name: str, said: KeyValues, reader: Reader, base: Path | None, where: str) -> AppSpec:
    """The entry of service `name`; `base` is what relative paths start from, the file's folder
    if None."""
    values: dict[str, Any] = {key: found.value for key, found in said.items()}
    if "tcp" in said:
        with reader.at(said["tcp"].node):
            tcp.check(name, values.get("port"), values["tcp"])
    chosen = {f: values[key.name] for f, key in options.KEYS.items() if key.name in values}
    return AppSpec(
        name=name,
        slug=_slug(said, reader),
        entrypoint=values.get("entrypoint"),
        port=values.get("port"),
        env=values.get("env", {}),
        options=Options(**chosen),
        where=where,
        base=folder(said, base),
    )


def folder(said: KeyValues, base: Path | None) -> Path:
    """What a relative path of the slug starts from."""
    return base or Path(said["slug"].node.start_mark.name).parent


def _slug(said: KeyValues, reader: Reader) -> Slug:
    slug: Slug = said["slug"].value
    if "subdir" not in said:
        return slug
    subdir, node = said["subdir"]
    with reader.at(node):
        wanted = slug.with_subdir(subdir)
    if slug.subdir and slug.subdir != wanted.subdir:
        raise reader.error(
            node,
            "two different subdirectories",
            found=f"{slug.subdir!r} in the slug, {wanted.subdir!r} here",
            expected="one of them",
        )
    return slug if slug.subdir else wanted


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
