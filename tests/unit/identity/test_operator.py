"""A person's own leaf: what it can do, and that it is nowhere but in the line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from iac_wrapper.identity import operator
from iac_wrapper.identity.certificates import ensure_ca
from runner.sidecar.handover import MOST_BYTES, parse


def test_the_leaf_only_calls_and_lives_an_hour(tmp_path: Path) -> None:
    """It has no name that others could call, and is no server; each is another."""
    ca = ensure_ca(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    line = operator.handover(ensure_ca(tmp_path), "iacnet-shop")
    assert line.endswith(b"\n")
    assert len(line) < MOST_BYTES
    texts = parse(line)
    (leaf,) = x509.load_pem_x509_certificates(texts["chain"].encode())
    leaf.verify_directly_issued_by(ca.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("spiffe://iacnet-shop/operator")]
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    left = leaf.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert timedelta(seconds=operator.RENEW_SECONDS) < left
    assert load_pem_private_key(texts["key"].encode(), None).public_key() == leaf.public_key()
    assert texts["trusted"].encode() == ca.trusted
    assert json.loads(operator.handover(ensure_ca(tmp_path), "iacnet-shop"))["key"] != texts["key"]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
