"""Certificates of public hosts that people bring, and what is due; ACME is in `test_acme.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from iac_wrapper.adapters import workspace_lock
from iac_wrapper.errors import BusyError, CertificateError, ConfigError
from iac_wrapper.files import users_file
from iac_wrapper.identity import public_certificates as store
from iac_wrapper.model.event import Event
from iac_wrapper.model.public_host import Answers, CertificateFiles, CertificateResult, PublicHost
from iac_wrapper.model.users import Users
from iac_wrapper.operations import public_hosts
from iac_wrapper.operations.public_certificates import check, due, ensure, renew
from iac_wrapper.operations.workspace import Workspace
from tests.support.certificate_lab import Issuer, write

HOST = "app.example.com"
CA = Issuer("Test CA")
NOBODY = Answers(lambda _token, _text: None, lambda _token: None)


def files(folder: Path, *, days: tuple[float, float] = (-1, 80)) -> CertificateFiles:
    pair = CA.pair(HOST, days=days)
    return write(folder / "own", pair.chain, pair.key)


def one(workspace: Workspace, host: PublicHost) -> CertificateResult:
    (result,) = ensure(workspace, [host], NOBODY)
    return result


def test_files_are_copied_once_and_again_when_they_change(
    workspace: Workspace, tmp_path: Path
) -> None:
    """What is served is the copy: the file may go, or be half-written, and nothing breaks."""
    host = PublicHost(HOST, files(tmp_path))
    check([host])
    assert due(workspace, [host]) == [HOST]
    first = one(workspace, host)
    assert (first.action, first.good) == ("installed", True)
    assert due(workspace, [host]) == []
    assert (one(workspace, host).action, one(workspace, host).certificate) == (
        "kept",
        first.certificate,
    )
    files(tmp_path)  # another certificate in the same files
    assert due(workspace, [host]) == [HOST]
    second = one(workspace, host)
    assert second.action == "installed"
    assert second.certificate
    assert second.certificate.directory.name == "2"


def test_a_bad_file_is_an_error_and_the_copy_stays(workspace: Workspace, tmp_path: Path) -> None:
    """Before anything changes; and a renewal run goes on with the other hosts."""
    host = PublicHost(HOST, files(tmp_path))
    before = one(workspace, host).certificate
    shutil.copy(host.files.key, host.files.certificate)  # type: ignore[union-attr]
    with pytest.raises(CertificateError, match="not a PEM certificate"):
        check([host])
    with pytest.raises(CertificateError, match="not a PEM certificate"):
        due(workspace, [host])
    other = PublicHost("b.example.com", _of(tmp_path / "b", "b.example.com"))
    bad, good = ensure(workspace, [host, other], NOBODY)
    assert (bad.action, bad.certificate, bad.good) == ("failed", before, False)
    assert good.action == "installed"
    assert store.current(workspace.layout, "demo", HOST) == before


def _of(folder: Path, host: str) -> CertificateFiles:
    pair = CA.pair(host)
    return write(folder, pair.chain, pair.key)


@pytest.mark.parametrize(
    ("days", "warned"),
    [((-60, 29), True), ((-60, 31), False), ((-335, 31), False), ((-2, 3), False)],
)
def test_an_end_that_is_near_is_said(
    workspace: Workspace,
    events: list[Event],
    tmp_path: Path,
    days: tuple[float, float],
    warned: bool,
) -> None:
    """30 days before, or of a short life at its last third: nobody renews it but a person."""
    host = PublicHost(HOST, files(tmp_path, days=days))
    one(workspace, host)
    said = [event.message for event in events if event.kind == "warning"]
    assert len(said) == warned
    assert all("the certificate of app.example.com ends on" in text for text in said)


def test_the_key_is_given_to_the_ingress(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as there is one; its uid is in users.json."""
    given: list[tuple[str, int]] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(
        "iac_wrapper.identity.ownership.os.chown",
        lambda path, uid, _gid: given.append((Path(path).name, uid)),
    )
    users_file.save_users({"ingress": Users(30_000)}, workspace.layout.users("demo"))
    one(workspace, PublicHost(HOST, files(tmp_path)))
    assert given == [("key.pem", 30_001)]


@pytest.fixture
def ingress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An ingress that wants one host served from files; what it had reloaded."""
    reloaded: list[str] = []
    host = PublicHost(HOST, files(tmp_path))
    monkeypatch.setattr(public_hosts, "hosts", lambda _: (host,))
    monkeypatch.setattr(public_hosts, "reload", lambda each: reloaded.append(each.project))
    return reloaded


def test_renew_reloads_the_ingress_when_something_is_new(
    workspace: Workspace, ingress: list[str]
) -> None:
    assert [each.action for each in renew(workspace)] == ["installed"]
    assert [each.action for each in renew(workspace, [HOST])] == ["kept"]
    assert ingress == ["demo"]


def test_renew_leaves_a_busy_project_alone(workspace: Workspace, ingress: list[str]) -> None:
    """A deploy renews by itself. With nothing to do nobody is in the way."""
    with workspace_lock.hold(workspace.directory, "iac deploy"), pytest.raises(BusyError):
        renew(workspace)
    renew(workspace)
    with workspace_lock.hold(workspace.directory, "iac deploy"):
        assert [each.action for each in renew(workspace)] == ["kept"]


def test_a_name_of_no_host_is_an_error(workspace: Workspace, ingress: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        renew(workspace, ["www.example.com"])
    assert caught.value.expected == HOST


def test_without_public_hosts_nothing_is_made(workspace: Workspace) -> None:
    assert renew(workspace) == []
    assert not workspace.layout.secrets.exists()
