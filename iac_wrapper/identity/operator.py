"""The identity of a person who looks at a service: short-lived, and its key never on a disk."""

from __future__ import annotations

import json
from datetime import timedelta

from iac_wrapper.identity.certificate_authority import key_pem
from iac_wrapper.identity.issue import Issuer
from iac_wrapper.model.certificate import OPERATOR

LIFETIME = timedelta(hours=1)
"""How long a leaf is good that leaked; connections that it opened may live longer."""

RENEW_SECONDS = LIFETIME.total_seconds() / 2
"""After so long a command that still runs issues another."""


def handover(issuer: Issuer, trust_domain: str) -> bytes:
    """A new leaf as the line that an operator's container takes (runner/sidecar/handover.py).

    Args:
        issuer: what issues it.
        trust_domain: whose services it may call.

    Raises:
        CertificateError: it cannot be had.
    """
    chain, key = issuer.issue(OPERATOR, trust_domain, lifetime=LIFETIME, serves=False)
    texts = {"chain": chain, "key": key_pem(key), "trusted": issuer.trusted}
    line = json.dumps({name: text.decode() for name, text in texts.items()})
    return line.encode() + b"\n"
