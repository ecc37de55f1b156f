"""A plan that is saved, and a deploy of exactly that.

A rollout is more than one apply of Terraform's (docs/decisions/0051), so the file has none of its
plans: it has what a deploy would bring, and keyed digests of all that this follows from. A deploy
of it works everything out again and goes on only if nothing differs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from iac_wrapper import __version__
from iac_wrapper.adapters import foreign_images
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file, machine_home, plan_file
from iac_wrapper.model import saved_plan
from iac_wrapper.model.intent import Intent
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.saved_plan import Part, PlanRequest, SavedPlan
from iac_wrapper.operations import local_bases
from iac_wrapper.operations.deploy import DeployResult, bring, gather, judged
from iac_wrapper.operations.env_values import secret_values
from iac_wrapper.operations.hooks import hooked
from iac_wrapper.operations.intent import from_files, from_slugs, warn_of_another
from iac_wrapper.operations.plan import PlanResult, plan_held, plan_lock
from iac_wrapper.operations.prepare import ProjectFacts
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.sources.exclusions import is_junk


class StalePlanError(ConfigError):
    """What a saved plan was made from has moved since; nothing has changed."""

    def __init__(self, workspace: Workspace, path: Path, request: PlanRequest, moved: list[str]):
        words = [word for file in request.files for word in ("--file", file)] + [*request.slugs]
        words += ["--env", request.environment] if request.environment else []
        words += ["--locked"] * request.locked + ["--offline"] * request.offline
        words += ["--out", str(path), "--project", workspace.project]
        super().__init__(
            "the saved plan is not what a deploy would do now",
            where=str(path),
            found=f"changed since it was made: {', '.join(moved)}",
            next_step=f"look at a new one: iac plan {shlex.join(words)}",
        )


def save(
    workspace: Workspace, request: PlanRequest, path: Path, *, full: bool = False
) -> tuple[PlanResult, str]:
    """Plan what `request` is about, and write that to `path`.

    Returns:
        The plan, and the SHA-256 of the file.

    Raises:
        ConfigError: no plan can be written there.
        IacError: a step failed, as in a plan.
    """
    plan_file.check_place(path)
    intent = intent_of(workspace, request)
    _check_outside(intent, path)
    with workspace.hold("iac plan"):
        planned = plan_held(workspace, intent, full=full)
        saved = SavedPlan(
            workspace.project,
            __version__,
            request,
            lock_file.dump(planned.lock),
            _digests(workspace, intent, planned.lock),
            _outcome(workspace, planned),
            planned.to_dict(),
        )
        return planned, plan_file.save(saved, path, _key(workspace))


def deploy(workspace: Workspace, path: Path, *, everything: bool = False) -> DeployResult:
    """Make the project be what the plan in `path` says, and prove it. What that removes may go.

    Raises:
        StalePlanError, ConfigError: it cannot be applied any more; nothing has changed.
        HookError: the hook ``pre-deploy`` failed; nothing has changed.
        IacError, DeployUnhealthyError: as in a deploy.
    """
    saved, sha256 = plan_file.load(path, _key(workspace))
    if saved.project != workspace.project:
        raise ConfigError(
            "the saved plan is another project's",
            where=str(path),
            found=f"project {saved.project}",
            expected=f"project {workspace.project}",
            next_step=f"iac deploy --plan {path} --project {saved.project}",
        )
    workspace = replace(workspace, environment=saved.request.environment)
    beside = Path(saved.request.files[0]).parent if saved.request.files else None
    with hooked(workspace, "deploy", beside) as (release, hooks):
        with workspace.hold("iac deploy --plan"), release.recorded():
            intent = intent_of(workspace, saved.request)
            found = _as_planned(workspace, path, saved, intent)
            warn_of_another(workspace, intent)
            release.of = {"plan_file": sha256}
            if intent.files:
                release.of |= {"lock_file": str(intent.lock_path)}
            named, lock = intent.named, intent.lock_path
            rolled = bring(
                workspace, release, found, named, lock, everything=everything, hooks=hooks
            )
            local_bases.save_bases(workspace, intent.specs, rolled.lock)
        return judged(workspace, rolled, release.number)


def _as_planned(workspace: Workspace, path: Path, saved: SavedPlan, intent: Intent) -> ProjectFacts:
    """What is to be deployed, which is what was planned.

    Raises:
        StalePlanError: it is not.
    """
    wanted = lock_file.parse_lock(saved.lock, where=str(path))
    stale = partial(StalePlanError, workspace, path, saved.request)
    if moved := saved_plan.moved(saved, _digests(workspace, intent, wanted)):
        raise stale(moved)
    found = gather(workspace, replace(intent, prune=True), planned=wanted)
    if moved := _differing(wanted, found.lock):
        raise stale(moved)
    now = plan_lock(workspace, found.lock, intent.named)
    if _outcome(workspace, now) != saved.outcome:
        raise stale(_otherwise(saved, now))
    return found


def _check_outside(intent: Intent, path: Path) -> None:
    """Refuse a place in a local source: the file would make that another one.

    Raises:
        ConfigError: it is in one.
    """
    for spec in intent.specs:
        if spec.slug.kind != "path":
            continue
        folder = (spec.base / Path(spec.slug.location).expanduser()).resolve()
        if path.resolve().is_relative_to(folder):
            inside = path.resolve().relative_to(folder).parts
            if not any(map(is_junk, inside)):
                raise ConfigError(
                    f"the saved plan would become a part of {spec.name}",
                    where=str(path),
                    found=f"a file in its source, {folder}",
                    expected="a file that no entry deploys",
                    next_step="choose another folder; .iac is none's source",
                )


def intent_of(workspace: Workspace, request: PlanRequest) -> Intent:
    """What `request` is about, as its lists say now.

    Raises:
        ConfigError: a list is bad, or lacks what was chosen of it.
    """
    ways = {"locked": request.locked, "offline": request.offline}
    if not request.files:
        return from_slugs(workspace, request.slugs, cwd=Path(request.folder), **ways)
    files = map(Path, request.files)
    return from_files(*files, environment=request.environment, chosen=request.slugs, **ways)


def _digests(workspace: Workspace, intent: Intent, lock: LockFile) -> dict[Part, str]:
    """Those of all that a plan of `lock` is made from, as far as that has a name."""
    lists: dict[Part, bytes] = {("list", name): _content(Path(name)) for name in intent.files}
    images: dict[Part, bytes] = {
        ("image", app.image): found.id.encode()
        for app in lock.apps
        if (found := foreign_images.inspect(workspace.engine, app.image))
    }
    values: dict[Part, bytes] = {
        ("value", f"{variable} of {service}"): value.encode(errors="surrogateescape")
        for service, given in secret_values(workspace, lock).items()
        for variable, value in given.items()
    }
    parts: dict[Part, bytes] = {
        ("tool", ""): f"{__version__} {machine_home.inputs()}".encode(),
        **lists,
        ("lock", str(intent.lock_path)): _content(intent.lock_path),
        ("state", ""): _content(workspace.layout.state(workspace.project)),
        **values,
        **images,
    }
    return {part: plan_file.digest(_key(workspace), data) for part, data in parts.items()}


def _outcome(workspace: Workspace, planned: PlanResult) -> str:
    """That of what a deploy would do, in Terraform's words and in those of services."""
    services = _gists([change.to_dict() for change in planned.services])
    data = json.dumps([planned.outline, services]).encode()
    return plan_file.digest(_key(workspace), data)


def _gists(changes: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, list[str]]]:
    """What becomes of each service and the kinds of reasons; their words may count commits.

    Without certificates: they come due, and are renewed, by themselves.
    """
    return {
        each["service"]: (
            each["action"],
            sorted({reason["what"] for reason in each["reasons"]} - {"certificate"}),
        )
        for each in changes
        if each["action"] != "renew"
    }


def _otherwise(saved: SavedPlan, now: PlanResult) -> list[str]:
    """What becomes of services that is not in the plan, or no longer."""
    before = _gists(saved.shown["services"])
    after = _gists([change.to_dict() for change in now.services])
    why = {each.service: "; ".join(r.text for r in each.reasons) for each in now.services}
    found = [
        f"{name} ({why[name] or after[name][0]})" if name in after else f"{name} (nothing to do)"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return found or ["what Terraform would do (main.py, a setting or the engine)"]


def _differing(saved: LockFile, found: LockFile) -> list[str]:
    """Which services are others than `saved` has; the sources of the rest are the same."""
    if lock_file.dump(saved) == lock_file.dump(found):
        return []
    before, now = ({app.name: app for app in lock.all_apps} for lock in (saved, found))
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    return [f"the source of {name}" for name in names] or ["the network or a port of the project"]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _key(workspace: Workspace) -> bytes:
    return plan_file.key(workspace.layout.plan_key)
