"""TLS handshakes with a service through the gateway: who is there, and does it turn strangers away.

gRPC for Python does not tell a client its peer's certificate, so identity is read in a handshake
of our own. It must not know what is said over the connection.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from iac_wrapper.model import tcp
from iac_wrapper.model.certificate import CONTROL_PLANE

HOST = "127.0.0.1"

_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""Connection preface and an empty SETTINGS frame (RFC 9113, 3.4): any HTTP/2 server answers it."""


LISTEN_SECONDS = 0.25
"""How long a stranger waits for its refusal before it speaks."""


ACCEPT_SECONDS = 0.5
"""How long a TCP connection must stay open: a sidecar that reaches no program closes it within
milliseconds."""


class HandshakeError(Exception):
    """No connection to a peer with the right certificate; the text is a sentence for people.

    Args:
        untrusted: a peer is there, but one of the two certificates is not of the other's authority.
        silent: a connection was taken, and nothing was said within the time.
    """

    def __init__(self, text: str, *, untrusted: bool = False, silent: bool = False) -> None:
        super().__init__(text)
        self.untrusted = untrusted
        self.silent = silent


@dataclass(frozen=True)
class ProvenPeer:
    """The verified certificate that a peer showed in this very handshake.

    `names` are its DNS names; `identity` is its first URI, None without one; `fingerprint` the
    SHA-256 of its DER form, 64 hex digits; `expires` its end in UTC.
    """

    names: tuple[str, ...]
    identity: str | None
    fingerprint: str
    expires: datetime


@dataclass(frozen=True)
class Refusal:
    """What a server did when spoken to; `refused` None: nothing that proves anything.

    `first` is what it answered with.
    """

    refused: bool | None
    text: str
    first: bytes = b""


@dataclass(frozen=True)
class Meeting:
    """An open connection to a verified peer that has taken our certificate and our `hello`."""

    peer: ProvenPeer
    secure: ssl.SSLSocket
    first: bytes


@contextmanager
def meet(  # noqa: PLR0913 - where, whom, as whom, what to say first, by keyword
    port: int, service: str, tls_dir: Path, *, timeout: float, hello: bytes, sni: str = ""
) -> Iterator[Meeting]:
    """A connection to the peer that answers as `service`, verified against ``ca.crt``.

    Args:
        port: the gateway's loopback port.
        service: must be a DNS name of the peer's certificate.
        tls_dir: ``tls.crt``, ``tls.key`` and ``ca.crt``.
        timeout: seconds for connection, handshake and first answer each.
        hello: the client's first bytes: only what comes after them tells that it was let in.
        sni: the name that the gateway finds the peer by, if that is not `service`.

    Raises:
        HandshakeError: with the reason.
        OSError: a file of `tls_dir` cannot be read.
    """
    context = _context(tls_dir)
    context.load_cert_chain(tls_dir / "tls.crt", tls_dir / "tls.key")
    context.check_hostname = sni in ("", service)
    with _connect(port, timeout) as plain:
        try:
            secure = context.wrap_socket(plain, server_hostname=sni or service)
        except OSError as error:
            raise HandshakeError(
                _sentence(error, service, timeout),
                untrusted=isinstance(error, ssl.SSLCertVerificationError),
                silent=isinstance(error, TimeoutError),
            ) from None
        with secure:
            peer = _peer(secure)
            if service not in peer.names:
                raise HandshakeError(_another(sni, service))
            seen = _speak(secure, timeout, hello)
            if seen.refused is not False:
                text = f"{service} does not take our certificate: {seen.text}"
                raise HandshakeError(
                    text, untrusted=bool(seen.refused), silent=seen.refused is None
                )
            yield Meeting(peer, secure, seen.first)


@dataclass(frozen=True)
class TcpConnection:
    """Whether a TCP port behind a sidecar took a connection; `text` says why not."""

    accepted: bool
    text: str = ""


def connects(  # noqa: PLR0913 - as `meet`
    port: int,
    service: str,
    tls_dir: Path,
    *,
    tcp_port: int,
    timeout: float,
    sni: str = "",
    caller: str = CONTROL_PLANE,
) -> TcpConnection:
    """Connect to a TCP port of `service` as `caller` does, whose leaf is in `tls_dir`, and say
    nothing; other arguments as in `meet`.

    A sidecar whose program accepts nothing there closes the connection at once; a program may be
    the first to speak, or wait.

    Raises:
        OSError: a file of `tls_dir` cannot be read.
    """
    context = _context(tls_dir)
    context.load_cert_chain(tls_dir / "tls.crt", tls_dir / "tls.key")
    context.check_hostname = sni in ("", service)
    protocol = tcp.PROTOCOL.format(port=tcp_port, caller=caller)
    context.set_alpn_protocols([protocol])
    try:
        with (
            _connect(port, timeout) as plain,
            context.wrap_socket(plain, server_hostname=sni or service) as secure,
        ):
            if service not in _peer(secure).names:
                return TcpConnection(False, _another(sni, service))
            if not secure.selected_alpn_protocol():
                return TcpConnection(False, "its sidecar does not offer that port")
            secure.settimeout(ACCEPT_SECONDS)
            return _stays_open(secure)
    except HandshakeError as error:
        return TcpConnection(False, str(error))
    except OSError as error:
        return TcpConnection(False, _sentence(error, service, timeout))


def _stays_open(secure: ssl.SSLSocket) -> TcpConnection:
    try:
        if secure.recv(1):
            return TcpConnection(True)
    except TimeoutError:
        return TcpConnection(True)
    except OSError as error:
        return TcpConnection(False, f"closed at once ({error})")
    return TcpConnection(False, "closed at once: nothing accepts connections there")


def _peer(secure: ssl.SSLSocket) -> ProvenPeer:
    certificate = cast(dict[str, Any], secure.getpeercert())
    names = certificate.get("subjectAltName", ())
    uris = [name for kind, name in names if kind == "URI"]
    return ProvenPeer(
        tuple(name for kind, name in names if kind == "DNS"),
        uris[0] if uris else None,
        hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest(),
        datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC),
    )


def shown_certificate(port: int, service: str, *, timeout: float) -> bytes | None:
    """The certificate (DER) that answers as `service`, whatever it is; None: nobody answers.

    The peer has proven in this handshake that it has the key. Whether the certificate is good is
    for the caller to judge, who compares it with the one on disk.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    try:
        with (
            _connect(port, timeout) as plain,
            context.wrap_socket(plain, server_hostname=service) as secure,
        ):
            return secure.getpeercert(binary_form=True)
    except (HandshakeError, OSError):
        return None


def without_certificate(
    port: int, service: str, ca: Path, *, timeout: float, sni: str = ""
) -> Refusal:
    """Talk to `service` as a stranger; `sni` as in `meet`.

    In TLS 1.3 a client's handshake ends before the server has looked for its certificate, so the
    refusal is the first thing to be read afterwards. A refused or closed connection before the
    server proved its identity is no refusal by the service.
    """
    context = _context(ca.parent)
    context.check_hostname = sni in ("", service)
    try:
        with _connect(port, timeout) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=sni or service) as secure:
                    if service not in _peer(secure).names:
                        return Refusal(None, _another(sni, service))
                    return _listen(secure) or _speak(secure, timeout, _HTTP2_HELLO)
            except ssl.SSLError as error:
                if _is_refusal(error):  # TLS 1.2 refuses inside the handshake
                    return Refusal(True, f"refused in the handshake: {_reason(error)}")
                return Refusal(None, _sentence(error, service, timeout))
            except OSError as error:
                return Refusal(None, _sentence(error, service, timeout))
    except HandshakeError as error:
        return Refusal(None, str(error))


def _another(sni: str, service: str) -> str:
    return f"the certificate shown for {sni} is not that of {service}"


def _listen(secure: ssl.SSLSocket) -> Refusal | None:
    """Wait for the alert before saying anything: words sent to a closed socket bring a reset that
    wipes out an alert not read yet."""
    timeout = secure.gettimeout()
    secure.settimeout(LISTEN_SECONDS)
    seen = _answer(secure, LISTEN_SECONDS)
    secure.settimeout(timeout)
    return None if seen.refused is None else seen


def _speak(secure: ssl.SSLSocket, timeout: float, hello: bytes) -> Refusal:
    """Say hello: only what comes now tells whether the server took the client."""
    try:
        secure.sendall(hello)
    except (ConnectionError, ssl.SSLError):
        return Refusal(True, "refused: connection closed before any answer")
    return _answer(secure, timeout)


def _answer(secure: ssl.SSLSocket, timeout: float) -> Refusal:
    try:
        answer = secure.recv(65536)
    except TimeoutError:
        return Refusal(None, f"no answer and no refusal within {timeout:g} s")
    except ssl.SSLError as error:
        return Refusal(True, f"refused: {_reason(error)}")
    except ConnectionError:
        return Refusal(True, "refused: connection reset before any answer")
    if answer:
        return Refusal(False, "answered", answer)
    return Refusal(True, "refused: connection closed before any answer")


def _context(tls_dir: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(tls_dir / "ca.crt")
    context.set_alpn_protocols(["h2"])
    return context


def _connect(port: int, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((HOST, port), timeout)
    except ConnectionRefusedError:
        raise HandshakeError(f"gateway not listening on {HOST}:{port}") from None
    except OSError as error:
        raise HandshakeError(f"cannot connect to {HOST}:{port}: {error}") from None


def _sentence(error: OSError, service: str, timeout: float) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate shown for {service} is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return f"no handshake within {timeout:g} s"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return f"the gateway closed the connection: no sidecar answers as {service}"
    if isinstance(error, ssl.SSLError):
        return f"handshake refused: {_reason(error)}"
    return f"handshake failed: {error}"


def _is_refusal(error: ssl.SSLError) -> bool:
    reason = _reason(error)
    return any(word in reason for word in ("certificate required", "handshake failure"))


def _reason(error: ssl.SSLError) -> str:
    """``TLSV13_ALERT_CERTIFICATE_REQUIRED`` -> ``alert certificate required``."""
    words = (error.reason or str(error)).lower().split("_")
    return " ".join(w for w in words if w not in ("tlsv1", "tlsv13", "sslv3", "ssl/tls"))
