"""From what is said of a service to its `AppSpec`, and to its name where none is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.repos_values import KeyValue, KeyValues, check_together, over, source
from iac_wrapper.files.yaml_nodes import Reader
from iac_wrapper.model import app_rules, options, processes, repos_keys, tcp
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
    if "tcp" in said:
        with reader.at(said["tcp"].node):
            tcp.check(name, values.get("port"), values["tcp"])
    on_disk = _slug(said, reader).kind == "path"
    if on_disk and (fetched := next((k for k in repos_keys.OF_A_FETCH if values.get(k)), None)):
        raise reader.error(
            said[fetched].node,
            "a local path is deployed as it lies on disk",
            found=f"{fetched}: true",
            expected=f"`{fetched}` for a repository that is fetched",
            next_step=f"delete `{fetched}:`, or write git+file:///absolute/path for its commit",
        )
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
        needs_where=reader.where(said["needs"].node) if "needs" in said else "",
        allow_where=reader.where(said["allow"].node) if "allow" in said else "",
    )


def entry_specs(
    name: str, said: KeyValues, reader: Reader, base: Path | None, where: str
) -> list[AppSpec]:
    """The entry of service `name`, and a service for each of its `processes`."""
    found = [spec(name, said, reader, base, where)]
    inherited = {key: value for key, value in said.items() if processes.is_inherited(key)}
    by_name, place = said.get(processes.KEY) or KeyValue({}, _source(said).node)
    for process, own in by_name.items():
        node = next((value.node for value in own.values()), place)
        service = processes.service(name, process)
        with reader.at(node):
            _check_service(service)
        both = over(inherited, own)
        check_together(both, reader, merged=True)
        made = spec(service, both, reader, base, reader.where(node))
        found.append(replace(made, process_of=name, options=_without_itself(made, own)))
    return found


def _check_service(name: str) -> None:
    try:
        app_rules.check_name(name)
    except ConfigError as error:
        error.next_step = "give the process a shorter name"
        raise


def _without_itself(made: AppSpec, own: KeyValues) -> Options:
    """Its options: an entry that needs one of its own processes hands the other needs to it."""
    inherited = "needs" not in own
    needs = tuple(n for n in made.options.needs if not (inherited and n == made.name))
    return replace(made.options, needs=needs)


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
