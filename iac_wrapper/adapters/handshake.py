"""TLS handshakes with a service through the gateway: who is there, and does it turn strangers away.

gRPC for Python does not tell a client its peer's certificate, so identity is read in a handshake
of our own. Standard library only; it must not know what is said over the connection.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

HOST = "127.0.0.1"

_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""Connection preface and an empty SETTINGS frame (RFC 9113, 3.4): any HTTP/2 server answers it."""


LISTEN_SECONDS = 0.25
"""How long a stranger waits for its refusal before it speaks."""


class HandshakeFailed(Exception):  # noqa: N818 - says what happened, the adapter maps it
    """No connection to a peer with the right certificate; the text is a sentence for people."""


@dataclass(frozen=True)
class Peer:
    """The verified certificate that a peer showed in this very handshake.

    `identity` is its first URI, None without one; `fingerprint` the SHA-256 of its DER form, 64 hex
    digits; `expires` its end in UTC.
    """

    identity: str | None
    fingerprint: str
    expires: datetime


@dataclass(frozen=True)
class Refusal:
    """What a server did without our certificate; `refused` None: nothing that proves anything."""

    refused: bool | None
    text: str


def meet(port: int, service: str, tls_dir: Path, *, timeout: float) -> Peer:
    """The peer that answers as `service`, verified against ``ca.crt``.

    Args:
        port: the gateway's loopback port.
        service: SNI; must be a DNS name of the peer's certificate.
        tls_dir: ``tls.crt``, ``tls.key`` and ``ca.crt``.
        timeout: seconds for connection, handshake and first answer each.

    Raises:
        HandshakeFailed: with the reason.
        OSError: a file of `tls_dir` cannot be read.
    """
    context = _context(tls_dir)
    context.load_cert_chain(tls_dir / "tls.crt", tls_dir / "tls.key")
    with _connect(port, timeout) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=service) as secure:
                peer = _peer(secure)
                seen = _speak(secure, timeout)
        except OSError as error:
            raise HandshakeFailed(_sentence(error, service, timeout)) from None
    if seen.refused is not False:
        raise HandshakeFailed(f"{service} does not take our certificate: {seen.text}")
    return peer


def _peer(secure: ssl.SSLSocket) -> Peer:
    certificate = cast(dict[str, Any], secure.getpeercert())
    uris = [name for kind, name in certificate.get("subjectAltName", ()) if kind == "URI"]
    return Peer(
        uris[0] if uris else None,
        hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest(),
        datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC),
    )


def without_certificate(port: int, service: str, ca: Path, *, timeout: float) -> Refusal:
    """Talk to `service` as a stranger.

    In TLS 1.3 a client's handshake ends before the server has looked for its certificate, so the
    refusal is the first thing to be read afterwards. A refused or closed connection before the
    server proved its identity is no refusal by the service.
    """
    context = _context(ca.parent)
    try:
        with _connect(port, timeout) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=service) as secure:
                    return _listen(secure) or _speak(secure, timeout)
            except ssl.SSLError as error:
                if _is_refusal(error):  # TLS 1.2 refuses inside the handshake
                    return Refusal(True, f"refused in the handshake: {_reason(error)}")
                return Refusal(None, _sentence(error, service, timeout))
            except OSError as error:
                return Refusal(None, _sentence(error, service, timeout))
    except HandshakeFailed as error:
        return Refusal(None, str(error))


def _listen(secure: ssl.SSLSocket) -> Refusal | None:
    """Wait for the alert before saying anything: words sent to a closed socket bring a reset that
    wipes out an alert not read yet."""
    timeout = secure.gettimeout()
    secure.settimeout(LISTEN_SECONDS)
    seen = _answer(secure, LISTEN_SECONDS)
    secure.settimeout(timeout)
    return None if seen.refused is None else seen


def _speak(secure: ssl.SSLSocket, timeout: float) -> Refusal:
    """Say hello as HTTP/2: only what comes now tells whether the server took the client."""
    try:
        secure.sendall(_HTTP2_HELLO)
    except (ConnectionError, ssl.SSLError):
        return Refusal(True, "refused: connection closed before any answer")
    return _answer(secure, timeout)


def _answer(secure: ssl.SSLSocket, timeout: float) -> Refusal:
    try:
        answer = secure.recv(1)
    except TimeoutError:
        return Refusal(None, f"neither answered nor refused within {timeout:g} s")
    except ssl.SSLError as error:
        return Refusal(True, f"refused: {_reason(error)}")
    except ConnectionError:
        return Refusal(True, "refused: connection reset before any answer")
    if answer:
        return Refusal(False, "answered")
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
        raise HandshakeFailed(f"gateway not listening on {HOST}:{port}") from None
    except OSError as error:
        raise HandshakeFailed(f"cannot connect to {HOST}:{port}: {error}") from None


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
