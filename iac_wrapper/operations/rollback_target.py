"""Where a rollback goes: to which release, with which services; and all that stands in the way.

Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from iac_wrapper.errors import CertificateError, ConfigError
from iac_wrapper.model import references
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.intent import Selection
from iac_wrapper.model.ledger import LedgerEntry
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.lock_difference import ServiceDifference, differences
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations import history, leaves, recording
from iac_wrapper.operations.deploy import check_lock, check_selection
from iac_wrapper.operations.infrastructure import check_own
from iac_wrapper.operations.network import (
    choose_gateway_port,
    choose_ingress_port,
    choose_subnet,
)
from iac_wrapper.operations.prepare import check_live_names, check_needs
from iac_wrapper.operations.workspace import Workspace

KIND = "rollback"
"""Of a release, in the ledger."""


@dataclass(frozen=True)
class Target:
    """Where a rollback goes: the release `entry`, of which `apps` come back. `lock` is what the
    project is then, with the services that `stay` because the release does not have them; `named`
    services were asked for one by one: of those that are stopped, these alone start."""

    entry: LedgerEntry
    apps: tuple[ResolvedApp, ...]
    lock: LockFile
    stay: tuple[str, ...]
    named: frozenset[str]


def find(workspace: Workspace, names: Sequence[str] = (), *, to: int | None = None) -> Target:
    """Where it goes back to, said in sentences. Call it with the project held.

    Raises:
        UnknownReleaseError, ConfigError, CertificateError: as `rollback`.
    """
    workspace.host  # noqa: B018 - the set-up brings the engine, and all that comes after it
    workspace.engine.ping()
    check_own(workspace)
    applied = workspace.applied_lock()
    number = to or _before(workspace, applied, names)
    found = history.show(workspace, number)
    if found.lock is None or not _was_good(found.entry):
        raise _not_good(workspace, found.entry)
    apps = _chosen(workspace, found.entry, found.lock, names)
    if broken := _broken(found.entry, [app.name for app in apps]):
        raise _was_broken(workspace, found.entry, broken)
    lock = _merged(workspace, applied, found.lock, apps, names)
    here = {app.name for app in apps}
    groups = {app.group for app in apps}
    known = {app.name for app in found.lock.apps}
    stay = tuple(
        app.name
        for app in (applied.apps if applied else ())
        if app.name not in known and (not names or app.group in groups)
    )
    target = Target(found.entry, apps, lock, stay, frozenset(here if names else ()))
    _check(workspace, applied, target)
    _say(workspace, applied, target, found.lock)
    return target


def _before(workspace: Workspace, applied: LockFile | None, names: Sequence[str]) -> int:
    """The newest good release before the one that serves in which something is another."""
    known = history.history(workspace).entries
    _check_names(workspace, applied, known, names)
    serves = _origin(known, names)
    for entry in known:
        older = entry.number < serves and _was_good(entry) and not _broken(entry, names)
        if not older:
            continue
        lock = recording.kept_lock(workspace, entry.facts["lock"])
        if _is_another(applied, lock, names):
            return entry.number
    raise ConfigError(
        f"project {workspace.project} has no release to go back to",
        expected="a good release before the one that serves, in which"
        f" {' or '.join(names) or 'a service'} is not what it is now",
        found=f"what runs: {', '.join(app.name for app in applied.apps)}" if applied else "nothing",
        next_step=f"iac releases --project {workspace.project}, then name one with --to",
    )


def _check_names(
    workspace: Workspace,
    applied: LockFile | None,
    known: Sequence[LedgerEntry],
    names: Sequence[str],
) -> None:
    """Refuse a service that the project never had."""
    had = {name for entry in known for name in entry.facts.get("commits", {})}
    had |= {app.name for app in (applied.apps if applied else ())}
    if strange := sorted(set(names) - had):
        raise ConfigError(
            f"project {workspace.project} never had a service {' or '.join(strange)}",
            found=f"the services {', '.join(sorted(had))}" if had else "no services",
            next_step="name one of them" if had else f"iac deploy {workspace.list_arguments}",
        )


def _origin(known: Sequence[LedgerEntry], names: Sequence[str]) -> int:
    """The number of the release that serves: that of a rollback is the one it went back to, so
    that one more goes further back."""
    entries = {entry.number: entry for entry in known}
    number = next((entry.number for entry in known if entry.has_lock), 0)
    while number in entries and entries[number].kind == KIND and _was_good(entries[number]):
        only = entries[number].facts["named"]
        if only and not (names and set(names) <= set(only)):
            break
        number = entries[number].facts["to"]
    return number


def _is_another(applied: LockFile | None, old: LockFile, names: Sequence[str]) -> bool:
    """Whether going back to `old` would change anything."""
    groups = {app.name: app.group for app in old.apps}
    wanted = {groups[name] for name in names or groups if name in groups}
    return any(
        groups.get(each.name) in wanted and (each.kind != "started" or each.name in names)
        for each in differences(applied, old)
    )


def _was_good(entry: LedgerEntry) -> bool:
    return entry.is_release and entry.verdict == "good" and bool(entry.facts.get("lock"))


def _broken(entry: LedgerEntry, names: Sequence[str]) -> list[str]:
    """Those of `names` (all, if there are none) that did not serve then, though the release was
    good: they had been broken before."""
    return [name for name in entry.facts.get("broken", ()) if not names or name in names]


def _chosen(
    workspace: Workspace, entry: LedgerEntry, lock: LockFile, names: Sequence[str]
) -> tuple[ResolvedApp, ...]:
    """The services of a release that come back: each of `names` with all of its entry."""
    groups = {app.name: app.group for app in lock.apps}
    for name in names:
        if name not in groups:
            applied = workspace.applied_lock()
            runs = applied is not None and name in {app.name for app in applied.apps}
            why, command, does = _without(workspace, entry, lock, name)
            raise ConfigError(
                f"{why} {name}" + ", which runs now" * runs,
                found=f"the services {', '.join(groups)}",
                next_step=(
                    f"{command} {does}"
                    if runs
                    else "name one of them, or another release with --to"
                ),
            )
    wanted = {groups[name] for name in names or groups}
    return tuple(app for app in lock.apps if app.group in wanted)


def _merged(
    workspace: Workspace,
    applied: LockFile | None,
    old: LockFile,
    apps: Sequence[ResolvedApp],
    names: Sequence[str],
) -> LockFile:
    """What is deployed with `apps` in place of theirs; network and ports are today's."""
    there = {app.name: app for app in (*(applied.all_apps if applied else ()), *apps)}
    parked = {app.name for app in applied.parked} if applied else set()
    lock = replace(
        applied or old,
        subnet=choose_subnet(workspace, applied, old),
        gateway_port=choose_gateway_port(workspace, applied, old),
        ingress_port=applied.ingress_port if applied else None,
        apps=tuple(there.values()),
        parked=(),
    ).parking(parked - {*names})
    if any(route.is_local for route in lock.routes):
        return replace(lock, ingress_port=choose_ingress_port(workspace, applied, old))
    return lock


def _check(workspace: Workspace, applied: LockFile | None, target: Target) -> None:
    """Refuse what cannot be."""
    lock = target.lock
    selection = Selection((), lock.apps, None, None, parked=lock.parked)
    check_selection(workspace, selection)
    check_needs(selection)
    check_live_names(workspace.project, {app.name for app in lock.all_apps})
    check_lock(workspace, lock)
    for app in (app for app in target.apps if app in lock.apps):
        if not workspace.engine.has_image(app.image):
            raise _pruned(workspace, target, app)
    if applied and (strangers := leaves.strangers(workspace, applied)):
        raise CertificateError(
            "the certificate authority is another than that of the services that run",
            where=str(workspace.layout.secrets),
            found=f"{', '.join(strangers)} would refuse what comes back",
            next_step=f"put the authority back, or have `iac deploy {workspace.list_arguments}"
            f" --project {workspace.project}` make all certificates anew",
        )


def _without(
    workspace: Workspace, entry: LedgerEntry, old: LockFile, name: str
) -> tuple[str, str, str]:
    """How a release is without a service that runs now, and the command that does the same to it,
    with what that does."""
    if name in {app.name for app in old.parked}:
        word, verb, does = "in release {} a person had stopped", "stop", "stops it"
    else:
        word, verb, does = "release {} does not have", "remove", "takes it away"
    return word.format(entry.number), f"iac {verb} {name} --project {workspace.project}", does


def _say(workspace: Workspace, applied: LockFile | None, target: Target, old: LockFile) -> None:
    """What it goes back to, what that changes, and what it leaves as it is."""
    entry, here = target.entry, {app.name for app in target.lock.all_apps}
    workspace.step(
        f"Going back to release {entry.number} ({entry.kind} of {entry.at:%Y-%m-%d %H:%M} UTC)"
    )
    for each in differences(applied, target.lock):
        workspace.progress(f"{each.name}: {_change(each)}")
    for name in target.stay:
        why, command, does = _without(workspace, entry, old, name)
        workspace.progress(f"{name}: stays as it is, {why} it; `{command}` {does}")
    if secret := sorted({name for app in target.apps for name in _references(app)}):
        workspace.progress(f"secret values are today's: {', '.join(secret)}")
    for app in target.apps:
        if lost := sorted(set(app.options.needs) - here):
            workspace.warn(f"{app.name} needs {' and '.join(lost)}, which is not deployed")


def _change(each: ServiceDifference) -> str:
    """``commit 1234567 -> 89abcde``, then the names of what else differs."""
    if each.kind == "added":
        return "comes back"
    parts = ["starts"] if each.kind == "started" else []
    for key in ("commit", "tree"):  # a local folder has no commit
        if key in each.changes:
            old, new = (str(side or "-").removeprefix("sha256:") for side in each.changes[key])
            parts.append(f"{key} {old[:7]} -> {new[:7]}")
    shown = ("commit", "tree", "image")
    parts += [key for key in (*each.changes, *each.keys_changed) if key not in shown]
    if env := sorted((*each.env_added, *each.env_removed, *each.env_changed)):
        parts.append(f"env {', '.join(env)}")
    return "; ".join(parts) or "another image of the same source"


def _references(app: ResolvedApp) -> Iterator[str]:
    for value in app.env.values():
        yield from references.names(value)


def _not_good(workspace: Workspace, entry: LedgerEntry) -> ConfigError:
    what = "release" if entry.is_release else "event"
    found = f"{what} {entry.number}: {entry.kind}, {entry.verdict}"
    nothing = entry.verdict == "good" and entry.is_release
    return ConfigError(
        f"{entry.number} cannot be gone back to",
        found=found + ", after which nothing was deployed" * nothing,
        expected="a release whose verdict is good, and after which services were deployed",
        next_step=f"iac releases --project {workspace.project}, then name another with --to",
    )


def _was_broken(workspace: Workspace, entry: LedgerEntry, broken: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"release {entry.number} cannot be gone back to with {' and '.join(broken)}",
        found=f"{' and '.join(broken)} did not serve then",
        expected="a release in which the services that go back were good",
        next_step="name the other services, or another release with --to; iac releases --project"
        f" {workspace.project} lists them",
    )


def _pruned(workspace: Workspace, target: Target, app: ResolvedApp) -> ConfigError:
    deploy = f"`iac deploy {workspace.list_arguments} {app.group} --project {workspace.project}`"
    step = f"write `{_source_of(app)}` in its entry of repos.yaml, then {deploy} brings it back"
    if Slug.parse(app.slug).kind == "path":
        step = f"put the files of {app.slug} back as they were, then {deploy} builds them"
    if not target.named and len(target.apps) > 1:
        step += "; or name the services that are to go back without it"
    return ConfigError(
        f"release {target.entry.number} cannot be gone back to: an image of it was removed",
        where=f"service {app.name}",
        found=f"no image {app.image}",
        expected=f"one of the last {workspace.settings.keep_images} proven images of the service"
        " (IAC_KEEP_IMAGES)",
        next_step=step,
    )


def _source_of(app: ResolvedApp) -> str:
    """What names exactly the source that ran."""
    slug = Slug.parse(app.slug)
    if app.foreign and slug.kind == "image":
        return f"image: {app.foreign.pinned if '@' in app.foreign.pinned else slug.location}"
    subdir = f":{slug.subdir}" if slug.subdir else ""
    return f"slug: {app.slug.partition('#')[0]}#{app.commit}{subdir}"
