"""Two locked states of one service, compared: what a person changed, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.service_change import Reason


def app_changes(
    old: ResolvedApp, new: ResolvedApp, *, values: Collection[str] = (), commits: int | None = None
) -> tuple[Reason, ...]:
    """What differs.

    Args:
        old: as applied.
        new: as it would be.
        values: variables whose secret value is another one than the container has.
        commits: how many commits lie between, if that is known.
    """
    found = [
        *_source(old, new, commits),
        *_entrypoint(old, new),
        *_port(old, new),
        *_env(old.env, new.env, values),
        *_settings(old, new),
    ]
    return tuple(found or _image(old, new))


def _source(old: ResolvedApp, new: ResolvedApp, commits: int | None) -> Iterator[Reason]:
    if new.foreign and new.foreign.pinned and old.tree != new.tree:
        yield Reason("source", f"image: {_pinned(old)} → {_pinned(new)}")
        return
    if old.slug != new.slug:
        yield Reason("source", f"slug: {old.slug} → {new.slug}")
    if old.commit != new.commit:
        count = f" ({commits} commit{'s' * (commits != 1)})" if commits else ""
        yield Reason("commit", f"commit {_short(old)} → {_short(new)}{count}")
    elif old.tree != new.tree:
        yield Reason("source", "source files changed")


def _pinned(app: ResolvedApp) -> str:
    """What its image is pinned by; where it is no image, its slug."""
    return app.foreign.pinned if app.foreign and app.foreign.pinned else app.slug


def _short(app: ResolvedApp) -> str:
    return app.commit[:12] if app.commit else "local files"


def _entrypoint(old: ResolvedApp, new: ResolvedApp) -> Iterator[Reason]:
    if old.entrypoint.display != new.entrypoint.display:
        text = f"entrypoint: {old.entrypoint.display} → {new.entrypoint.display}"
        yield Reason("entrypoint", text)


def _port(old: ResolvedApp, new: ResolvedApp) -> Iterator[Reason]:
    before, after = ((app.port, app.port_declared) for app in (old, new))
    if before != after and (old.port_declared or new.port_declared):
        yield Reason("port", f"port: {_declared(old)} → {_declared(new)}")
    elif before != after:
        yield Reason("port", f"$PORT {old.port} → {new.port}")


def _declared(app: ResolvedApp) -> str:
    """The port as a person wrote it."""
    return str(app.port) if app.port_declared else "automatic"


def _env(
    old: Mapping[str, str], new: Mapping[str, str], values: Collection[str]
) -> Iterator[Reason]:
    both = old.keys() & new.keys()
    changed = {name for name in both if old[name] != new[name]} | (both & set(values))
    words = (
        ("added", new.keys() - old.keys()),
        ("removed", old.keys() - new.keys()),
        ("changed", changed),
    )
    parts = [f"{word} {', '.join(sorted(names))}" for word, names in words if names]
    if parts:
        yield Reason("env", f"env: {' and '.join(parts)}")


def _settings(old: ResolvedApp, new: ResolvedApp) -> Iterator[Reason]:
    """Everything of repos.yaml that has no words of its own here, and the Python."""
    if old.python != new.python:
        yield Reason("settings", f"python {old.python or 'none'} → {new.python or 'none'}")
    before, after = _options(old), _options(new)
    for key in sorted({*before, *after}):
        was, will = (said.get(key, _UNSAID.get(key, "default")) for said in (before, after))
        if was != will:
            yield Reason("settings", f"{key}: {was} → {will}")


def _options(app: ResolvedApp) -> dict[str, str]:
    """The options by key; where the code tells what a program is for, that is said as well."""
    told = f"automatic ({app.run})" if app.run else "automatic"
    return {"run": told, **app.options.written()}


_UNSAID = {
    "cpus": "no limit",
    "rollout": "beside",
    "expose": "false",
    "tcp": "none",
    "volumes": "none",
    "needs": "none",
    "allow": "all services",
    "egress": "everything",
    "schedule": "none",
}
"""What holds where an entry does not say it, if that is no setting."""


def _image(old: ResolvedApp, new: ResolvedApp) -> Iterator[Reason]:
    """Nothing that a person wrote differs; if the image does all the same, this tool changed."""
    if old.base != new.base:
        yield Reason("tool", "KarstKit's runtime image changed")
    elif old.entrypoint.variables != new.entrypoint.variables:
        yield Reason("tool", "KarstKit sets other variables for its framework")
    elif old.image != new.image:
        yield Reason("tool", "KarstKit builds the image in another way")
