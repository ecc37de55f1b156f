"""Certificates of a project: who has a leaf, and which uid may read its key."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from iac_wrapper.files.layout import container_name
from iac_wrapper.identity import certificates, ownership
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import Users
from iac_wrapper.operations import users
from iac_wrapper.operations.workspace import Workspace

ENVOY_UID = "IAC_ENVOY_UID"
"""The variable of an Envoy container that says as whom its Envoy runs."""


def ensure_certificates(workspace: Workspace, lock: LockFile) -> None:
    """Give every service uids, and a valid leaf whose key its own Envoy alone can read.

    The control plane has a leaf as well. What is good is not touched.
    """
    _ensure(workspace, lock, _leaf_owners(lock, users.claim(workspace, lock)))


def keep_certificates(workspace: Workspace, lock: LockFile, services: Collection[str]) -> None:
    """Give these services leaves that their Envoys as they run now can read.

    A deploy makes leaves for the uids of the Envoys to come. One that stays, because its new
    version failed, may have had another uid: it serves from memory, and could not start again.
    """
    names = {service: container_name(workspace.project, service, "envoy") for service in services}
    uids = {service: workspace.engine.variable(name, ENVOY_UID) for service, name in names.items()}
    owners = {service: int(uid) for service, uid in uids.items() if uid and uid.isdecimal()}
    _ensure(workspace, lock, owners)


def _ensure(workspace: Workspace, lock: LockFile, owners: Mapping[str, int]) -> None:
    directory = workspace.layout.certificates(workspace.project)
    authority = certificates.ensure_ca(workspace.layout.secrets)
    give = ownership.giver(workspace.engine, workspace.host.sidecar_image, workspace.project)

    def ensure(name: str) -> None:
        certificates.ensure_leaf(
            authority,
            directory / name,
            name=name,
            trust_domain=lock.trust_domain,
            owner_uid=owners[name],
            give=give,
        )

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(ensure, owners))


def due_certificates(
    workspace: Workspace, lock: LockFile, found: Mapping[str, Users]
) -> tuple[str, ...]:
    """Who would get a new leaf from `ensure_certificates`, sorted."""
    layout = workspace.layout
    directory = layout.certificates(workspace.project)
    return tuple(
        name
        for name, owner in sorted(_leaf_owners(lock, found).items())
        if certificates.is_due(
            layout.secrets,
            directory / name,
            name=name,
            trust_domain=lock.trust_domain,
            owner_uid=owner,
        )
    )


def _leaf_owners(lock: LockFile, found: Mapping[str, Users]) -> dict[str, int]:
    """Everybody who has a leaf, and the uid that may read its key."""
    owners = {app.name: found[app.name].envoy for app in lock.apps}
    if lock.routes:
        owners[INGRESS] = found[INGRESS].envoy
    return {**owners, CONTROL_PLANE: os.geteuid()}
