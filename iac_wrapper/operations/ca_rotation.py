"""One authority takes the place of another, while everything runs: trust both, issue by the new
one, drop the old one.

Every project of the folder has the same authority, so all of them go together. What is reached is
on disk (`identity/issuers.py`): a command that was killed goes on where it was.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from iac_wrapper.adapters import state
from iac_wrapper.errors import CertificateError, IacError
from iac_wrapper.identity import certificates, handshake, issuers
from iac_wrapper.identity.certificate_authority import CertificateAuthority
from iac_wrapper.identity.http2_client import Http2Client
from iac_wrapper.identity.issue import Issuer
from iac_wrapper.identity.issuers import PHASES, Phase, StoredIssuer
from iac_wrapper.model.certificate import CONTROL_PLANE, INGRESS
from iac_wrapper.model.ledger import Verdict
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import certs, leaves, recording, stopped_containers
from iac_wrapper.operations.workspace import Workspace

_WORDS = {
    "trust": "all trust both authorities",
    "issue": "all certificates are of the new authority",
    "drop": "the old authority is trusted no more",
}
"""What holds when a phase is done."""

ROOT_STAYS = (
    "the old authority issues no more; both have one root, so what it issued is accepted until that"
    " ends"
)
"""The same of the last one, where no root is dropped."""

OLD_SECONDS = 65
"""After so long an HTTP connection of before takes no more requests: 60 s
(`max_connection_duration` in templates/sidecar.yaml.j2), and Envoy's drain_timeout of 5 s."""

_DISAGREES = {
    "trust": "does not accept certificates of the new authority",
    "drop": "still accepts certificates of the old authority",
}

_STOPPED = ("created", "exited", "dead")
"""States of containers that hold no certificate in memory."""

_PROBE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True)
class Member:
    """One who has a leaf: of which project, whether it runs, and what keeps it from being done;
    `error`: nothing was issued."""

    project: str
    name: str
    live: bool = True
    missing: str = ""
    next_step: str = ""
    error: IacError | None = None

    @property
    def done(self) -> bool:
        """Whether nothing keeps the rotation from going on."""
        return self.error is None and not (self.live and self.missing)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "project": self.project,
            "name": self.name,
            "live": self.live,
            "missing": self.missing,
            "next_step": self.next_step,
            "error": self.error.to_dict() if self.error else None,
        }


@dataclass(frozen=True)
class RotationStep:
    """What became of one phase. `root_stays`: what is dropped has the root of the new authority."""

    phase: Phase
    members: tuple[Member, ...]
    root_stays: bool = False

    @property
    def done(self) -> bool:
        """Whether everybody that runs has followed."""
        return all(member.done for member in self.members)

    @property
    def words(self) -> str:
        """What holds now."""
        if not self.done:
            return "not done"
        return ROOT_STAYS if self.root_stays else _WORDS[self.phase]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        members = [member.to_dict() for member in self.members]
        return {
            "phase": self.phase,
            "done": self.done,
            "root_stays": self.root_stays,
            "members": members,
        }


def rotate_ca(workspace: Workspace) -> Iterator[RotationStep]:
    """Change to the new authority, from the phase that was reached; each phase as it ends. The
    first that is not done is the last: the next call takes it up again.

    Raises:
        ConfigError: the folder has projects, and this is none of them.
        BusyError: another command changes one of the folder's projects.
        CertificateError: the old or the new authority cannot be used, or there is no new one.
        EngineError: the engine does not answer.
    """
    if state.projects(workspace.layout):  # all of them follow: a misspelt name is to change nothing
        workspace.deployed_lock()
    issuer = StoredIssuer(workspace.layout.secrets, workspace.settings.cert_command)
    with _held(workspace) as projects:
        reached = issuer.begin()
        for phase in PHASES[PHASES.index(reached) :]:
            issuer.enter(phase)
            members = [each for one, lock in projects for each in _follow(one, lock, issuer, phase)]
            step = RotationStep(phase, tuple(members), phase == "drop" and _root_stays(issuer))
            if phase == "drop" and step.done:
                issuer.finish()
                _warn_of_two(workspace)
            said = f"{phase}: {step.words}"
            for one, _lock in projects:
                good: Verdict = "good" if step.done else "unhealthy"
                recording.note(one, "rotate-ca", [said], verdict=good)
            yield step
            if not step.done:
                return


def _warn_of_two(workspace: Workspace) -> None:
    """Where a key has taken the place of the command, which could issue until now."""
    if workspace.settings.cert_command and (workspace.layout.secrets / "ca.key").exists():
        workspace.warn("ca.key issues from now on; next: unset IAC_CERT_COMMAND")


def _root_stays(issuer: StoredIssuer) -> bool:
    """Whether peers go on accepting leaves of the old authority, as its root is the new one's."""
    try:
        both = (issuer.old(), issuer.new())
        old, new = (set(x509.load_pem_x509_certificates(each.trusted)) for each in both)
    except CertificateError:  # the old one is half replaced: `finish` was cut off
        return False
    return old <= new


@contextmanager
def _held(workspace: Workspace) -> Iterator[list[tuple[Workspace, LockFile]]]:
    """The folder's deployed projects, kept from other commands."""
    found = []
    with ExitStack() as stack:
        for project in state.projects(workspace.layout):
            one = replace(workspace, project=project)
            stack.enter_context(one.hold("iac certs rotate-ca"))
            lock = one.applied_lock()
            if lock and lock.all_apps:
                found.append((one, lock))
        yield found


def _follow(
    workspace: Workspace, lock: LockFile, issuer: StoredIssuer, phase: Phase
) -> list[Member]:
    owners = leaves.running_owners(workspace, lock)
    faults = leaves.faults(workspace, lock, owners)

    def one(name: str) -> Member:
        runs = name == CONTROL_PLANE or _is_live(workspace, name)
        try:
            leaf = leaves.leaf_of(workspace, name) if not faults[name] else None
            leaf = leaf or leaves.issue_leaf(workspace, lock, name, owners[name], make=True)
        except IacError as error:
            return Member(workspace.project, name, runs, error=error)
        missing, step = "", ""
        if not runs:
            missing = "is stopped, and joins when it starts"
        elif name != CONTROL_PLANE and certs.prove(workspace, lock, leaf, name) is None:
            stopped = stopped_containers.unseen(workspace, name)
            missing = stopped.text if stopped else "does not serve its new certificate"
            step = stopped.next_step if stopped else ""
        elif (
            name not in (CONTROL_PLANE, INGRESS) and probe and not _agrees(lock, name, probe, phase)
        ):
            missing = _DISAGREES[phase]
        return Member(workspace.project, name, runs, missing, step)

    with _probe(issuer, phase, lock.trust_domain) as probe, ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, sorted(owners)))


def _is_live(workspace: Workspace, name: str) -> bool:
    found = workspace.engine.container(leaves.envoy_name(workspace, name))
    return found is not None and found.state not in _STOPPED


@contextmanager
def _probe(issuer: StoredIssuer, phase: Phase, trust_domain: str) -> Iterator[Path | None]:
    """A short leaf of the control plane by which it shows whom a sidecar trusts: by the new
    authority while both shall be, by the old one when it is dropped. None: its key is elsewhere, or
    its root stays trusted."""
    by = {"trust": issuer.new, "drop": issuer.old}.get(phase)
    authority: Issuer | None = None
    if by and not (phase == "drop" and _root_stays(issuer)):
        with suppress(CertificateError):  # the old one is half replaced: `finish` was cut off
            authority = by()
    if not isinstance(authority, CertificateAuthority):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=issuer.secrets / issuers.NEXT) as folder:
        leaf = certificates.ensure_leaf(
            issuers.Turns(authority, authority.trusted + issuer.trusted),
            Path(folder),
            name=CONTROL_PLANE,
            trust_domain=trust_domain,
            owner_uid=os.geteuid(),
            lifetime=_PROBE_LIFE,
        )
        yield leaf.directory


def _agrees(lock: LockFile, name: str, probe: Path, phase: Phase) -> bool:
    """Whether the sidecar of `name` accepts what is to be trusted, or refuses what is dropped."""
    deadline = time.monotonic() + certs.SERVED_SECONDS
    while _accepts(lock, name, probe) is not (phase == "trust"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _accepts(lock: LockFile, name: str, probe: Path) -> bool | None:
    """Whether the sidecar of `name` takes the leaf in `probe`; None: it does not say."""
    hello = Http2Client().hello
    try:
        with handshake.meet(lock.gateway_port, name, probe, timeout=3.0, hello=hello):
            return True
    except handshake.HandshakeError as error:
        return False if error.untrusted else None
