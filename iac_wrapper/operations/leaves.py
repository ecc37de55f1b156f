"""Certificates of a project: who has a leaf, and which uid may read its key."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from iac_wrapper.errors import CertificateError, IacError
from iac_wrapper.files import users_file
from iac_wrapper.files.layout import container_name, ingress_name
from iac_wrapper.identity import certificates, issuers, ownership
from iac_wrapper.identity.certificate_authority import load_certificates
from iac_wrapper.identity.ownership import Give
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS, Leaf, LeafFault
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import Users
from iac_wrapper.operations import recording, users
from iac_wrapper.operations.carrier import pair_names
from iac_wrapper.operations.workspace import Workspace

ENVOY_UID = "IAC_ENVOY_UID"
"""The variable of an Envoy container that says as whom its Envoy runs."""

_WORKERS = 8


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
    uids = {service: reader_uid(workspace, name) for service, name in names.items()}
    _ensure(workspace, lock, {service: uid for service, uid in uids.items() if uid is not None})


@dataclass(frozen=True)
class RenewedLeaf:
    """A leaf that was issued anew: of whom, and why the old one would not do."""

    name: str
    why: str
    leaf: Leaf


@dataclass(frozen=True)
class Renewal:
    """What a renewal did. `next_at` (UTC) is when the first of all leaves wants to be renewed,
    None without any; `errors` says by name what could not be issued."""

    renewed: tuple[RenewedLeaf, ...]
    errors: Mapping[str, IacError]
    next_at: datetime | None


def renew(workspace: Workspace) -> Renewal:
    """Issue anew what is due of the deployed project, for the Envoys that run now.

    It does not take the project's lock: a deploy may take longer than a leaf lives. Each leaf has a
    lock of its own, and no folder is made that a removal took away.

    Raises:
        CertificateError: the CA cannot be used.
        EngineError: something is due, and the engine does not answer.
    """
    lock = workspace.applied_lock()
    if lock is None or not lock.all_apps:
        return Renewal((), {}, None)
    owners = running_owners(workspace, lock, look_at=())
    found = faults(workspace, lock, owners)
    suspects = [name for name, fault in found.items() if fault]
    if suspects:
        owners = running_owners(workspace, lock, look_at=suspects)
        found |= faults(workspace, lock, {name: owners[name] for name in suspects})
    reasons = {name: fault.text for name, fault in found.items() if fault}
    renewed, errors = issue_leaves(workspace, lock, owners, reasons)
    ends = []
    for name in owners:
        with suppress(CertificateError):
            ends.append(leaf_of(workspace, name).renew_at)
    return Renewal(renewed, errors, min(ends, default=None))


def issue_leaves(
    workspace: Workspace, lock: LockFile, owners: Mapping[str, int], reasons: Mapping[str, str]
) -> tuple[tuple[RenewedLeaf, ...], dict[str, IacError]]:
    """New leaves of the names in `reasons`, for the uids in `owners`, and what could not be issued:
    one that fails, or takes its time, does not keep others from renewing."""

    def one(name: str) -> RenewedLeaf | IacError:
        try:
            return RenewedLeaf(name, reasons[name], issue_leaf(workspace, lock, name, owners[name]))
        except IacError as error:
            return error

    with ThreadPoolExecutor(_WORKERS) as pool:
        done = dict(zip(reasons, pool.map(one, reasons), strict=True))
    renewed = [each for each in done.values() if isinstance(each, RenewedLeaf)]
    errors = {name: each for name, each in done.items() if isinstance(each, IacError)}
    recording.note(workspace, "renew", [f"{each.name}: {each.why}" for each in renewed])
    return tuple(renewed), errors


def issue_leaf(
    workspace: Workspace, lock: LockFile, name: str, owner_uid: int, *, make: bool = False
) -> Leaf:
    """A new leaf of `name` in place of the one that it has.

    Args:
        make: whether its folder is made if it is gone: only for who holds the project, as a
            removal may have taken it.

    Raises:
        CertificateError: there is no CA, it cannot issue, or `name` has no folder (any more).
    """
    return certificates.ensure_leaf(
        issuers.deployed_issuer(workspace.layout.secrets, workspace.settings.cert_command),
        workspace.layout.certificates(workspace.project) / name,
        name=name,
        trust_domain=lock.trust_domain,
        owner_uid=owner_uid,
        lifetime=workspace.settings.leaf_lifetime,
        give=_giver(workspace, owner_uid),
        force=True,
        make=make,
    )


def leaf_of(workspace: Workspace, name: str) -> Leaf:
    """The leaf of `name` on disk.

    Raises:
        CertificateError: there is none, or it cannot be read.
    """
    return certificates.inspect_leaf(workspace.layout.certificates(workspace.project) / name)


def running_owners(
    workspace: Workspace, lock: LockFile, *, look_at: Collection[str] | None = None
) -> dict[str, int]:
    """Everybody who has a leaf, and the uid of the Envoy that reads its key now.

    Args:
        look_at: whose container is asked, None: everybody's; of others the project's record counts.

    Raises:
        ConfigError: there is no such record; a deploy makes it.
    """
    owners = _leaf_owners(lock, users_file.load_users(workspace.layout.users(workspace.project)))
    for name in owners if look_at is None else look_at:
        if name != CONTROL_PLANE:
            uid = reader_uid(workspace, envoy_name(workspace, name))
            owners[name] = owners[name] if uid is None else uid
    return owners


def reader_uid(workspace: Workspace, container: str) -> int | None:
    """As whom the Envoy of a container reads its key; None: there is none that says it."""
    uid = workspace.engine.variable(container, ENVOY_UID)
    return int(uid) if uid and uid.isdecimal() else None


def envoy_name(workspace: Workspace, name: str) -> str:
    """The container of the Envoy that serves the leaf of `name`, a service or the ingress; of a
    service the one with its traffic."""
    project = workspace.project
    if name == INGRESS:
        return ingress_name(project)
    return pair_names(project, name, workspace.engine.container)["envoy"]


def refresh_control_plane(workspace: Workspace, lock: LockFile, *, early: bool = True) -> None:
    """Renew the leaf that this command itself talks with, if it is due or of no use.

    Not if the authority is another one: those who run trust the one of before. What stands in the
    way is not said here: the next handshake says it.

    Args:
        early: whether one that is still good is renewed when it is due.
    """
    owner = {CONTROL_PLANE: os.geteuid()}
    with suppress(CertificateError):
        fault = faults(workspace, lock, owner)[CONTROL_PLANE]
        good = ("authority", "chain", "owner", *(() if early else ("due", "lifetime")))
        if fault and fault.code not in good:
            issue_leaf(workspace, lock, CONTROL_PLANE, os.geteuid())


def warn_of_ends(workspace: Workspace, lock: LockFile) -> None:
    """Say which leaves have less than a fifth of their life left: nobody renews them."""
    now, ends = datetime.now(UTC), {}
    for name in (*sorted(app.name for app in lock.apps), *([INGRESS] if lock.routes else [])):
        with suppress(CertificateError):
            leaf = leaf_of(workspace, name)
            if now >= leaf.warn_at:
                ends[name] = leaf.not_after
    if not ends:
        return
    when = "have ended" if min(ends.values()) <= now else f"end in {left_text(min(ends.values()))}"
    workspace.warn(
        f"certificates of {', '.join(ends)} {when}, and nothing has renewed them;"
        f" next: iac certs rotate --project {workspace.project}"
    )


def strangers(workspace: Workspace, lock: LockFile) -> list[str]:
    """Services of `lock` whose Envoys trust none of the authorities that issue now, sorted: what
    gets a leaf today could not call them.

    Raises:
        CertificateError: there is no authority, or it cannot be used.
    """
    if not lock.apps:
        return []
    secrets, command = workspace.layout.secrets, workspace.settings.cert_command
    roots = set(issuers.deployed_issuer(secrets, command).roots().values())
    folder = workspace.layout.certificates(workspace.project)
    found = []
    for name in sorted(app.name for app in lock.apps):
        with suppress(CertificateError):  # without one it has a fault that a rollout mends
            trusted = load_certificates(folder / name / "ca.crt")
            if roots.isdisjoint(trusted):
                found.append(name)
    return found


def left_text(until: datetime) -> str:
    """How long it is until then: ``44 days``, ``7 h``, ``12 s``."""
    left = until - datetime.now(UTC)
    for unit, word in ((timedelta(days=1), "days"), (timedelta(hours=1), "h")):
        if left >= 2 * unit:
            return f"{left // unit} {word}"
    seconds = max(0, int(left.total_seconds()))
    return f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"


def faults(
    workspace: Workspace, lock: LockFile, owners: Mapping[str, int]
) -> dict[str, LeafFault | None]:
    """What is wrong with the leaf of each of `owners`.

    Raises:
        CertificateError: the CA cannot be used.
    """
    layout = workspace.layout
    return {
        name: certificates.due(
            layout.secrets,
            layout.certificates(workspace.project) / name,
            name=name,
            trust_domain=lock.trust_domain,
            owner_uid=owner,
            lifetime=workspace.settings.leaf_lifetime,
            command=workspace.settings.cert_command,
        )
        for name, owner in sorted(owners.items())
    }


def _ensure(workspace: Workspace, lock: LockFile, owners: Mapping[str, int]) -> None:
    directory = workspace.layout.certificates(workspace.project)
    issuer = issuers.ensure_issuer(workspace.layout.secrets, workspace.settings.cert_command)

    def ensure(name: str) -> None:
        certificates.ensure_leaf(
            issuer,
            directory / name,
            name=name,
            trust_domain=lock.trust_domain,
            owner_uid=owners[name],
            lifetime=workspace.settings.leaf_lifetime,
            give=_giver(workspace, owners[name]),
        )

    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(ensure, owners))


def _giver(workspace: Workspace, owner_uid: int) -> Give:
    if os.geteuid() in (0, owner_uid):
        return ownership.chown
    return ownership.giver(workspace.engine, workspace.host.sidecar_image, workspace.project)


def due_certificates(
    workspace: Workspace, lock: LockFile, found: Mapping[str, Users]
) -> dict[str, str]:
    """Who would get a new leaf from `ensure_certificates`, and why, sorted by name."""
    seen = faults(workspace, lock, _leaf_owners(lock, found))
    return {name: fault.text for name, fault in seen.items() if fault}


def _leaf_owners(lock: LockFile, found: Mapping[str, Users]) -> dict[str, int]:
    """Everybody who has a leaf, and the uid that may read its key."""
    owners = {app.name: found[app.name].envoy for app in lock.apps}
    if lock.routes:
        owners[INGRESS] = found[INGRESS].envoy
    return {**owners, CONTROL_PLANE: os.geteuid()}
