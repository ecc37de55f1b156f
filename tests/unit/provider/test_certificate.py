"""The socket's throw-away certificate."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from cryptography import x509

from provider import certificate


def test_kept_private_and_used_again(tmp_path: Path) -> None:
    """One pair for all processes of a day, readable by its owner alone."""
    first = certificate.cached_certificate(tmp_path / "c")
    assert certificate.cached_certificate(tmp_path / "c") == first
    file = tmp_path / "c" / "provider-tls.json"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("age", [certificate.LIFETIME + 1, -10])
def test_renewed_when_old_or_from_the_future(tmp_path: Path, age: float) -> None:
    """A clock that went back counts as old."""
    first = certificate.cached_certificate(tmp_path)
    file = tmp_path / "provider-tls.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "made": time.time() - age}))
    assert certificate.cached_certificate(tmp_path) != first


def test_a_broken_or_unwritable_cache_is_no_obstacle(tmp_path: Path) -> None:
    """It only costs time."""
    (tmp_path / "provider-tls.json").write_text("{")
    assert certificate.cached_certificate(tmp_path)[0].startswith(b"-----BEGIN PRIVATE KEY")
    (tmp_path / "file").write_text("")
    assert certificate.cached_certificate(tmp_path / "file")


def test_for_localhost_and_its_own_root() -> None:
    """What Terraform's plugin client checks."""
    _, pem = certificate.make()
    made = x509.load_der_x509_certificate(certificate.der(pem))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    made.verify_directly_issued_by(made)


def test_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    certificate.cached_certificate()
    assert (tmp_path / "karstkit" / "provider-tls.json").exists()
