"""Who issues, before, while and after one authority takes the place of another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from iac_wrapper.errors import CertificateError
from iac_wrapper.files import atomic
from iac_wrapper.identity import issuers
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.identity.issuers import PHASES, StoredIssuer, ensure_issuer, existing_issuer
from iac_wrapper.model.certificate import Leaf
from tests.support import certificate_lab

DAY = timedelta(days=1)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def stored(secrets: Path) -> StoredIssuer:
    return ensure_issuer(secrets)


def _roots(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem)


def _leaf(stored: StoredIssuer) -> Leaf:
    folder = stored.secrets / "p/svc"
    return ensure_leaf(stored, folder, name="svc", trust_domain="d", owner_uid=os.geteuid())


def _chain(leaf: Leaf) -> list[x509.Certificate]:
    return _roots(leaf.certificate.read_bytes())


def _accepted(leaf: Leaf, trusted: list[x509.Certificate]) -> None:
    """As a peer that trusts these judges it."""
    chain = _chain(leaf)
    verifier = PolicyBuilder().store(Store(trusted)).build_server_verifier(x509.DNSName("svc"))
    verifier.verify(chain[0], chain[1:])


def test_three_phases_and_each_leaf_is_accepted_by_those_of_the_phase_before(
    stored: StoredIssuer, secrets: Path
) -> None:
    """So the order in which sidecars follow does not matter. Each phase issues anew, once."""
    (old,) = _roots(stored.trusted)
    trusted, before = [[old]], [_leaf(stored)]
    assert stored.begin() == "trust"
    for phase in PHASES:
        stored.enter(phase)
        leaf = _leaf(stored)
        assert leaf.issued
        assert not _leaf(stored).issued
        trusted.append(_roots(leaf.trusted.read_bytes()))
        for each in trusted[-2:]:
            _accepted(leaf, each)
        _accepted(before[-1], trusted[-1])
        before.append(leaf)
    (new,) = trusted[-1]
    assert trusted == [[old], [new, old], [new, old], [new]]
    stored.finish()
    assert not _leaf(stored).issued
    assert existing_issuer(secrets)
    assert sorted(path.name for path in secrets.iterdir()) == ["ca.key", "ca.pem", "p"]
    assert _roots((secrets / "ca.pem").read_bytes()) == [new]


def test_a_change_that_was_cut_off_goes_on(
    stored: StoredIssuer, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it began, in each phase, and at each file of its end; the new one is never lost."""
    (secrets / "ca.next").mkdir()
    (secrets / "ca.next-new").mkdir()
    (secrets / "ca.next-new/ca.key").write_text("half of one")
    stored.begin()
    new = stored.roots()["new"]
    for phase in PHASES:
        stored.enter(phase)
        assert StoredIssuer(secrets).begin() == phase
        assert stored.roots()["new"] == new
    write, unlink, remove = atomic.write_bytes, Path.unlink, shutil.rmtree
    for cut in range(4):
        left = [cut]

        def count(act: Callable[..., None], left: list[int] = left) -> Callable[..., None]:
            def counted(*arguments: object, **named: object) -> None:
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
                act(*arguments, **named)

            return counted

        with monkeypatch.context() as patched:
            patched.setattr(issuers, "write_bytes", count(write))
            patched.setattr(Path, "unlink", count(unlink))
            patched.setattr(shutil, "rmtree", count(remove))
            with pytest.raises(KeyboardInterrupt):
                stored.finish()
        assert _roots(stored.trusted) == [new]
    stored.finish()
    assert _roots(stored.trusted) == [new]


def test_what_the_last_act_left_is_no_new_authority(stored: StoredIssuer, secrets: Path) -> None:
    shutil.copytree(secrets, secrets.parent / "copy")
    shutil.move(secrets.parent / "copy", secrets / "ca.next")
    stored.begin()
    assert stored.roots()["new"] != stored.roots()["old"]


def _bring(folder: Path, above: certificate_lab.Issuer | None = None) -> certificate_lab.Issuer:
    """An authority as people have it; below `above`, an intermediate with its chain."""
    folder.mkdir(mode=0o700, parents=True)
    made = certificate_lab.Issuer("Our issuing CA", above)
    (folder / "ca.pem").write_bytes(made.pem)
    (folder / "ca.key").write_bytes(certificate_lab.key_bytes(made.key))
    if above:
        (folder / "ca-chain.pem").write_bytes(above.pem)
    return made


def test_an_intermediate_with_a_foreign_root_takes_over(
    stored: StoredIssuer, secrets: Path
) -> None:
    """Its key is closed; leaves come with the intermediate; then it has the place of the old."""
    root = certificate_lab.Issuer("Our root")
    made = _bring(secrets / "ca.next", root)
    (secrets / "ca.next/ca.key").chmod(0o644)
    stored.begin()
    assert (secrets / "ca.next/ca.key").stat().st_mode & 0o777 == 0o600
    stored.enter("issue")
    assert _chain(_leaf(stored))[1:] == [made.certificate]
    stored.enter("drop")
    stored.finish()
    assert (secrets / "ca-chain.pem").read_bytes() == root.pem
    assert _roots(stored.trusted) == [root.certificate]
    with pytest.raises(CertificateError, match="no new authority") as caught:
        stored.begin()
    assert "ca.next" in (caught.value.next_step or "")


def test_a_new_authority_that_cannot_be_used_begins_nothing(
    stored: StoredIssuer, secrets: Path
) -> None:
    (secrets / "ca.next").mkdir()
    (secrets / "ca.next/ca.pem").write_bytes(certificate_lab.Issuer("Other").pem)
    with pytest.raises(CertificateError, match="half of the CA is missing"):
        stored.begin()
    ensure_ca(secrets.parent / "third")
    shutil.copy(secrets.parent / "third/ca.key", secrets / "ca.next/ca.key")
    with pytest.raises(CertificateError, match="do not belong together"):
        stored.begin()
    assert stored.phase is None


def test_a_phase_that_is_none_is_said(stored: StoredIssuer, secrets: Path) -> None:
    stored.begin()
    (secrets / "ca.next/phase").write_text("dorp\n")
    with pytest.raises(CertificateError, match="change cannot be read") as caught:
        stored.now()
    assert caught.value.found == "'dorp'"


def test_from_our_own_authority_to_a_command(stored: StoredIssuer, secrets: Path) -> None:
    """While both a key and a command are there, nobody guesses; a change says who issues when."""
    root = certificate_lab.Issuer("Their root")
    both = StoredIssuer(secrets, "false")
    with pytest.raises(CertificateError, match="a command and the CA's key") as caught:
        both.now()
    assert "iac certs rotate-ca" in (caught.value.next_step or "")
    (secrets / "ca.next").mkdir()
    (secrets / "ca.next/ca.pem").write_bytes(root.pem)
    both.begin()
    assert _leaf(both).issued
    both.enter("issue")
    with pytest.raises(CertificateError, match="false exited with 1"):
        _leaf(both)
    both.enter("drop")
    both.finish()
    assert not (secrets / "ca.key").exists()
    assert _roots(both.trusted) == [root.certificate]
