"""Certificates that people bring: what is right is taken, what is wrong is said, file by file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from certifi import where
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from iac_wrapper.errors import CertificateError
from iac_wrapper.identity import certificate_chain
from iac_wrapper.identity.certificate_chain import covers
from iac_wrapper.identity.certificate_files import read_pair
from iac_wrapper.model.public_host import CertificateFiles
from tests.support.certificate_lab import Issuer, key_bytes, new_key, pem, write

HOST = "app.example.com"
ROOT = Issuer("Root")
MIDDLE = Issuer("Middle", ROOT)
KEY = new_key()
LEAF = MIDDLE.sign(HOST, KEY, HOST)
CHAIN = pem(LEAF, MIDDLE.certificate, ROOT.certificate)
DER = serialization.Encoding.DER


def refused(files: CertificateFiles, host: str = HOST) -> str:
    """The error's text, which names the file and what to do."""
    with pytest.raises(CertificateError) as caught:
        read_pair(files, host)
    text = caught.value.render()
    assert str(files.certificate.parent) in text
    assert "next:" in text
    assert key_bytes(KEY).decode().split("\n")[1] not in text
    return text


def test_a_good_pair_is_taken_without_its_root(tmp_path: Path) -> None:
    """Clients have the root; the rest is sent as it was."""
    pair = read_pair(write(tmp_path, CHAIN, key_bytes(KEY)), HOST)
    assert pair.chain == pem(LEAF, MIDDLE.certificate)
    assert pair.key == key_bytes(KEY)
    assert "PRIVATE" not in repr(pair)


def test_line_ends_and_text_around_do_not_matter(tmp_path: Path) -> None:
    """CR LF, as Windows writes, and what `openssl x509 -text` prints before a certificate."""
    certificate = b"Certificate:\r\n  Data: x\r\n" + CHAIN.replace(b"\n", b"\r\n")
    files = write(tmp_path, certificate, key_bytes(KEY).replace(b"\n", b"\r\n"))
    assert read_pair(files, HOST).chain == pem(LEAF, MIDDLE.certificate)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["rsa", "p384"],
)
def test_kinds_of_keys(tmp_path: Path, key: CertificateIssuerPrivateKeyTypes) -> None:
    """RSA and the usual curves, also in the forms of old tools."""
    chain = pem(ROOT.sign(HOST, key, HOST), ROOT.certificate)
    traditional = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert read_pair(write(tmp_path, chain, traditional), HOST).key == key_bytes(key)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (ec.generate_private_key(ec.SECP521R1()), "secp521r1"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),  # noqa: S505
        (dsa.generate_private_key(1024), "DSA"),  # noqa: S505
    ],
    ids=["ed25519", "p521", "secp256k1", "rsa1024", "dsa"],
)
def test_other_kinds_of_keys(
    tmp_path: Path, key: CertificateIssuerPrivateKeyTypes, found: str
) -> None:
    text = refused(write(tmp_path, CHAIN, key_bytes(key)))
    assert found in text
    assert "secp256r1" in text


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (pem(MIDDLE.certificate, LEAF), ("authority's", "1. Middle; 2. app", "in this order")),
        (pem(MIDDLE.certificate), ("authority's", "1. Middle", "fullchain.pem")),
        (pem(LEAF), ("not complete", "issued by Middle", "append the certificate of Middle")),
        (pem(LEAF, MIDDLE.certificate), ("not complete", "issued by Root", "root of your own")),
        (
            pem(LEAF, ROOT.certificate, MIDDLE.certificate),
            ("wrong order", "1. app.example.com; 2. Root; 3. Middle"),
        ),
        (pem(LEAF, ROOT.certificate), ("not complete", "issued by Middle")),
        (
            CHAIN + pem(Issuer("Stranger").certificate),
            ("does not belong", "4. Stranger", "end the file with Root"),
        ),
        (key_bytes(KEY), ("not a PEM certificate", "the other way round")),
        (LEAF.public_bytes(DER), ("DER or PKCS#12", "openssl x509 -inform der")),
        (b"", ("an empty file",)),
        (b"hello", ("something else",)),
        (CHAIN[:200] + b"\n-----END CERTIFICATE-----\n", ("copy the file again",)),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value[0],
)
def test_certificates_that_are_not_what_a_server_sends(
    tmp_path: Path, certificate: bytes, words: tuple[str, ...]
) -> None:
    text = refused(write(tmp_path, certificate, key_bytes(KEY)))
    assert [word for word in words if word not in text] == []


def test_a_chain_to_a_root_that_browsers_know_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be in the file. That the name is the same proves nothing: it must have signed."""
    bundle = tmp_path / "bundle.pem"
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle.write_bytes(broken + pem(Issuer("Root").certificate, ROOT.certificate))
    monkeypatch.setattr(certificate_chain, "where", lambda: str(bundle))
    files = write(tmp_path, pem(LEAF, MIDDLE.certificate), key_bytes(KEY))
    assert read_pair(files, HOST)
    bundle = tmp_path / "other.pem"
    bundle.write_bytes(pem(Issuer("Root").certificate))
    assert "issued by Root" in refused(files)


def test_the_roots_that_browsers_know_can_be_read() -> None:
    """All of certifi's, without a warning that a user would see."""
    count = Path(where()).read_bytes().count(b"BEGIN CERTIFICATE")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roots = certificate_chain._roots(where())
    assert sum(map(len, roots.values())) == count


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (key_bytes(KEY, b"secret"), ("encrypted", "openssl pkey -in")),
        (KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(b"secret"),
        ), ("encrypted",)),
        (key_bytes(KEY, encoding=DER), ("DER", "openssl pkey -inform der")),
        (
            pkcs12.serialize_key_and_certificates(
                b"x", KEY, LEAF, None, serialization.NoEncryption()
            ),
            ("PKCS#12", "openssl pkcs12"),
        ),
        (CHAIN, ("not a PEM private key", "the other way round")),
        (b"-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----\n", ("not a usable",)),
        (key_bytes(new_key()), ("do not belong together", "requested with")),
    ],
    ids=["encrypted", "old encrypted", "der", "pkcs12", "certificate", "broken", "other"],
)  # fmt: skip
def test_keys_that_are_of_no_use(tmp_path: Path, data: bytes, words: tuple[str, ...]) -> None:
    text = refused(write(tmp_path, CHAIN, data))
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("mode", [0o640, 0o644, 0o604])
def test_a_key_that_others_can_read(tmp_path: Path, mode: int) -> None:
    """Refused, as ssh refuses it."""
    files = write(tmp_path, CHAIN, key_bytes(KEY), mode=mode)
    text = refused(files)
    assert f"mode {mode:04o}" in text
    assert f"chmod 600 {files.key}" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_key_of_another_user_is_that_user_s_affair(tmp_path: Path) -> None:
    """As ssh has it: an administrator shares keys by a group (Debian's ssl-cert)."""
    files = write(tmp_path, CHAIN, key_bytes(KEY), mode=0o640)
    os.chown(files.key, 1234, -1)
    assert read_pair(files, HOST)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ((-90, -1), ("has expired", "was valid until", "renewed one")),
        ((1, 90), ("not valid yet", "is valid from", "clock")),
    ],
)
def test_dates(tmp_path: Path, days: tuple[float, float], words: tuple[str, ...]) -> None:
    chain = pem(ROOT.sign(HOST, KEY, HOST, days=days), ROOT.certificate)
    text = refused(write(tmp_path, chain, key_bytes(KEY)))
    assert [word for word in words if word not in text] == []


def test_a_certificate_for_clients_only(tmp_path: Path) -> None:
    use = ExtendedKeyUsageOID.CLIENT_AUTH
    chain = pem(ROOT.sign(HOST, KEY, HOST, use=use), ROOT.certificate)
    assert "not for servers" in refused(write(tmp_path, chain, key_bytes(KEY)))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("www.example.com", "example.com"), "www.example.com, example.com"),
        ((), "no DNS name; a common name alone"),
        (("*.com",), "*.com"),
    ],
)
def test_a_certificate_of_another_host(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    """Only DNS names count; the common name is the host here, and does not help."""
    chain = pem(ROOT.sign(HOST, KEY, *names), ROOT.certificate)
    text = refused(write(tmp_path, chain, key_bytes(KEY)))
    assert found in text
    assert f"{HOST} among its DNS names, or *.example.com" in text


@pytest.mark.parametrize(
    ("pattern", "host", "good"),
    [
        ("app.example.com", "app.example.com", True),
        ("APP.example.com", "app.Example.com", True),
        ("*.example.com", "app.example.com", True),
        ("*.example.com", "a.b.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "*.example.com", True),
        ("*.*.example.com", "a.b.example.com", False),
        ("a*.example.com", "app.example.com", False),
        ("app.*.com", "app.example.com", False),
        ("*", "localhost", False),
        ("*.com", "*.example.com", False),
    ],
)
def test_names_cover_hosts_as_rfc_9525_says(pattern: str, host: str, good: bool) -> None:
    assert covers(pattern, host) is good


def _gone(files: CertificateFiles) -> None:
    files.key.unlink()


def _folder(files: CertificateFiles) -> None:
    files.certificate.unlink()
    files.certificate.mkdir()


@pytest.mark.parametrize(
    ("change", "found"), [(_gone, "No such file"), (_folder, "Is a directory")]
)
def test_files_that_cannot_be_read(
    tmp_path: Path, change: Callable[[CertificateFiles], None], found: str
) -> None:
    files = write(tmp_path, CHAIN, key_bytes(KEY))
    change(files)
    assert found in refused(files)
