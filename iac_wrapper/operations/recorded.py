"""Back from facts to intent: entries for deployed services, as their lock records them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import AppSpec, ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations import local_bases
from iac_wrapper.operations.workspace import Workspace

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"


def recorded(workspace: Workspace, names: Sequence[str]) -> tuple[tuple[AppSpec, ...], Path]:
    """Entries for the deployed services `names`, and what their relative paths start from.

    Raises:
        ConfigError: a name is not deployed, or the folder of a relative path is not known, or not
            the same for all.
    """
    apps = {app.name: app for app in workspace.deployed().apps}
    for name in names:
        if name not in apps:
            raise ConfigError(
                f"no service {name} is deployed in project {workspace.project}",
                where=f"service {name}",
                found=", ".join(apps) or "no services",
                expected="names of deployed services",
                next_step="deploy its slug, or one of the names that were found",
            )
    specs = tuple(_spec(apps[name]) for name in dict.fromkeys(names))
    return specs, _base(workspace, specs)


def written_entrypoint(entrypoint: Entrypoint) -> str | None:
    """What `entrypoint:` must say to get this program again; None if the repository says it."""
    if entrypoint.source == "repository":
        return None
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


def _spec(app: ResolvedApp) -> AppSpec:
    return AppSpec(
        name=app.name,
        slug=Slug.parse(app.slug),
        entrypoint=written_entrypoint(app.entrypoint),
        port=app.port if app.port_declared else None,
        env=dict(app.env),
        options=app.options,
        where=f"service {app.name}",
    )


def _base(workspace: Workspace, specs: Sequence[AppSpec]) -> Path:
    bases = local_bases.load(workspace)
    relative = [spec for spec in specs if _is_relative(spec.slug)]
    unknown = [spec for spec in relative if spec.name not in bases]
    if unknown:
        raise ConfigError(
            "it is not known which folder a local path is relative to",
            where=unknown[0].where,
            found=unknown[0].slug.text,
            next_step="deploy it with `iac deploy --file …` once more",
        )
    folders = {bases[spec.name] for spec in relative}
    if len(folders) > 1:
        raise ConfigError(
            "the services' local paths are relative to different folders",
            found=", ".join(f"{spec.name}: {bases[spec.name]}" for spec in relative),
            next_step="deploy them again one folder at a time",
        )
    return Path(folders.pop()) if folders else workspace.layout.root


def _is_relative(slug: Slug) -> bool:
    return slug.kind == "path" and not slug.location.startswith(("/", "~"))
