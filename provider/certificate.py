"""The throw-away TLS pair of the plugin socket, kept for a day in the user's cache.

The socket lies in a 0700 directory; TLS is there because Terraform insists. Making the pair
costs 90 ms (mostly importing `cryptography`), which every Terraform command would pay 2-3 times.
"""

from __future__ import annotations

import base64
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from . import files

LIFETIME = 24 * 3600
"""Seconds a pair is used; the certificate itself is valid for twice that."""


def cached_certificate(directory: Path | None = None) -> tuple[bytes, bytes]:
    """Private key and certificate as PEM, from the cache while fresh.

    Args:
        directory: the cache; default ``$XDG_CACHE_HOME`` or ``~/.cache``, below it ``karstkit``.
    """
    cache = (directory or _cache_directory()) / "provider-tls.json"
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
        if 0 <= time.time() - kept["made"] < LIFETIME:
            return kept["key"].encode(), kept["certificate"].encode()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    key, certificate = make()
    made = {"made": time.time(), "key": key.decode(), "certificate": certificate.decode()}
    with suppress(OSError):  # a read-only home costs time, nothing else
        files.replace(cache, json.dumps(made), mode=0o600)
    return key, certificate


def der(pem: bytes) -> bytes:
    """The binary form of a PEM certificate."""
    return base64.b64decode("".join(pem.decode().split("-----")[2].split()))


def make() -> tuple[bytes, bytes]:
    """A new key and self-signed certificate for ``localhost``, as PEM."""
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - start-up time

    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(seconds=2 * LIFETIME))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "karstkit"
