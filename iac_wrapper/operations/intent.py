"""From what a person typed to an `Intent`: a file, some of its entries, or slugs alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file, repos_file
from iac_wrapper.model import exposure
from iac_wrapper.model.app import AppSpec, ResolvedApp
from iac_wrapper.model.intent import Intent, Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.slug_pasted import pasted
from iac_wrapper.operations.recorded_entries import entries_of
from iac_wrapper.operations.workspace import Workspace

SLUGS_LOCK = "slugs.lock.json"
"""In the project's directory: what serves, where no list says what should."""


def from_files(
    *paths: Path,
    environment: str | None = None,
    chosen: Sequence[str] = (),
    locked: bool = False,
    offline: bool = False,
    prune: bool = False,
) -> Intent:
    """All entries of repos files; with `chosen` (slugs or names), only those are resolved anew,
    each with its processes.

    The lock file is that of the first file, and of `environment` if there is one.

    Raises:
        ConfigError: a file is bad, or `chosen` names what is not in them.
    """
    specs = repos_file.load_entries(*paths, environment=environment)
    for text in chosen:
        if not any(_is(spec, text) for spec in specs):
            which = "the file" if len(paths) == 1 else "any of the files"
            raise ConfigError(
                f"{text} is not in {which}",
                where=str(paths[0]),
                expected=", ".join(spec.name for spec in specs),
                next_step=f"add it to {paths[0].name}, or add it to the project without --file",
            )
    groups = {spec.group for spec in specs if any(_is(spec, text) for text in chosen)}
    return Intent(
        specs=tuple(specs),
        lock_path=lock_file.default_lock_path(paths[0], environment).absolute(),
        chosen_specs=tuple(spec for spec in specs if spec.group in groups),
        locked=locked,
        offline=offline,
        files=tuple(map(str, paths)),
        environment=environment,
        prune=prune,
    )


def from_slugs(
    workspace: Workspace,
    slugs: Sequence[str],
    *,
    cwd: Path,
    locked: bool = False,
    offline: bool = False,
) -> Intent:
    """Slugs added to what the project runs; one with a known name replaces that service.

    A word that is the name of a deployed service stands for it, as it is recorded.
    """
    lock = workspace.applied_lock()
    deployed = {app.name for app in lock.all_apps} if lock else set()
    named = [text for text in slugs if text in deployed]
    others = [text for text in slugs if text not in deployed]
    recorded = entries_of(workspace, named) if named else ()
    return Intent(
        specs=(*recorded, *(repos_file.from_slugs(others, base_dir=cwd) if others else ())),
        lock_path=workspace.directory / SLUGS_LOCK,
        additive=True,
        locked=locked,
        offline=offline,
    )


def from_deployed(
    workspace: Workspace, names: Sequence[str], *, locked: bool = False, offline: bool = False
) -> Intent:
    """Deployed services as they are recorded, their slugs resolved anew; the others stay.

    Raises:
        ConfigError: nothing is deployed, a name is not, or nobody knows any more what a relative
            local path was relative to.
    """
    return Intent(
        specs=entries_of(workspace, names),
        lock_path=workspace.directory / SLUGS_LOCK,
        additive=True,
        locked=locked,
        offline=offline,
    )


def select(workspace: Workspace, intent: Intent) -> Selection:
    """Hold `intent` against the lock file and the state. Call it with the project held.

    Raises:
        ConfigError: ``--locked`` without a lock, or a service to keep cannot be kept.
    """
    written, applied = _written(workspace, intent.lock_path), workspace.applied_lock()
    known = applied if intent.additive else written
    if intent.locked and known is None:
        raise ConfigError(
            "--locked needs a lock of this project",
            where=str(intent.lock_path),
            found="none" if not intent.lock_path.exists() else "one of another project",
            next_step="run the command once without --locked",
        )
    names = {spec.name for spec in intent.specs}
    parked = {
        app.name: app
        for app in (applied.parked if applied else ())
        if intent.additive or app.name in names
    }
    locked = {app.name: app for app in known.all_apps} if known else {}
    if intent.locked:
        _check_locked(intent, known, but=parked)
    if intent.additive:
        kept = [app for app in locked.values() if app.name not in {*names, *parked}]
        _check_kept(workspace, kept)
        fresh = intent.specs
    else:
        others = [
            spec for spec in intent.specs if intent.chosen_specs and spec not in intent.chosen_specs
        ]
        kept = [
            locked[spec.name]
            for spec in others
            if spec.name in locked and is_buildable(workspace, locked[spec.name])
        ]
        stays = {app.name for app in kept}
        # An entry and its processes have one commit: they are resolved together, or stay together.
        moving = {spec.group for spec in intent.specs if spec.name not in stays}
        kept = [app for app in kept if app.group not in moving]
        fresh = tuple(spec for spec in intent.specs if spec.name not in {app.name for app in kept})
    # What shares its image with one that runs moves with that, to start as the same commit.
    moving = {spec.group for spec in fresh if spec.name not in parked}
    fresh = tuple(spec for spec in fresh if spec.name not in parked or spec.group in moving)
    return Selection(
        fresh=tuple(_from_here(workspace, spec) for spec in fresh),
        kept_apps=tuple(app for app in kept if app.name not in parked),
        parked=tuple(parked.values()),
        pinned_lock=_pins(intent, known),
        lock_on_disk=written,
        environment=intent.environment
        or (known.environment if known and intent.additive else None),
        offline=intent.offline,
    )


def _from_here(workspace: Workspace, spec: AppSpec) -> AppSpec:
    """`spec` with the paths of its certificates as locks have them: from the project folder on."""
    base, root = spec.base.absolute(), workspace.layout.root.absolute()
    expose = exposure.relative_to(spec.options.expose, base, root)
    return replace(spec, options=replace(spec.options, expose=expose))


def _pins(intent: Intent, known: LockFile | None) -> LockFile | None:
    """Everything with --locked and --offline; with chosen entries, the others."""
    if known is None or intent.locked or intent.offline:
        return known
    if not intent.chosen_specs:
        return None
    moving = {spec.name for spec in intent.chosen_specs}
    return known.without(moving)


def _written(workspace: Workspace, path: Path) -> LockFile | None:
    """The lock beside the repos file, if it is one of this project."""
    lock = lock_file.load_lock(path) if path.exists() else None
    return lock if lock and lock.project == workspace.project else None


def warn_of_another(workspace: Workspace, intent: Intent) -> None:
    """Say that the lock which is about to be replaced is another project's."""
    path = intent.lock_path
    lock = lock_file.load_lock(path) if path.exists() else None
    if lock and lock.project != workspace.project:
        workspace.warn(
            f"{path.name} was written for project {lock.project};"
            f" it is replaced by that of project {workspace.project}"
        )


def is_buildable(workspace: Workspace, app: ResolvedApp) -> bool:
    """Whether the app can be deployed as it is locked: its image or its context is here, or a
    registry has it."""
    context = workspace.layout.context(workspace.project, app.image)
    pulled = app.foreign is not None and "@" in app.foreign.pinned
    return context.is_dir() or pulled or workspace.engine.has_image(app.image)


def _check_locked(intent: Intent, lock: LockFile | None, *, but: Collection[str]) -> None:
    """With ``--locked`` the lock must have the very sources that are asked for, and no others.

    Services `but` stay stopped: no deploy writes what their entries say now.
    """
    locked = {app.name: app for app in lock.all_apps} if lock else {}
    asked = {spec.name for spec in intent.specs}
    pairs = [(spec, locked.get(spec.name)) for spec in intent.specs if spec.name not in but]
    found = [f"{spec.name}: {why}" for spec, app in pairs if (why := _unlike(spec, app))]
    if not intent.additive:
        found += [f"{name}: not in {intent.list_name}" for name in locked if name not in asked]
    if found:
        again = "run the command once without --locked"
        raise ConfigError(
            "the lock is not what is to be deployed",
            where=str(intent.lock_path),
            found="; ".join(found),
            expected="with --locked, an entry of the lock for each, and no other",
            next_step=again if intent.additive else f"{again}, or iac lock {intent.arguments}",
        )


def _unlike(spec: AppSpec, app: ResolvedApp | None) -> str:
    """How the source of an entry differs from that of the lock; empty if it does not."""
    if app is None:
        return "not in the lock"
    if app.slug != spec.slug.text:
        return f"{spec.slug.text}, in the lock {app.slug}"
    for key in ("lfs", "submodules"):
        if bool(getattr(spec.options, key)) != bool(getattr(app.options, key)):
            return f"another `{key}:` than in the lock"
    dockerfile = app.foreign.dockerfile if app.foreign else ""
    return "" if (spec.dockerfile or "") == dockerfile else "another `build:` than in the lock"


def _check_kept(workspace: Workspace, kept: Sequence[ResolvedApp]) -> None:
    lost = [app.name for app in kept if not is_buildable(workspace, app)]
    if lost:
        raise ConfigError(
            "services that should stay cannot be built any more",
            found=f"neither image nor build context of {', '.join(lost)}",
            next_step="deploy their slugs too, or all of them with --file",
        )


def _is(spec: AppSpec, text: str) -> bool:
    address = pasted(text)
    return (address.slug if address else text) in (spec.name, spec.slug.text)
