"""From slugs to facts: resolve, fetch, detect, and what else Terraform needs on disk.

`facts` only reads (and fills the source cache), so `plan` can use it; `materialize` writes build
contexts, certificates and the lock file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper import build_context, lock_file
from iac_wrapper.adapters import certificates, env_files
from iac_wrapper.adapters.index_settings import write_build_secrets
from iac_wrapper.detection import detect
from iac_wrapper.errors import ConfigError
from iac_wrapper.layout import network_name
from iac_wrapper.lock_file import LockFile
from iac_wrapper.model.app import DEFAULT_PORT, AppSpec, Checkout, ResolvedApp
from iac_wrapper.operations.network import choose_gateway_port, choose_subnet
from iac_wrapper.operations.resolve import resolve
from iac_wrapper.operations.workspace import Workspace

CONTROL_PLANE = "control-plane"


@dataclass(frozen=True)
class Facts:
    """A lock, and the build of each app whose image would be new to this project folder."""

    lock: LockFile
    builds: Mapping[str, build_context.Build]


def facts(  # noqa: PLR0913 - keywords: what is wanted, and what stays as it was
    workspace: Workspace,
    specs: Sequence[AppSpec],
    *,
    base_dir: Path,
    previous: LockFile | None,
    pinned: LockFile | None = None,
    kept: Sequence[ResolvedApp] = (),
) -> Facts:
    """Find out everything about `specs`; write nothing but the source cache.

    Args:
        workspace: the project.
        specs: the wanted apps.
        base_dir: what relative local paths are relative to.
        previous: the project's last lock: its subnet and gateway port are kept.
        pinned: a lock whose commits are taken instead of what the refs point to now.
        kept: apps that stay as they are locked.

    Raises:
        ConfigError, SourceError, EntrypointError: see the steps.
    """
    network = network_name(workspace.project)
    subnet = choose_subnet(workspace, previous)
    port = choose_gateway_port(workspace, previous)
    checkouts = resolve(
        specs,
        workspace.settings,
        cache=workspace.layout.cache,
        base_dir=base_dir,
        locked=_commits(pinned),
        progress=workspace.progress,
    )
    _check_entrypoint_setting(workspace, specs)
    builds = {c.spec.name: _build(workspace, c) for c in checkouts}
    resolved = [_resolved(c, builds[c.spec.name]) for c in checkouts]
    apps = tuple(sorted([*resolved, *kept], key=lambda app: app.name))
    return Facts(LockFile(workspace.project, network, subnet, port, apps), builds)


def materialize(workspace: Workspace, found: Facts, lock_path: Path) -> list[str]:
    """Write build contexts, certificates, secret environment files and the lock file.

    Returns:
        The services whose secret environment changed: their app must restart to see it.

    Raises:
        CertificateError: the CA or a leaf cannot be made.
        ConfigError: a ``${NAME}`` in an app's env is not set.
    """
    lock = found.lock
    write_build_secrets(
        workspace.layout,
        workspace.settings.environment,
        ca_bundle=workspace.settings.IAC_CA_BUNDLE,
    )
    with ThreadPoolExecutor() as pool:
        list(pool.map(build_context.write, found.builds.values()))
    restart = [app.name for app in lock.apps if _write_env(workspace, app)]
    ensure_certificates(workspace, lock)
    lock_file.save(lock, lock_path)
    return restart


def ensure_certificates(workspace: Workspace, lock: LockFile) -> None:
    """Give every service and the control plane a valid leaf; touch none that is good."""
    directory = workspace.layout.certificates(workspace.project)
    authority = certificates.ensure_ca(workspace.layout.secrets)
    owners = {app.name: workspace.host.envoy_uid for app in lock.apps}
    owners[CONTROL_PLANE] = os.getuid()
    for name, owner in owners.items():
        certificates.ensure_leaf(
            authority,
            directory / name,
            name=name,
            trust_domain=lock.trust_domain,
            owner_uid=owner,
        )


def _write_env(workspace: Workspace, app: ResolvedApp) -> bool:
    values = env_files.resolve(app.env, workspace.settings.environment, where=f"service {app.name}")
    directory = workspace.layout.env_files(workspace.project, app.name)
    return env_files.write(directory, values)


def _build(workspace: Workspace, checkout: Checkout) -> build_context.Build:
    spec = checkout.spec
    entrypoint = detect(
        checkout.path,
        entrypoint=spec.entrypoint,
        where=spec.where,
        environment=workspace.settings.ENTRYPOINT or None,
    )
    workspace.progress(f"{spec.name}: runs {entrypoint.display} ({entrypoint.reason})")
    return build_context.describe(
        checkout, entrypoint, host=workspace.host, layout=workspace.layout,
        settings=workspace.settings, project=workspace.project,
    )  # fmt: skip


def _resolved(checkout: Checkout, build: build_context.Build) -> ResolvedApp:
    spec = checkout.spec
    return ResolvedApp(
        name=spec.name,
        slug=spec.slug.text,
        commit=checkout.commit,
        tree=checkout.tree,
        entrypoint=build.entrypoint,
        port=spec.port or DEFAULT_PORT,
        port_declared=spec.port is not None,
        env=dict(spec.env),
        python=build.python,
        base=build.base,
        image=build.image,
    )


def _commits(lock: LockFile | None) -> dict[str, tuple[str, str]]:
    return {app.name: (app.slug, app.commit) for app in lock.apps if app.commit} if lock else {}


def _check_entrypoint_setting(workspace: Workspace, specs: Sequence[AppSpec]) -> None:
    """``ENTRYPOINT`` in the environment can only mean one app."""
    undecided = [spec for spec in specs if spec.entrypoint is None]
    if workspace.settings.ENTRYPOINT and len(undecided) > 1:
        raise ConfigError(
            "ENTRYPOINT is set in the environment, but more than one app would get it",
            where="ENTRYPOINT",
            found=", ".join(spec.name for spec in undecided),
            expected="one app without an `entrypoint:` of its own",
            next_step="write `entrypoint:` per app in repos.yaml, and unset ENTRYPOINT",
        )
