"""Back from facts to intent: entries for deployed services, as their lock records them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import AppSpec, ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations import local_bases
from iac_wrapper.operations.workspace import Workspace

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"


def entries_of(workspace: Workspace, names: Sequence[str]) -> tuple[AppSpec, ...]:
    """Entries for the deployed services `names`, stopped ones included, each with the processes of
    its image.

    Raises:
        ConfigError: a name is not deployed, or the folder of a relative path is not known.
    """
    apps = {app.name: app for app in workspace.deployed_lock().all_apps}
    for name in names:
        if name not in apps:
            raise ConfigError(
                f"no service {name} is deployed in project {workspace.project}",
                where=f"service {name}",
                found=", ".join(apps) or "no services",
                expected="names of deployed services",
                next_step="deploy its slug, or one of the names that were found",
            )
    bases = local_bases.load_bases(workspace)
    groups = dict.fromkeys(apps[name].group for name in names)
    found = [app for group in groups for app in apps.values() if app.group == group]
    return tuple(_spec(workspace, app, bases) for app in found)


def written_entrypoint(entrypoint: Entrypoint) -> str | None:
    """What `entrypoint:` must say to get this program again; None if the repository says it."""
    if entrypoint.source == "repository":
        return None
    if entrypoint.command:
        return entrypoint.command
    if entrypoint.args and entrypoint.kind == "module":
        return _served(entrypoint.args)
    if entrypoint.function:
        return f"{entrypoint.target}:{entrypoint.function}"
    return entrypoint.target


def _served(args: Sequence[str]) -> str:
    """The object behind ``gunicorn package.module:app --bind …``: the server was added to it."""
    name = next(arg for arg in args if ":" in arg and not arg.startswith("-") and "$" not in arg)
    module, _, served = name.removesuffix("()").partition(":")
    place = module if re.fullmatch(_DOTTED, module) else module.replace(".", "/") + ".py"
    return f"{place}:{served}"


def _spec(workspace: Workspace, app: ResolvedApp, bases: Mapping[str, str]) -> AppSpec:
    where = f"service {app.name}"
    slug = Slug.parse(app.slug)
    if _is_relative(slug) and app.name not in bases:
        raise ConfigError(
            "it is not known which folder a local path is relative to",
            where=where,
            found=slug.text,
            next_step="deploy it with `iac deploy --file …` once more",
        )
    return AppSpec(
        name=app.name,
        slug=slug,
        entrypoint=written_entrypoint(app.entrypoint),
        port=app.port if app.port_declared else None,
        env=dict(app.env),
        options=app.options,
        dockerfile=(app.foreign.dockerfile or None) if app.foreign else None,
        where=where,
        base=Path(bases.get(app.name, workspace.layout.root)),
        process_of=app.process_of,
    )


def _is_relative(slug: Slug) -> bool:
    return slug.kind == "path" and not slug.location.startswith(("/", "~"))
