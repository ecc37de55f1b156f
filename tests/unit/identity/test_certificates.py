"""CA and leaf certificates on a real disk."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from iac_wrapper.errors import CertificateError
from iac_wrapper.identity import certificates, leaf_check
from iac_wrapper.identity.certificates import (
    CertificateAuthority,
    due,
    ensure_ca,
    ensure_leaf,
    inspect_leaf,
    prune,
    remove_project,
)
from iac_wrapper.identity.issue import issue
from iac_wrapper.model.certificate import Leaf
from tests.support import certificate_lab

ME = os.geteuid()
ROOT = Path(__file__).parents[3]
DAY = timedelta(days=1)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def ca(secrets: Path) -> CertificateAuthority:
    return ensure_ca(secrets)


def leaf_of(ca: CertificateAuthority, secrets: Path, *, force: bool = False) -> Leaf:
    directory = secrets / "proj" / "svc"
    return ensure_leaf(ca, directory, name="svc", trust_domain="iacnet", owner_uid=ME, force=force)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(directory)): (path.lstat().st_ino, path.lstat().st_mtime_ns)
        for path in directory.rglob("*")
    }


def test_the_ca_is_made_once_for_ten_years_and_private(secrets: Path) -> None:
    """The second call reads what the first one made."""
    first = ensure_ca(secrets)
    before = snapshot(secrets)
    assert ensure_ca(secrets).certificate == first.certificate
    assert snapshot(secrets) == before
    life = first.certificate.not_valid_after_utc - datetime.now(UTC)
    assert 3650 * DAY < life < 3654 * DAY
    assert (mode(secrets), mode(secrets / "ca.pem"), mode(secrets / "ca.key")) == (
        0o700,
        0o600,
        0o600,
    )
    assert "PRIVATE" not in repr(first)


def test_callers_that_start_at_once_agree_on_one_ca(secrets: Path) -> None:
    """Four of them make one CA; flock is per open file, so threads contend as processes do."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(ensure_ca, [secrets] * 8))
    assert len({each.certificate.serial_number for each in made}) == 1


@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_half_a_ca_is_an_error_and_never_replaced(secrets: Path, name: str) -> None:
    """The file that is left stays as it was."""
    ensure_ca(secrets)
    (secrets / name).unlink()
    with pytest.raises(CertificateError, match=name) as caught:
        ensure_ca(secrets)
    assert caught.value.next_step
    assert not (secrets / name).exists()


def test_a_ca_key_of_another_ca_is_an_error_naming_both_files(
    secrets: Path, tmp_path: Path
) -> None:
    """A mismatch is found before it signs anything."""
    ensure_ca(secrets)
    ensure_ca(tmp_path / "other")
    (tmp_path / "other/ca.key").replace(secrets / "ca.key")
    with pytest.raises(CertificateError, match="do not belong together") as caught:
        ensure_ca(secrets)
    assert "ca.pem" in str(caught.value)
    assert "ca.key" in str(caught.value)


def test_a_leaf_carries_both_names_both_usages_and_ninety_days(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Name for TLS clients, identity for the mesh; valid five minutes back for slow clocks."""
    leaf = leaf_of(ca, secrets)
    assert leaf.issued
    assert leaf.dns_names == ("svc",)
    assert leaf.identity == "spiffe://iacnet/svc"
    now = datetime.now(UTC)
    assert 89 * DAY < leaf.not_after - now < 91 * DAY
    assert timedelta(minutes=4) < now - leaf.not_before < timedelta(minutes=7)
    (certificate,) = x509.load_pem_x509_certificates(leaf.certificate.read_bytes())
    assert certificate.fingerprint(hashes.SHA256()).hex() == leaf.fingerprint
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_the_files_are_links_through_one_link_and_the_key_is_private(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """One rename rotates all three; nobody but the owner reads the key."""
    leaf = leaf_of(ca, secrets)
    for name in ("tls.crt", "tls.key", "ca.crt"):
        assert (leaf.directory / name).readlink() == Path("..data", name)
    assert leaf.key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert mode(leaf.key) == 0o600
    assert leaf.key.stat().st_uid == ME
    assert mode(leaf.directory) == mode(leaf.directory / "..data") == 0o700


def test_a_second_deploy_touches_nothing(ca: CertificateAuthority, secrets: Path) -> None:
    """Same inodes, same times, and the result says it was not issued."""
    first = leaf_of(ca, secrets)
    before = snapshot(first.directory)
    again = leaf_of(ca, secrets)
    assert not again.issued
    assert again.fingerprint == first.fingerprint
    assert snapshot(first.directory) == before


def test_rotation_leaves_the_links_and_removes_the_old_generation(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Only ..data is new; leftovers of a process that died half-way go as well."""
    first = leaf_of(ca, secrets)
    (first.directory / "..dead").mkdir()
    link = (first.directory / "tls.crt").lstat().st_ino
    second = leaf_of(ca, secrets, force=True)
    assert second.issued
    assert second.serial != first.serial
    assert (first.directory / "tls.crt").lstat().st_ino == link
    assert sorted(path.name for path in first.directory.iterdir() if path.is_dir()) == sorted(
        ["..data", str((first.directory / "..data").readlink())]
    )


@pytest.mark.parametrize("damage", ["key", "certificate", "root", "mode", "missing"])
def test_a_damaged_leaf_is_issued_anew(
    ca: CertificateAuthority, secrets: Path, damage: str
) -> None:
    """Whatever Envoy could not serve is replaced by a fresh pair, never by the old one."""
    first = leaf_of(ca, secrets)
    if damage == "key":
        other = ec.generate_private_key(ec.SECP256R1())
        first.key.write_bytes(_key_pem(other))
    elif damage == "certificate":
        first.certificate.write_text("not a certificate")
    elif damage == "root":
        first.trusted.write_text("")
    elif damage == "mode":
        first.key.chmod(0o644)
    else:
        first.key.unlink()
    second = leaf_of(ca, secrets)
    assert second.issued
    assert second.serial != first.serial
    assert not leaf_of(ca, secrets).issued


def test_a_leaf_of_another_ca_or_with_other_names_is_issued_anew(
    ca: CertificateAuthority, secrets: Path, tmp_path: Path
) -> None:
    """A new CA, or a project that moved to another trust domain."""
    leaf = leaf_of(ca, secrets)
    other = ensure_ca(tmp_path / "other")
    assert leaf_of(other, secrets).issued
    moved = ensure_leaf(other, leaf.directory, name="svc", trust_domain="net2", owner_uid=ME)
    assert moved.issued
    assert moved.uris == ("spiffe://net2/svc",)


@pytest.mark.parametrize("late", [False, True])
def test_renew_at_is_the_moment_after_which_a_leaf_is_issued_anew(
    ca: CertificateAuthority, secrets: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Not at it, but a microsecond later."""
    leaf = leaf_of(ca, secrets)

    class Later(datetime):
        @classmethod
        def now(cls, _tz: object = None) -> datetime:  # type: ignore[override]
            return leaf.renew_at + late * timedelta(microseconds=1)

    monkeypatch.setattr(leaf_check, "datetime", Later)
    assert leaf_of(ca, secrets).issued is late


@pytest.mark.parametrize(("days_left", "issued"), [(46, False), (35, True)])
def test_a_leaf_is_renewed_when_half_of_its_life_is_over(
    ca: CertificateAuthority,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
    days_left: int,
    issued: bool,
) -> None:
    """Ninety days: on a day from 45 to 54, by its identity."""
    leaf = leaf_of(ca, secrets)

    class Later(datetime):
        @classmethod
        def now(cls, _tz: object = None) -> datetime:  # type: ignore[override]
            return leaf.not_after - days_left * DAY

    monkeypatch.setattr(leaf_check, "datetime", Later)
    assert leaf_of(ca, secrets).issued is issued


def test_a_life_of_seconds_counts_from_its_issue_and_is_spread_by_name(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Five minutes before do not count: else it would be due at once."""
    shares = set()
    for name in ("a", "b", "c", "d"):
        leaf = ensure_leaf(
            ca,
            secrets / "p" / name,
            name=name,
            trust_domain="iacnet",
            owner_uid=ME,
            lifetime=timedelta(seconds=30),
        )
        life = leaf.not_after - leaf.issued_at
        assert timedelta(seconds=28) < life <= timedelta(seconds=31)
        assert leaf.not_before < leaf.issued_at - timedelta(minutes=4)
        share = (leaf.renew_at - leaf.issued_at) / life
        assert 0.49 < share < 0.61
        assert leaf.renew_at == inspect_leaf(leaf.directory).renew_at
        shares.add(round(share, 3))
    assert len(shares) == 4


def test_a_leaf_that_would_live_longer_than_the_setting_is_due(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """A shorter lifetime takes effect at once, a longer one with the next renewal."""
    folder = leaf_of(ca, secrets).directory

    def why(lifetime: timedelta) -> str | None:
        fault = due(
            secrets,
            folder,
            name="svc",
            trust_domain="iacnet",
            owner_uid=ME,
            lifetime=lifetime,
        )
        return fault.code if fault else None

    assert why(timedelta(hours=1)) == "lifetime"
    assert why(timedelta(days=400)) is None


def test_a_removed_leaf_is_not_made_again_by_a_renewal(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Its service was removed meanwhile."""
    with pytest.raises(CertificateError):
        ensure_leaf(
            ca, secrets / "p/s", name="s", trust_domain="d", owner_uid=ME, force=True, make=False
        )
    assert not (secrets / "p").exists()


@dataclass
class _Stub:
    """An issuer whose answers are wrong in one way."""

    ca: CertificateAuthority
    answer: str
    bounded = True

    @property
    def trusted(self) -> bytes:
        return self.ca.trusted

    def issued(self, chain: Sequence[x509.Certificate]) -> bool:
        return self.ca.issued(chain)

    def issue(
        self, name: str, trust_domain: str, *, lifetime: timedelta, serves: bool = True
    ) -> tuple[bytes, Key]:
        assert serves
        if self.answer == "mismatch":
            return self.ca.issue(name, trust_domain, lifetime=lifetime)[0], _new_key()
        if self.answer == "names":
            return self.ca.issue("other", trust_domain, lifetime=lifetime)
        if self.answer == "expired":
            return self.ca.issue(name, trust_domain, lifetime=-timedelta(seconds=2))
        if self.answer == "usage":
            leaf, key = issue(
                self.ca.certificate, self.ca.key, name, trust_domain, lifetime=lifetime
            )
            builder = x509.CertificateBuilder(
                leaf.issuer,
                leaf.subject,
                leaf.public_key(),
                leaf.serial_number,
                leaf.not_valid_before_utc,
                leaf.not_valid_after_utc,
                [each for each in leaf.extensions if each.oid != ExtensionOID.EXTENDED_KEY_USAGE],
            )
            return _pem(builder.sign(self.ca.key, hashes.SHA256())), key
        chain, key = self.ca.issue(name, trust_domain, lifetime=lifetime)
        return chain + self.ca.trusted + _pem(_authority("strange", _new_key())), key


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("mismatch", "its key is not that of its certificate"),
        ("names", "it has not the names svc, spiffe://iacnet/svc"),
        ("expired", "it ended on"),
        ("usage", "extended key usage"),
        ("chain", "each must have issued the one before"),
    ],
)
def test_what_an_issuer_gives_is_judged_before_it_becomes_current(
    ca: CertificateAuthority, secrets: Path, answer: str, sentence: str
) -> None:
    """A sentence each; the old pair stays."""
    folder = leaf_of(ca, secrets).directory
    before = snapshot(folder)
    with pytest.raises(CertificateError, match=sentence):
        ensure_leaf(
            _Stub(ca, answer),
            folder,
            name="svc",
            trust_domain="iacnet",
            owner_uid=ME,
            force=True,
        )
    assert snapshot(folder) == before


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_pair_that_does_not_agree_never_becomes_current(
    ca: CertificateAuthority, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked as it lies on disk; the old pair stays and nothing is left behind."""
    first = leaf_of(ca, secrets)
    before = snapshot(first.directory)
    strange = ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setattr(certificates, "key_pem", lambda _key: _key_pem(strange))
    with pytest.raises(CertificateError, match="its key is not that of its certificate"):
        leaf_of(ca, secrets, force=True)
    assert snapshot(first.directory) == before


@pytest.mark.skipif(ME != 0, reason="only root can give files away")
def test_root_gives_the_key_to_envoys_uid(ca: CertificateAuthority, secrets: Path) -> None:
    """The key alone; what it reads and walks through beside it is open, and stays root's."""
    leaf = ensure_leaf(ca, secrets / "p/s", name="s", trust_domain="iacnet", owner_uid=10101)
    assert (leaf.key.stat().st_uid, mode(leaf.key)) == (10101, 0o600)
    for path, wanted in (
        (leaf.directory, 0o755),
        (leaf.directory / "..data", 0o755),
        (leaf.certificate, 0o644),
        (leaf.trusted, 0o644),
    ):
        assert (path.stat().st_uid, mode(path)) == (ME, wanted)
    assert mode(secrets) == 0o700
    assert not ensure_leaf(
        ca, leaf.directory, name="s", trust_domain="iacnet", owner_uid=10101
    ).issued


def test_a_key_that_nobody_can_give_away_never_becomes_current(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Without root, and without an engine that helps, there is no leaf that Envoy cannot read."""

    def refuse(path: Path, uid: int) -> None:
        raise CertificateError("cannot give a key to its Envoy", where=str(path), found=str(uid))

    folder = secrets / "p/s"
    with pytest.raises(CertificateError, match="cannot give"):
        ensure_leaf(ca, folder, name="s", trust_domain="iacnet", owner_uid=10101, give=refuse)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(ME != 0, reason="only root can become another user")
def test_who_is_not_root_keeps_and_rotates_a_key_that_it_cannot_read() -> None:
    """The key is Envoy's, the folder is the person's: good leaves stay, others are replaced."""
    own = Path(tempfile.mkdtemp(prefix="iac-test-"))  # tmp_path is below a folder of root's
    os.chown(own, 4242, 4242)
    # Without coverage, whose file that other user could not write.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", AS_SOMEBODY, str(own)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    shutil.rmtree(own)
    assert done.stderr == ""
    assert done.stdout.split() == ["True", "False", "True", "10101", "True"]


AS_SOMEBODY = """
import os, socket, sys
from pathlib import Path
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
ours, theirs = socket.socketpair()
if not os.fork():  # stands for the helper: root, and nothing but chown
    ours.close()
    while wanted := theirs.recv(4096).decode():
        os.chown(wanted, 10101, -1)
        theirs.send(b"x")
    os._exit(0)
theirs.close()
warm = Path(sys.argv[1]) / "warm"  # imports what nobody but root may read afterwards
ensure_leaf(ensure_ca(warm), warm / "s", name="s", trust_domain="d", owner_uid=0)
os.setgid(4242); os.setuid(4242)
def give(path, uid):
    assert uid == 10101
    ours.send(str(path).encode()); ours.recv(1)
secrets = Path(sys.argv[1]) / "secrets"
ca = ensure_ca(secrets)
def leaf(**more):
    return ensure_leaf(ca, secrets / "p/s", name="s", trust_domain="d", owner_uid=10101,
                       give=give, **more)
first, again, forced = leaf(), leaf(), leaf(force=True)
print(first.issued, again.issued, forced.serial != first.serial, forced.key.stat().st_uid)
print(not os.access(forced.key, os.R_OK))
ours.close()
"""


def test_what_is_due_is_known_before(
    ca: CertificateAuthority, secrets: Path, tmp_path: Path
) -> None:
    """A missing leaf, one of other names, one whose CA is another now; nothing is made."""

    def why(folder: Path, *, name: str = "svc", owner: int = ME) -> str | None:
        fault = due(
            folder, folder / "proj" / "svc", name=name, trust_domain="iacnet", owner_uid=owner
        )
        return fault.code if fault else None

    assert why(secrets) == "missing"
    assert not (secrets / "proj").exists()
    leaf_of(ca, secrets)
    assert not why(secrets)
    assert why(secrets, name="other") == "names"
    assert why(secrets, owner=ME + 1) == "owner"
    other = ensure_ca(tmp_path / "other")
    for name in ("ca.pem", "ca.key"):
        (secrets / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert why(secrets) == "authority"
    leaf_of(other, secrets)
    assert not why(secrets)
    assert why(tmp_path / "none") == "authority"
    assert not (tmp_path / "none").exists()


def test_inspect_names_the_missing_file(secrets: Path) -> None:
    """The error says where it looked."""
    with pytest.raises(CertificateError, match=r"tls\.crt"):
        inspect_leaf(secrets / "proj/none")


def test_remove_project_keeps_the_ca_and_the_neighbours(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Twice is once; a name that is a path is refused."""
    leaf_of(ca, secrets)
    (secrets / "other").mkdir()
    remove_project(secrets, "proj")
    remove_project(secrets, "proj")
    assert sorted(path.name for path in secrets.iterdir()) == ["ca.key", "ca.pem", "other"]
    for name in ("", "..", "a/b"):
        with pytest.raises(ValueError, match="project"):
            remove_project(secrets, name)


def test_prune_removes_the_leaves_of_dropped_services_only(
    ca: CertificateAuthority, secrets: Path
) -> None:
    """Those that stay, the control plane and whatever else lies there are left alone."""
    project = secrets / "proj"
    for name in ("kept", "gone", "also-gone", "control-plane"):
        ensure_leaf(ca, project / name, name=name, trust_domain="iacnet", owner_uid=ME)
    (project / "notes").mkdir()
    (project / "link").symlink_to(project / "gone")
    assert prune(project, {"kept"}) == ["also-gone", "gone"]
    assert prune(project, {"kept"}) == []
    left = sorted(path.name for path in project.iterdir())
    assert left == ["control-plane", "kept", "link", "notes"]
    assert not leaf_is_issued(ca, project / "kept")
    assert prune(secrets / "none", ()) == []


def leaf_is_issued(ca: CertificateAuthority, directory: Path) -> bool:
    name = directory.name
    return ensure_leaf(ca, directory, name=name, trust_domain="iacnet", owner_uid=ME).issued


# --- a CA of the user's own -----------------------------------------------------------------------

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def _key_pem(key: Key | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _authority(
    name: str,
    key: Key,
    issuer: tuple[x509.Certificate, Key] | None = None,
    *,
    is_ca: bool = True,
    days: int = 100,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 200 * DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                (issuer[1] if issuer else key).public_key()
            ),
            critical=False,
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def _bring(secrets: Path, key: bytes, certificate: bytes, chain: bytes = b"") -> None:
    secrets.mkdir()
    (secrets / "ca.key").write_bytes(key)
    (secrets / "ca.pem").write_bytes(certificate)
    if chain:
        (secrets / "ca-chain.pem").write_bytes(chain)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_an_rsa_root_of_the_users_own_signs_leaves(
    secrets: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    """It is used as it is, and leaves end no later than it does."""
    root = _authority("own root", rsa_key, days=10)
    _bring(secrets, _key_pem(rsa_key), _pem(root))
    ca = ensure_ca(secrets)
    leaf = leaf_of(ca, secrets)
    assert leaf.not_after == root.not_valid_after_utc
    assert leaf.trusted.read_bytes().endswith(b"\n" + _pem(root))
    assert not leaf_of(ca, secrets).issued


def test_a_ca_that_was_brought_is_closed_to_others(
    secrets: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    """mkdir and cp leave folder and key readable by everybody."""
    _bring(secrets, _key_pem(rsa_key), _pem(_authority("own root", rsa_key)))
    secrets.chmod(0o755)
    (secrets / "ca.key").chmod(0o644)
    ensure_ca(secrets)
    assert (mode(secrets), mode(secrets / "ca.key")) == (0o700, 0o600)


def test_an_intermediate_is_served_with_the_leaf_and_the_root_is_trusted(
    secrets: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    """A verifier that has the root alone accepts what the service sends."""
    key = ec.generate_private_key(ec.SECP384R1())
    root = _authority("root", rsa_key)
    middle = _authority("issuing", key, (root, rsa_key))
    _bring(secrets, _key_pem(key), _pem(middle), _pem(root))
    leaf = leaf_of(ensure_ca(secrets), secrets)
    first, *sent = x509.load_pem_x509_certificates(leaf.certificate.read_bytes())
    assert sent == [middle]
    assert leaf.trusted.read_bytes().endswith(b"\n" + _pem(root))
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName("svc"))
    assert verifier.verify(first, sent) == [first, middle, root]


def test_an_intermediate_without_its_root_is_an_error(
    secrets: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    """The next step names the file to write."""
    key = ec.generate_private_key(ec.SECP256R1())
    middle = _authority("issuing", key, (_authority("root", rsa_key), rsa_key))
    _bring(secrets, _key_pem(key), _pem(middle))
    with pytest.raises(CertificateError, match=r"ca-chain\.pem"):
        ensure_ca(secrets)
    (secrets / "ca-chain.pem").write_bytes(_pem(_authority("stranger", rsa_key)))
    with pytest.raises(CertificateError, match="did not issue"):
        ensure_ca(secrets)


def test_certificates_that_cannot_sign_now_are_errors(secrets: Path, tmp_path: Path) -> None:
    """Expired, not valid yet (or a clock that is behind), or no CA at all."""
    key = ec.generate_private_key(ec.SECP256R1())
    _bring(secrets, _key_pem(key), _pem(_authority("old", key, days=-1)))
    with pytest.raises(CertificateError, match="not valid now"):
        ensure_ca(secrets)
    early = certificate_lab.Issuer("early").sign("early", key, days=(0.04, 80), authority=True)
    _bring(tmp_path / "early", _key_pem(key), _pem(early))
    with pytest.raises(CertificateError, match="this machine's clock says"):
        ensure_ca(tmp_path / "early")
    _bring(tmp_path / "no", _key_pem(key), _pem(_authority("leaf", key, is_ca=False)))
    with pytest.raises(CertificateError, match="not a CA certificate"):
        ensure_ca(tmp_path / "no")


def test_unusable_key_files_are_errors_that_say_what_is_expected(
    secrets: Path, tmp_path: Path
) -> None:
    """Encrypted, of a kind that Envoy does not take, or garbage."""
    key = ec.generate_private_key(ec.SECP256R1())
    root = _pem(_authority("root", key))
    for name, data in (
        ("a", _key_pem(key, b"password")),
        ("b", b"garbage"),
        ("c", _key_pem(ed25519.Ed25519PrivateKey.generate())),
    ):
        _bring(tmp_path / name, data, root)
        with pytest.raises(CertificateError, match="EC or RSA"):
            ensure_ca(tmp_path / name)
