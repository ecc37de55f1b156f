"""Certificates of public hosts: brought by the user, or asked for at an ACME server, and renewed.

Used by a deploy, `iac renew`, its systemd timer and `iac admin serve`. A failure touches nothing
that works: a host keeps its certificate until a new one is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from iac_wrapper.errors import CertificateError, ConfigError, IacError
from iac_wrapper.files import file_lock, users_file
from iac_wrapper.files.private_files import private_directory, unreadable
from iac_wrapper.identity import ownership, public_certificates
from iac_wrapper.identity.acme import backoff, order
from iac_wrapper.identity.acme.account import Account, AcmeServer, open_account
from iac_wrapper.identity.acme.problem import AcmeError, AcmeUnreachableError, explained
from iac_wrapper.identity.certificate_files import Pair, read_pair
from iac_wrapper.identity.ownership import Give
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.public_host import (
    Answers,
    CertificateFiles,
    CertificateResult,
    PublicCertificate,
    PublicHost,
)
from iac_wrapper.operations import public_hosts, recording
from iac_wrapper.operations.workspace import Workspace

_INGRESS = "ingress"
"""The ingress among those that have uids (users.json)."""


def check(hosts: Sequence[PublicHost]) -> None:
    """Look at the user's own files, before anything is changed.

    Raises:
        CertificateError: the first that is wrong.
    """
    for host in hosts:
        if host.files:
            read_pair(host.files, host.name)


def due(workspace: Workspace, hosts: Sequence[PublicHost]) -> list[str]:
    """The hosts that `ensure` would install or ask a certificate for now; changes nothing.

    Raises:
        CertificateError: as `check`.
    """
    return [host.name for host in hosts if _is_due(workspace, host)]


def ensure(
    workspace: Workspace, hosts: Sequence[PublicHost], answers: Answers, *, force: bool = False
) -> list[CertificateResult]:
    """Give every host a good certificate; a line of progress for each that is new.

    Nothing is asked while the server's last certificate has more than a third of its life left, nor
    before the time that an earlier failure set. One process at a time works on a project's; another
    waits for it.

    Args:
        answers: make the ingress answer a proof.
        force: renew what is not due as well, and do not wait.

    Returns:
        What became of each host, in the order given; failures are in it, not raised.

    Raises:
        CertificateError: the secrets cannot be used.
    """
    if not hosts:
        return []
    with _alone(workspace):
        run = _Run(workspace, answers, force, _owner(workspace))
        return [run.result(host) for host in hosts]


def certify(workspace: Workspace, lock: LockFile, told: set[str]) -> None:
    """`ensure` for the hosts of `lock`, which is deployed; what fails is said, and tried again by
    the next deploy or renewal.

    Args:
        told: hosts of which that was said; grows.

    Raises:
        CertificateError: the secrets cannot be used.
    """
    hosts = public_hosts.hosts(workspace, lock)
    results = ensure(workspace, hosts, public_hosts.answers(workspace))
    for each in results:
        if each.error and each.host not in told:
            told.add(each.host)
            workspace.warn(f"{each.host} has no new certificate: {each.error}")
    if any(each.is_new for each in results):
        public_hosts.reload(workspace)


def last_refusal(workspace: Workspace, host: str) -> str:
    """Why the ACME server gave no certificate for `host` when it was last asked, in its own words;
    empty if it did."""
    pause = backoff.load(_account_folder(workspace), host)
    return pause.found.partition("\n")[0] if pause else ""


def renew(
    workspace: Workspace, names: Sequence[str] = (), *, force: bool = False
) -> list[CertificateResult]:
    """`ensure` for the hosts of the deployed project, or those of `names`; the ingress serves them.

    The project is held only if there is something to do.

    Raises:
        BusyError: a deploy is at work, which renews by itself.
        ConfigError: a name is of no host.
    """
    hosts = _named(public_hosts.hosts(workspace), names)
    changes = force or any(_seems_due(workspace, host) for host in hosts)
    with workspace.hold("iac renew") if changes else nullcontext():
        results = ensure(workspace, hosts, public_hosts.answers(workspace), force=force)
        if new := [f"{each.host}: a new certificate" for each in results if each.is_new]:
            public_hosts.reload(workspace)
            recording.note(workspace, "renew", new)
    return results


@dataclass
class _Run:
    """One pass over the hosts. The account is opened when it is first needed; after `stopped`, an
    answer that holds for every host, the ACME server is left alone."""

    workspace: Workspace
    answers: Answers
    force: bool
    owner: tuple[int, Give]
    account: Account | None = None
    stopped: CertificateError | None = None

    def result(self, host: PublicHost) -> CertificateResult:
        workspace = self.workspace
        found = public_certificates.current(workspace.layout, workspace.project, host.name)
        try:
            if found:
                public_certificates.ensure_owner(found, *self.owner)
            if host.files:
                return self._from_files(host.name, host.files, found)
            return self._from_acme(host.name, found)
        except IacError as error:
            return CertificateResult(host.name, "failed", found, error)

    def _from_files(
        self, host: str, files: CertificateFiles, found: PublicCertificate | None
    ) -> CertificateResult:
        pair = read_pair(files, host)
        if found and _holds(found, pair):
            result = CertificateResult(host, "kept", found)
        else:
            found = self._install(host, pair)
            result = CertificateResult(host, "installed", found)
        if datetime.now(UTC) >= found.warn_at:
            self.workspace.warn(
                f"the certificate of {host} ends on {found.not_after:%Y-%m-%d}; put a new one into"
                f" {files.certificate} and deploy"
            )
        return result

    def _from_acme(self, host: str, found: PublicCertificate | None) -> CertificateResult:
        folder = _account_folder(self.workspace)
        if not self.force:
            if found and _lasts(self.workspace, found):
                return CertificateResult(host, "kept", found)
            pause = backoff.load(folder, host)
            if pause and datetime.now(UTC) < pause.until:
                return CertificateResult(host, "waiting", found, pause.error(host), pause.until)
        if self.stopped:
            raise self.stopped
        try:
            pair = self._obtain(host)
        except AcmeUnreachableError as error:  # nobody was asked, so nobody need be spared
            self.stopped = error
            raise
        except AcmeError as error:
            if limited := error.code == "rateLimited":
                self.stopped = error
            pause = backoff.record(folder, host, error, limited=limited, until=error.until)
            return CertificateResult(host, "failed", found, error, pause.until)
        installed = self._install(host, pair)
        order.forget(folder, host)
        backoff.clear(folder, host)
        return CertificateResult(host, "renewed" if found else "obtained", installed)

    def _obtain(self, host: str) -> Pair:
        workspace, server = self.workspace, _server(self.workspace)
        workspace.progress(f"{host}: asking {server.directory} for a certificate")
        if self.account is None:
            accounts = workspace.layout.acme(workspace.project)
            self.account = open_account(server, accounts, self._agreed)
        with explained(host, server.directory):
            return order.obtain(self.account, host, self.answers)

    def _agreed(self, terms: str) -> None:
        self.workspace.progress(f"The new account there agrees to its terms of service: {terms}")

    def _install(self, host: str, pair: Pair) -> PublicCertificate:
        workspace, (uid, give) = self.workspace, self.owner
        installed = public_certificates.install(
            workspace.layout, workspace.project, host, pair, owner_uid=uid, give=give
        )
        until = f"{installed.not_after:%Y-%m-%d}"
        workspace.progress(f"{host}: certificate of {installed.issuer}, valid until {until}")
        return installed


def _is_due(workspace: Workspace, host: PublicHost) -> bool:
    found = public_certificates.current(workspace.layout, workspace.project, host.name)
    if host.files:
        pair = read_pair(host.files, host.name)
        return not (found and _holds(found, pair))
    if found and _lasts(workspace, found):
        return False
    pause = backoff.load(_account_folder(workspace), host.name)
    return pause is None or datetime.now(UTC) >= pause.until


def _seems_due(workspace: Workspace, host: PublicHost) -> bool:
    """`_is_due`, but for files that are wrong: `ensure` says so, and changes nothing."""
    try:
        return _is_due(workspace, host)
    except CertificateError:
        return False


def _lasts(workspace: Workspace, found: PublicCertificate) -> bool:
    """Whether ACME need not be asked: another server than before, as after trials, is."""
    return found.source == _server(workspace).directory and datetime.now(UTC) < found.renew_at


def _holds(found: PublicCertificate, pair: Pair) -> bool:
    """Whether `pair` is what is installed: its key is that of the certificate."""
    return found.cert.read_bytes() == pair.chain


def _named(hosts: Sequence[PublicHost], names: Sequence[str]) -> Sequence[PublicHost]:
    if unknown := set(names) - {host.name for host in hosts}:
        raise ConfigError(
            "no such public host",
            found=", ".join(sorted(unknown)),
            expected=", ".join(host.name for host in hosts) or "a host of `expose:` with TLS",
            next_step="name it below `expose:` in the repos file, then: iac deploy",
        )
    return [host for host in hosts if host.name in names] if names else hosts


def _server(workspace: Workspace) -> AcmeServer:
    chosen = workspace.settings
    return AcmeServer(
        chosen.acme_directory,
        chosen.acme_email,
        chosen.acme_ca,
        chosen.acme_binding_id,
        chosen.acme_binding_key,
    )


def _account_folder(workspace: Workspace) -> Path:
    return _server(workspace).folder(workspace.layout.acme(workspace.project))


def _owner(workspace: Workspace) -> tuple[int, Give]:
    """The uid that may read the keys, and the way to give them to it."""
    try:
        uid = users_file.load_users(workspace.layout.users(workspace.project))[_INGRESS].envoy
    except (ConfigError, KeyError):  # no ingress yet: it gets them when it has a uid
        uid = os.geteuid()
    if os.geteuid() in (0, uid):
        return uid, ownership.chown
    return uid, ownership.giver(workspace.engine, workspace.host.sidecar_image, workspace.project)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Keep other processes from the project's public certificates and ACME accounts."""
    private_directory(workspace.layout.secrets)
    folder = workspace.layout.public_certificates(workspace.project)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(folder, error) from None
    with file_lock.hold(
        descriptor, lambda: workspace.progress("Waiting for another renewal of this project")
    ):
        yield
