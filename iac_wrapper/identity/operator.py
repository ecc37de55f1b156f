"""The identity of a person who looks at a service: short-lived, and its key never on a disk."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from iac_wrapper.identity.certificate_authority import deployed_ca, key_pem
from iac_wrapper.identity.issue import issue
from iac_wrapper.model.certificate import OPERATOR

LIFETIME = timedelta(hours=1)
"""How long a leaf is good that leaked; connections that it opened may live longer."""

RENEW_SECONDS = LIFETIME.total_seconds() / 2
"""After so long a command that still runs issues another."""


def handover(secrets: Path, trust_domain: str) -> bytes:
    """A new leaf as the line that an operator's container takes (runner/sidecar/handover.py).

    Args:
        secrets: the folder of the CA.
        trust_domain: whose services it may call.

    Raises:
        CertificateError: there is no CA, or it cannot be used.
    """
    ca = deployed_ca(secrets)
    certificate, key = issue(
        ca.certificate, ca.key, OPERATOR, trust_domain, lifetime=LIFETIME, serves=False
    )
    served = certificate.public_bytes(serialization.Encoding.PEM) + ca.intermediates
    texts = {"chain": served, "key": key_pem(key), "trusted": ca.trusted}
    line = json.dumps({name: text.decode() for name, text in texts.items()})
    return line.encode() + b"\n"
