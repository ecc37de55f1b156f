"""Who a service turns away, each on a completed call, and who is let in right beside."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from iac_wrapper.files.layout import Layout, network_name
from iac_wrapper.identity import handshake
from iac_wrapper.identity.certificates import ensure_ca
from iac_wrapper.identity.http2_client import CallError
from tests.e2e.conftest import ROOT, Project
from tests.reliability.conftest import Record
from tests.reliability.test_leaf_rotation import leaf, port
from tests.support.certificate_lab import key_bytes, new_key, pem
from tests.support.probe import call

pytestmark = [pytest.mark.reliability, pytest.mark.row(4)]

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
LET_IN = "200"


@dataclass(frozen=True)
class Shown:
    """What a caller shows; `identity` None: its own. Days are from now."""

    name: str = "caller"
    identity: str | None = None
    uses: tuple[x509.ObjectIdentifier, ...] = (SERVER, CLIENT)
    begins: float = -1
    ends: float = 1
    strange: bool = False


STRANGERS = {
    "a service that was removed": Shown("gone"),
    "a service that the callee's list does not name": Shown("other"),
    "an operator without a lease": Shown("operator"),
    "a service of another project": Shown(identity="spiffe://iacnet-elsewhere/caller"),
    "no identity, the right name": Shown(identity=""),
    "another authority": Shown(strange=True),
    "a leaf for servers alone": Shown(uses=(SERVER,)),
    "a leaf for signing code": Shown(uses=(ExtendedKeyUsageOID.CODE_SIGNING,)),
    "expired": Shown(begins=-2, ends=-0.01),
    "not yet valid": Shown(begins=0.5, ends=2),
}


def _issue(project: Project, folder: Path, shown: Shown) -> Path:
    """A leaf as `shown`, by the project's authority unless it is to be a strange one."""
    ca = ensure_ca(folder / "strange" if shown.strange else Layout(ROOT).secrets)
    own = f"spiffe://{network_name(project.name)}/{shown.name}"
    identity = own if shown.identity is None else shown.identity
    key, now = new_key(), datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(shown.name)]
    names += [x509.UniformResourceIdentifier(identity)] if identity else []
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shown.name)]))
        .issuer_name(ca.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=shown.begins))
        .not_valid_after(now + timedelta(days=shown.ends))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(shown.uses), critical=False)
        .sign(ca.key, hashes.SHA256())
    )
    made = folder / "leaf"
    made.mkdir(exist_ok=True)
    (made / "tls.crt").write_bytes(pem(certificate) + ca.intermediates)
    (made / "tls.key").write_bytes(key_bytes(key))
    (made / "ca.crt").write_bytes((leaf(project, "control-plane") / "ca.crt").read_bytes())
    return made


def _answer(project: Project, folder: Path) -> str:
    """The status of a completed call, or why there was none."""
    try:
        return str(call(port(project), "web", folder, timeout=5))
    except (handshake.HandshakeError, CallError) as error:
        return str(error)


def _raw(
    project: Project, folder: Path | None, *, protocol: str, newest: ssl.TLSVersion, text: bytes
) -> str:
    """The same by hand, for what our client never does."""
    context = ssl.create_default_context(cafile=leaf(project, "control-plane") / "ca.crt")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    context.set_alpn_protocols([protocol])
    if folder:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port(project)), 5) as plain,
            context.wrap_socket(plain, server_hostname="web") as secure,
        ):
            secure.sendall(text)
            found = secure.recv(100)
    except OSError as error:
        return str(getattr(error, "reason", None) or error)
    return LET_IN if found else "closed without a word"


HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_is_refused(mesh: Project, record: Record, tmp_path: Path, who: str) -> None:
    """A leaf that differs in one thing from one that is let in before and after it."""
    good = _issue(mesh, tmp_path, Shown())
    assert _answer(mesh, good) == LET_IN
    said = _answer(mesh, _issue(mesh, tmp_path, STRANGERS[who]))
    after = _answer(mesh, _issue(mesh, tmp_path, Shown()))
    record(who, "1 call, a good one before and after it", f"refused: {said}")
    assert said != LET_IN
    assert after == LET_IN


@pytest.mark.parametrize("who", ["no certificate", "TLS 1.2", "HTTP/1.1"])
def test_another_protocol_is_refused(
    mesh: Project, record: Record, tmp_path: Path, who: str
) -> None:
    """The same client is let in as soon as it speaks TLS 1.3 and HTTP/2 with its certificate."""
    good = _issue(mesh, tmp_path, Shown())
    newest = ssl.TLSVersion.TLSv1_2 if who == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    http1 = who == "HTTP/1.1"

    def ask(*, right: bool) -> str:
        return _raw(
            mesh,
            good if right or who != "no certificate" else None,
            protocol="http/1.1" if http1 and not right else "h2",
            newest=ssl.TLSVersion.TLSv1_3 if right else newest,
            text=b"GET / HTTP/1.1\r\nHost: web\r\n\r\n" if http1 and not right else HELLO,
        )

    assert ask(right=True) == LET_IN
    said = ask(right=False)
    record(who, "1 call, a good one before and after it", f"refused: {said}")
    assert said != LET_IN
    assert ask(right=True) == LET_IN
