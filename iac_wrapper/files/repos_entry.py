"""From what is said of a service to its `AppSpec`, and to its name where none is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.repos_values import KeyValue, KeyValues, source
from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model import app_rules, options, repos_keys
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.options import Options
from iac_wrapper.model.slug import Slug, dns_label


def service_name(said: KeyValues, reader: Reader, base: Path | None) -> str:
    """The name of the service that an entry with a slug is about."""
    if "name" in said:
        return str(said["name"].value)
    with reader.at(_source(said).node):
        return default_name(_slug(said, reader), folder(said, base))


def spec(name: str, said: KeyValues, reader: Reader, base: Path | None, where: str) -> AppSpec:
    """The entry of service `name`; `base` is what relative paths start from, the file's folder
    if None."""
    if key := repos_keys.without_image(said):
        raise reader.error(
            said[key.name].node,
            f"`{key.name}` has a meaning for images only",
            found="an entry with a slug, whose image KarstKit makes",
            expected="`image: NAME` in place of the slug, or `build: dockerfile` beside it",
            next_step=f"delete `{key.name}:`",
        )
    values: dict[str, Any] = {key: found.value for key, found in said.items()}
    chosen = {f: values[key.name] for f, key in options.KEYS.items() if key.name in values}
    return AppSpec(
        name=name,
        slug=_slug(said, reader),
        entrypoint=values.get("entrypoint"),
        dockerfile=values.get("build"),
        port=values.get("port"),
        env=values.get("env", {}),
        options=Options(**chosen),
        where=where,
        base=folder(said, base),
    )


def folder(said: KeyValues, base: Path | None) -> Path:
    """What a relative path of the slug starts from."""
    return base or Path(_source(said).node.start_mark.name).parent


def _source(said: KeyValues) -> KeyValue:
    found = source(said)
    assert found is not None  # noqa: S101 - an entry without one is refused when it is read
    return found


def _slug(said: KeyValues, reader: Reader) -> Slug:
    slug: Slug = _source(said).value
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
        key, _, rest = slug.text.partition(":") if slug.kind == "image" else ("slug", "", slug.text)
        error.next_step = f"write it as `- {key}: {rest}` with `name: another-name`"
        raise
