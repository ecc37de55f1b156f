"""From slugs to facts: resolve, fetch, detect, and what else Terraform needs on disk.

`facts` only reads (and fills the source cache), so `plan` can use it; `materialize` writes build
contexts and certificates.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import live_name, network_name
from iac_wrapper.files.private_files import private_directory
from iac_wrapper.identity import certificates, public_certificates
from iac_wrapper.model import egress_remarks, needs, policy
from iac_wrapper.model.app import DEFAULT_PORT, AppSpec, Checkout, ResolvedApp
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS
from iac_wrapper.model.exposure import check_claims
from iac_wrapper.model.intent import Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import capacity, foreign_images, images, source_pruning, users, volumes
from iac_wrapper.operations.app_plan import plan_app
from iac_wrapper.operations.leaves import ensure_certificates
from iac_wrapper.operations.network import (
    choose_gateway_port,
    choose_ingress_port,
    choose_subnet,
)
from iac_wrapper.operations.process_apps import process_app, wanted_run
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program import build_context, context_folder
from iac_wrapper.program.index_settings import write_build_secrets
from iac_wrapper.program.own_dockerfile import DockerfileBuild
from iac_wrapper.sources.resolve import resolve


@dataclass(frozen=True)
class ProjectFacts:
    """A lock, and the build of each app whose image would be new to this project folder."""

    lock: LockFile
    builds: Mapping[str, build_context.AppBuild | DockerfileBuild]


def facts(workspace: Workspace, selection: Selection) -> ProjectFacts:
    """Find out everything about the apps of `selection`; write nothing but the source cache.

    Args:
        workspace: the project.
        selection: what to resolve and what to keep.

    Raises:
        ConfigError, SourceError, EntrypointError: see the steps.
    """
    specs = [spec for spec in selection.fresh if not (spec.process_of or spec.is_image)]
    pulled = [spec for spec in selection.fresh if spec.is_image]
    check_needs(selection)
    _check_entrypoint_setting(workspace, specs)
    applied = workspace.applied_lock()
    subnet = choose_subnet(workspace, applied, selection.lock_on_disk)
    port = choose_gateway_port(workspace, applied, selection.lock_on_disk)
    checkouts = resolve(
        specs,
        workspace.settings,
        cache=workspace.layout.cache,
        locked=_commits(selection.pinned_lock),
        offline=selection.offline,
        progress=partial(workspace.progress, stage="fetch"),
        stage=workspace.stage,
    )
    source_pruning.prune(workspace, checkouts, selection.lock_on_disk)
    for checkout in checkouts:
        for note in checkout.spec.notes:
            workspace.progress(f"{checkout.spec.name}: {note}")
        for note in checkout.notes:
            workspace.warn(f"{checkout.spec.name}: {note}")
    processes = [spec for spec in selection.fresh if spec.process_of]
    declared = [(spec.group, spec.process) for spec in processes]
    ours = [checkout for checkout in checkouts if not checkout.spec.dockerfile]
    builds = {c.spec.name: _build(workspace, c, declared) for c in ours}
    resolved = {c.spec.name: _resolved(c, builds[c.spec.name]) for c in ours}
    others = [
        process_app(workspace, spec, resolved[spec.group], builds[spec.group].source)
        for spec in processes
    ]
    foreign = foreign_images.find(workspace, checkouts, pulled, selection.pinned_lock)
    found = [*resolved.values(), *others, *foreign.apps, *selection.kept_apps]
    fresh = {app.name: app for app in found}
    parked = {app.name: app for app in selection.parked}
    every = {**parked, **fresh}
    apps = tuple(every[name] for name in sorted(every) if name not in parked)
    _check_exposed(selection.fresh, apps)
    running = {app.name for app in applied.apps} if applied else set()
    missing = [b for b in builds.values() if not workspace.engine.has_image(b.image)]
    capacity.warn(workspace, len({app.name for app in apps} - running), len(missing))
    check_live_names(workspace.project, set(every))
    network = network_name(workspace.project)
    lock = LockFile(
        *(workspace.project, network, subnet, port, apps, selection.environment),
        ingress_port=applied.ingress_port if applied else None,
        parked=tuple(every[name] for name in sorted(parked)),
    )
    if any(route.is_local for route in lock.routes):
        ingress_port = choose_ingress_port(workspace, applied, selection.lock_on_disk)
        lock = replace(lock, ingress_port=ingress_port)
    shut = egress_remarks.remarks(lock, workspace.settings.otlp_endpoint)
    for text in (*policy.contradictions(lock), *shut):
        workspace.warn(text)
    return ProjectFacts(lock, {**builds, **foreign.builds})


def _check_exposed(specs: Iterable[AppSpec], apps: Iterable[ResolvedApp]) -> None:
    """Refuse an address for people of a service that nobody can ask over HTTP: it would be proven
    by its TCP ports, and its URL would never answer.

    Raises:
        ConfigError: a service with `expose` offers TCP ports alone.
    """
    places = {spec.name: spec.where for spec in specs}
    for app in apps:
        if app.options.expose and app.tcp_only and app.name in places:
            ports = ", ".join(map(str, app.options.tcp))
            raise ConfigError(
                f"{app.name} has `expose:`, and nothing of it is known to speak HTTP",
                where=places[app.name] or None,
                found=f"tcp: [{ports}], and neither `port:`, `health:` nor `run: web`",
                expected="`expose:` for a service that answers over HTTP",
                next_step="write `port:` with its HTTP port, or delete `expose:`",
            )


def materialize(workspace: Workspace, found: ProjectFacts) -> None:
    """Write build contexts and certificates, make volumes; what runs is not touched.

    Raises:
        CertificateError: the CA or a leaf cannot be made.
    """
    private_directory(workspace.layout.secrets)
    write_build_secrets(
        workspace.layout.build_secrets,
        workspace.settings.environment,
        ca_bundle=workspace.settings.ca_bundle,
    )
    _link_terraform(workspace)
    with ThreadPoolExecutor() as pool:
        list(pool.map(context_folder.write, found.builds.values()))
    foreign_images.ensure_named(workspace, found.lock.apps)
    for app in found.lock.apps:
        built = not (app.foreign and app.foreign.pinned)
        if built and workspace.engine.forget_other(app.image):
            workspace.warn(f"{app.name}: {app.image} was another image's name; it is built again")
    images.note_use(workspace, found.lock)
    ensure_certificates(workspace, found.lock)
    if any(not route.is_local for route in found.lock.routes):
        public_certificates.make_folder(workspace.layout, workspace.project)
    volumes.prepare(workspace, found.lock)


def _link_terraform(workspace: Workspace) -> None:
    """Give a folder the Terraform of the machine, for a plain `cdktf` (see .env.example)."""
    link = workspace.layout.data / "bin" / "terraform"
    target = workspace.settings.machine_home.terraform
    if link != target and not (link.is_symlink() and link.readlink() == target):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def check_addresses(selection: Selection) -> None:
    """Refuse before anything is fetched or written if two services claim one address.

    Raises:
        ConfigError: names both.
    """
    fresh = [(spec.name, spec.where, spec.options.expose) for spec in selection.fresh]
    named = {spec.name for spec in selection.fresh}
    kept = [
        (app.name, "", app.options.expose)
        for app in (*selection.kept_apps, *selection.parked)
        if app.name not in named
    ]
    check_claims([*kept, *fresh])


def remove_dropped(workspace: Workspace, lock: LockFile) -> None:
    """Remove keys, secret values, uids and build contexts of services that are not in `lock`, not
    even parked.

    Call it after an apply: until then their containers use them.
    """
    layout, project = workspace.layout, workspace.project
    names = {app.name for app in lock.all_apps}
    users.release(workspace, lock)
    certificates.prune(
        layout.certificates(project), {*names, CONTROL_PLANE, *([INGRESS] if lock.routes else [])}
    )
    if not lock.routes:
        shutil.rmtree(layout.ingress(project), ignore_errors=True)
    values = layout.project_env_files(project)
    contexts = layout.contexts(project)
    for path in (*values.glob("*"), *contexts.glob("*")):
        # Beside a service's values may lie others of it, with a suffix.
        own = path.parent == values
        service = path.name.partition(".")[0] if own else path.name.rpartition("-")[0]
        if service not in names:
            shutil.rmtree(path, ignore_errors=True)


def _build(
    workspace: Workspace, checkout: Checkout, declared: Sequence[tuple[str, str]]
) -> build_context.AppBuild:
    name = checkout.spec.name
    workspace.stage(name, "detect", "what to run")
    build = plan_app(
        checkout,
        host=workspace.host,
        layout=workspace.layout,
        settings=workspace.settings,
        project=workspace.project,
        declared=[process for service, process in declared if service == name],
        pythons=workspace.pythons,
        say=partial(workspace.progress, service=name, stage="detect"),
    )
    for note in build.notes:
        workspace.warn(f"{name}: {note}")
    return build


def _resolved(checkout: Checkout, build: build_context.AppBuild) -> ResolvedApp:
    spec = checkout.spec
    return ResolvedApp(
        name=spec.name,
        slug=spec.slug.text,
        commit=checkout.commit,
        tree=build.tree,
        entrypoint=build.entrypoint,
        port=spec.port or DEFAULT_PORT,
        port_declared=spec.port is not None,
        env=dict(spec.env),
        python=build.python,
        base=build.base,
        image=build.image,
        run=wanted_run(spec, build.entrypoint),
        options=spec.options,
        notes=(*spec.notes, *checkout.notes, *build.notes),
    )


def _commits(lock: LockFile | None) -> dict[str, tuple[str, str]]:
    return {app.name: (app.slug, app.commit) for app in lock.all_apps if app.commit} if lock else {}


def check_live_names(project: str, names: set[str]) -> None:
    """A service must not have the name by which another one's candidate gets its traffic.

    Raises:
        ConfigError: one has.
    """
    for name in sorted(names):
        if live_name(project, name) in names:
            raise ConfigError(
                f"a service cannot be called {live_name(project, name)} in project {project}",
                found=f"the name under which a new version of {name} gets its traffic",
                next_step="give it another `name:`",
            )


def check_needs(selection: Selection) -> None:
    """What is needed or allowed must be deployed with this, or be deployed already and stay, even
    stopped.

    Raises:
        ConfigError: it is not, or services need each other.
    """
    fresh = {s.name: needs.Needing(s.options.needs, s.needs_where) for s in selection.fresh}
    kept_apps = (*selection.kept_apps, *selection.parked)
    there = fresh.keys() | {app.name for app in kept_apps}
    kept = {  # what one of them needed may have been removed since
        app.name: needs.Needing([name for name in app.options.needs if name in there])
        for app in kept_apps
    }
    needs.check({**kept, **fresh})
    granting = {s.name: policy.Granting(s.options.allow, s.allow_where) for s in selection.fresh}
    others = {app.name: policy.Granting(None) for app in kept_apps}
    policy.check({**others, **granting})


def _check_entrypoint_setting(workspace: Workspace, specs: Sequence[AppSpec]) -> None:
    """``ENTRYPOINT`` in the environment can only mean one app."""
    undecided = [spec for spec in specs if spec.entrypoint is None]
    if workspace.settings.entrypoint and len(undecided) > 1:
        raise ConfigError(
            "ENTRYPOINT is set in the environment, but more than one app would get it",
            where="ENTRYPOINT",
            found=", ".join(spec.name for spec in undecided),
            expected="one app without an `entrypoint:` of its own",
            next_step="write `entrypoint:` per app in repos.yaml, and unset ENTRYPOINT",
        )
