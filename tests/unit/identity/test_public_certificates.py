"""The store of public certificates on a real disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.layout import Layout
from iac_wrapper.identity import public_certificates as store
from iac_wrapper.identity.certificate_files import Pair
from iac_wrapper.identity.ownership import chown
from iac_wrapper.model.public_host import PublicCertificate
from tests.support.certificate_lab import Issuer

HOST = "app.example.com"
ME = os.geteuid()
CA = Issuer("Test CA")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def install(layout: Layout, pair: Pair | None = None, uid: int = ME) -> PublicCertificate:
    return store.install(layout, "demo", HOST, pair or CA.pair(HOST), owner_uid=uid)


def numbers(layout: Layout) -> list[str]:
    return sorted(path.name for path in store.host_folder(layout, "demo", HOST).iterdir())


def test_nothing_installed_is_none(layout: Layout) -> None:
    assert store.current(layout, "demo", HOST) is None


def test_each_certificate_gets_the_next_number(layout: Layout) -> None:
    """The file's name changes with it; the one before stays, those before that go."""
    first = install(layout)
    assert (first.directory.name, first.issuer, first.names) == ("1", "Test CA", (HOST,))
    assert store.current(layout, "demo", HOST) == first
    assert [install(layout).directory.name for _ in range(3)] == ["2", "3", "4"]
    assert numbers(layout) == ["3", "4", "current"]
    found = store.current(layout, "demo", HOST)
    assert found
    assert found.directory.name == "4"


def test_only_the_key_is_closed(layout: Layout) -> None:
    """Its reader is another user in the ingress's container; `secrets/` keeps the host's out."""
    found = install(layout)
    paths = (found.key, found.cert, found.directory, found.directory.parent.parent)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in paths]
    assert modes == [0o600, 0o644, 0o755, 0o755]


@pytest.mark.skipif(ME != 0, reason="needs root, to give a file away")
def test_the_key_is_the_ingress_s(layout: Layout) -> None:
    """Also after its uid has changed."""
    found = install(layout, uid=30_001)
    assert (found.key.stat().st_uid, found.cert.stat().st_uid) == (30_001, ME)
    store.ensure_owner(found, 30_005, chown)
    assert found.key.stat().st_uid == 30_005


def test_a_pair_that_does_not_fit_changes_nothing(layout: Layout) -> None:
    """Found before the link is moved."""
    first = install(layout)
    wrong = Pair(CA.pair(HOST).chain, CA.pair(HOST).key)
    with pytest.raises(CertificateError, match="do not belong together"):
        install(layout, wrong)
    assert store.current(layout, "demo", HOST) == first
    assert numbers(layout) == ["1", "current"]


def test_what_a_killed_process_left_is_removed(layout: Layout) -> None:
    """Half a folder, or a whole one that is not current yet."""
    first = install(layout)
    for name in (".new-abc", "2"):
        (first.directory.parent / name).mkdir()
    assert store.current(layout, "demo", HOST) == first
    assert install(layout).directory.name == "3"
    assert numbers(layout) == ["1", "3", "current"]


@pytest.mark.parametrize("damage", ["cert.pem", "key.pem", "link"])
def test_a_damaged_one_counts_as_none(layout: Layout, damage: str) -> None:
    """So it is replaced; the number goes on."""
    found = install(layout)
    if damage == "link":
        (found.directory.parent / "current").unlink()
    elif damage == "key.pem":
        found.key.unlink()
    else:
        found.cert.write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    assert store.current(layout, "demo", HOST) is None
    assert install(layout).directory.name == "2"


@pytest.mark.parametrize("host", ["", "../x", "a/b", "..", "a..b", "A.example.com", ".a", "a.*"])
def test_names_that_are_no_hosts(layout: Layout, host: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        store.current(layout, "demo", host)


@pytest.mark.skipif(ME != 0, reason="needs root, to be another user")
def test_another_user_s_folder_is_an_error(layout: Layout) -> None:
    """Who cannot write there learns whose it is; nothing is left half-done."""
    install(layout)
    layout.root.parent.chmod(0o755)
    pid = os.fork()
    if pid == 0:
        os.setuid(12345)
        try:
            install(layout)
        except CertificateError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert numbers(layout) == ["1", "current"]
