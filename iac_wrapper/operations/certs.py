"""The mesh's certificates: what is on disk, what is served, and a rotation that is proven."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from cryptography import x509

from iac_wrapper.errors import CertificateError, ConfigError, IacError
from iac_wrapper.identity import certificates, issuers, operator
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS, OPERATOR, Leaf, LeafFault
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import leaves, parked, recording, served_leaf, stopped_containers
from iac_wrapper.operations.stopped_containers import StoppedContainer
from iac_wrapper.operations.workspace import Workspace

SERVED_SECONDS = 5.0
"""How long a rotation waits until its leaf is served; Envoy takes about 0.1 s."""

AUTHORITY = "CA"
"""The name of the authority's row."""

NEW_AUTHORITY = f"{AUTHORITY}, new"
"""The same of the one that takes its place: `iac certs rotate-ca` is under way."""

_WORKERS = 8


@dataclass(frozen=True)
class CertificateRow:
    """One certificate. `served` is the serial of the one that answers, None if that was not seen;
    `fault` what is wrong with the one on disk; `differs`: another one is served; `refused`: its
    Envoy has refused a pair since this one was put there, and since then takes no change of the
    authority; `note` is for people."""

    name: str
    dns_names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    serial: str | None = None
    served: str | None = None
    not_after: datetime | None = None
    renew_at: datetime | None = None
    fault: LeafFault | None = None
    differs: bool = False
    refused: bool = False
    note: str = ""

    @property
    def broken(self) -> bool:
        """Whether what is on disk cannot be used."""
        return self.fault is not None and not self.fault.harmless

    @property
    def state(self) -> str:
        """In words."""
        if self.broken and self.fault:
            return f"{self.fault.code}: {self.fault.text}"
        if self.differs:
            return "differs: another certificate is served than the one on disk"
        if self.refused:
            return "stuck: its Envoy refused a pair, and takes no new authority"
        return f"due: {self.fault.text}" if self.fault else self.note or "ok"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "dns_names": list(self.dns_names),
            "uris": list(self.uris),
            "serial": self.serial,
            "served": self.served,
            "expires": self.not_after.isoformat() if self.not_after else None,
            "renewed_from": self.renew_at.isoformat() if self.renew_at else None,
            "fault": self.fault.code if self.fault else None,
            "differs": self.differs,
            "refused": self.refused,
            "state": self.state,
        }


@dataclass(frozen=True)
class Rotated:
    """What became of one rotation.

    `serial` is new, `seconds` how long it took until that was served, None: it was not seen.
    `client`: it serves nobody, so there is nothing to see. `why` says why it was due. `error`:
    nothing was issued. `stopped`: the container for whose sake it was not seen.
    """

    name: str
    before: str | None
    serial: str | None = None
    seconds: float | None = None
    client: bool = False
    why: str = ""
    error: IacError | None = None
    stopped: StoppedContainer | None = None

    @property
    def good(self) -> bool:
        """Whether the new one is in use."""
        return self.error is None and (self.client or self.seconds is not None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "name": self.name,
            "before": self.before,
            "serial": self.serial,
            "served_seconds": None if self.seconds is None else round(self.seconds, 3),
            "served": self.seconds is not None,
            "why": self.why,
            "error": self.error.to_dict() if self.error else None,
            "stopped": self.stopped.to_dict() if self.stopped else None,
        }


def list_certificates(workspace: Workspace) -> list[CertificateRow]:
    """The authority, the control plane, the operator, the ingress and every service.

    Raises:
        ConfigError: nothing is deployed in this project.
        CertificateError: the CA cannot be used.
    """
    lock = workspace.deployed_lock()
    stopped_containers.warn(workspace, lock)
    owners = leaves.running_owners(workspace, lock)
    found = leaves.faults(workspace, lock, owners)
    with ThreadPoolExecutor(_WORKERS) as pool:
        rows = list(pool.map(partial(_row, workspace, lock, found), _order(owners)))
    hour = f"issued for each command, for {operator.LIFETIME.seconds // 3600} h"
    return [*_authorities(workspace), rows[0], CertificateRow(OPERATOR, note=hour), *rows[1:]]


def rotate(workspace: Workspace, names: Sequence[str] = ()) -> list[Rotated]:
    """Issue leaves anew, all or those of `names`, and see each served.

    Raises:
        ConfigError: nothing is deployed, or a name has no certificate.
        BusyError: another command changes the project.
        CertificateError: there is no CA, or it cannot be used.
    """
    with workspace.hold("iac certs rotate"):
        lock = workspace.deployed_lock()
        parked.check_none(workspace, lock, names)
        owners = leaves.running_owners(workspace, lock)
        _check(names, owners, lock)
        issuers.deployed_issuer(workspace.layout.secrets, workspace.settings.cert_command)
        chosen = [name for name in _order(owners) if name in (names or owners)]

        def one(name: str) -> Rotated:
            before = _leaf(workspace, name)
            serial = before.serial if before else None
            try:
                leaf = leaves.issue_leaf(workspace, lock, name, owners[name], make=True)
            except IacError as error:  # of one, and the others are rotated all the same
                return Rotated(name, serial, error=error)
            return _rotated(workspace, lock, leaf, name, before=serial)

        with ThreadPoolExecutor(_WORKERS) as pool:
            done = list(pool.map(one, chosen))
        issued = [f"{each.name}: certificate {each.serial}" for each in done if not each.error]
        good = all(each.good for each in done)
        recording.note(workspace, "rotate", issued, verdict="good" if good else "unhealthy")
        return done


def prove(workspace: Workspace, lock: LockFile, leaf: Leaf, name: str) -> float | None:
    """How many seconds it takes until the new `leaf` of `name` is in use, None if it was not seen;
    what its Envoy had refused before is healed then."""
    if name == CONTROL_PLANE:  # which is this command
        return None
    if name == INGRESS:
        seconds = served_leaf.wait_loaded(workspace, name, leaf.serial, seconds=SERVED_SECONDS)
    else:
        seconds = served_leaf.wait(workspace, lock, name, seconds=SERVED_SECONDS)
    refused = served_leaf.refusals(workspace, name) if seconds is not None else None
    if refused and refused.number:
        certificates.note_refusals(leaf.directory, *refused)
    return seconds


def renew(workspace: Workspace) -> list[Rotated]:
    """Issue anew what is due, and what an Envoy that is stuck needs; see it served.

    An Envoy that refused a pair serves on, but ignores the old pair and later changes of the
    authority: one that was removed would stay trusted. Only another leaf gets it out of that. The
    project's lock is not taken, see `leaves.renew`.

    Raises:
        CertificateError: the CA cannot be used.
        EngineError: something is due, and the engine does not answer.
    """
    lock = workspace.applied_lock()
    if lock is None or not lock.all_apps:
        return []
    done = leaves.renew(workspace)
    known = {each.name for each in done.renewed} | done.errors.keys()
    unstuck, failed = _unstick(workspace, lock, known)
    renewed = [*done.renewed, *unstuck]
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = list(
            pool.map(
                lambda each: _rotated(workspace, lock, each.leaf, each.name, why=each.why), renewed
            )
        )
    errors = {**done.errors, **failed}
    return [*found, *(Rotated(name, None, error=error) for name, error in errors.items())]


def _rotated(  # noqa: PLR0913 - what is known of it, by keyword
    workspace: Workspace,
    lock: LockFile,
    leaf: Leaf,
    name: str,
    *,
    before: str | None = None,
    why: str = "",
) -> Rotated:
    """What became of a new `leaf`."""
    seconds, client = prove(workspace, lock, leaf, name), name == CONTROL_PLANE
    unseen = seconds is None and not client
    stopped = stopped_containers.unseen(workspace, name) if unseen else None
    return Rotated(name, before, leaf.serial, seconds, client, why, stopped=stopped)


def _unstick(
    workspace: Workspace, lock: LockFile, but: Collection[str]
) -> tuple[Sequence[leaves.RenewedLeaf], Mapping[str, IacError]]:
    names = [app.name for app in lock.apps] + ([INGRESS] if lock.routes else [])
    stuck = [name for name in names if name not in but and _refused(workspace, name)]
    owners = leaves.running_owners(workspace, lock, look_at=stuck) if stuck else {}
    reasons = dict.fromkeys(stuck, "its Envoy had refused a pair")
    return leaves.issue_leaves(workspace, lock, owners, reasons)


def _row(
    workspace: Workspace, lock: LockFile, found: dict[str, LeafFault | None], name: str
) -> CertificateRow:
    leaf, fault = _leaf(workspace, name), found[name]
    if leaf is None:
        return CertificateRow(name, fault=fault)
    serial, differs, refused, note = None, False, False, ""
    if name == INGRESS:
        loaded = served_leaf.loaded(workspace, name)
        serial = leaf.serial if leaf.serial in loaded else next(iter(sorted(loaded)), None)
        differs = bool(loaded) and leaf.serial not in loaded
        refused = bool(_refused(workspace, name))
        note = "" if loaded else "ok; its container does not answer"
    elif name != CONTROL_PLANE:
        seen = served_leaf.look(lock, name)
        serial = seen[0] if seen else None
        differs = seen is not None and seen[1] != leaf.fingerprint
        answer = _refused(workspace, name) if seen else False
        refused = bool(answer)
        unsaid = "ok; its Envoy does not say whether it refused a pair"
        note = "ok; nobody answers" if not seen else unsaid if answer is None else ""
    return CertificateRow(
        name,
        dns_names=leaf.dns_names,
        uris=leaf.uris,
        serial=leaf.serial,
        served=serial,
        not_after=leaf.not_after,
        renew_at=leaf.renew_at,
        fault=fault,
        differs=differs,
        refused=refused,
        note=note,
    )


def _authorities(workspace: Workspace) -> list[CertificateRow]:
    issuer = issuers.deployed_issuer(workspace.layout.secrets, workspace.settings.cert_command)
    phase, roots = issuer.phase, issuer.roots()
    notes = dict.fromkeys(roots, "")
    if phase:
        step = f"step {issuers.PHASES.index(phase) + 1} of 3; iac certs rotate-ca goes on"
        notes = {
            "old": "no longer trusted" if phase == "drop" else f"until `drop` ({step})",
            "new": "trusted, but issues nothing yet" if phase == "trust" else "issues",
        }
    return [
        CertificateRow(
            AUTHORITY if which == "old" else NEW_AUTHORITY,
            dns_names=_common_names(root),
            serial=f"{root.serial_number:x}",
            not_after=root.not_valid_after_utc,
            note=notes[which],
        )
        for which, root in roots.items()
    ]


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return tuple(str(each.value) for each in found)


def _refused(workspace: Workspace, name: str) -> bool | None:
    """Whether its Envoy has refused a pair since the one on disk was proven; None: it does not
    say."""
    found = served_leaf.refusals(workspace, name)
    if found is None:
        return None
    directory = workspace.layout.certificates(workspace.project) / name
    return found.number > certificates.refusals(directory, found.run)


def _leaf(workspace: Workspace, name: str) -> Leaf | None:
    try:
        return leaves.leaf_of(workspace, name)
    except CertificateError:
        return None


def _order(owners: Collection[str]) -> list[str]:
    """The control plane, the ingress, then services by name."""
    first = [name for name in (CONTROL_PLANE, INGRESS) if name in owners]
    return [*first, *sorted(name for name in owners if name not in (CONTROL_PLANE, INGRESS))]


def _check(names: Sequence[str], owners: Collection[str], lock: LockFile) -> None:
    if unknown := sorted(set(names) - set(owners)):
        raise ConfigError(
            "no such service has a certificate",
            where=f"project {lock.project}",
            found=", ".join(unknown),
            expected=", ".join(_order(owners)),
            next_step=f"iac certs --project {lock.project} lists them",
        )
