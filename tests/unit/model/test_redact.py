"""What no output shows."""

from __future__ import annotations

import json
import os

import pytest

from iac_wrapper.model.redact import Redactor, is_masked


@pytest.mark.parametrize(
    "secret",
    [
        "https://user:pass@host/x",
        "postgres://user:pass@host/x",
        "https://0123456789@host/x",
        "Authorization: Bearer abcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "ghp_0123456789012345678901234567890123",
        "glpat-0123456789abcdefghij",
        "sb_secret_0123456789",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        "the literal s3cret-value",
    ],
)
def test_secret_shaped_text_is_masked(secret: str) -> None:
    """Each kind of secret disappears; the text around it stays."""
    masked = Redactor(["s3cret-value", "ab"])(f"before {secret} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "[redacted]" in masked
    for part in ("pass", "abcdefgh", "eyJzdWIi", "0123456789", "MIIE", "s3cret-value"):
        assert part not in masked


def test_short_values_and_plain_text_stay() -> None:
    """Two letters are not hidden everywhere; a user name in a URL is no secret."""
    for text in ("abracadabra http://host/path", "git+ssh://git@host/a", "postgres://app@db/x"):
        assert Redactor(["ab"])(text) == text


@pytest.mark.parametrize(
    "value",
    ["s3cret-value", "sentinel-value", "hunter2!", "kJhQwTyz", "correcthorsebatterystaple"],
)
def test_values_with_the_shape_of_a_secret_are_masked(value: str) -> None:
    """Two kinds of characters, or a long word: hidden, whatever stands around it."""
    assert is_masked(value)
    assert value not in Redactor([value])(f"n{value}s and =\x1b[31m{value}")


@pytest.mark.parametrize(
    "value",
    ["", "production", "Production", "POSTGRES", "8080", "20260101", "true", "-" * 12, "a1b2"],
)
def test_words_numbers_and_short_values_are_not_masked(value: str) -> None:
    """What stands in any output, and guards nothing when hidden, is not taken for a secret."""
    assert not is_masked(value)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ('pass"w0rd\\é', json.dumps('pass"w0rd\\é')),
        ('pass"w0rd\\é', json.dumps('pass"w0rd\\é', ensure_ascii=False)),
        (os.fsdecode(b"caf\xe9-s3cret"), b"caf\xe9-s3cret".decode(errors="replace")),
        ("s3cret-one\r\nproduction\r\n", "s3cret-one"),
    ],
)
def test_a_secret_is_masked_as_outputs_write_it(secret: str, shown: str) -> None:
    """Within JSON, with bytes that are no UTF-8, by its lines: but not a line that is a word."""
    masked = Redactor([secret])(f"{shown} in production")
    assert masked.strip('"') in ("[redacted] in production", '[redacted]" in production')


def test_a_private_key_is_masked_line_by_line() -> None:
    """The lines of a stream come one at a time; no line of the key's body gets through."""
    line = Redactor(["first-part\nsecond-part"]).lines()
    text = "a\n-----BEGIN PRIVATE KEY-----\nMIIE\nAAAA\n-----END PRIVATE KEY----- b\nsecond-part"
    masked = [line(part) for part in text.splitlines()]
    assert masked == ["a", "[redacted]", "[redacted]", "[redacted]", "[redacted] b", "[redacted]"]
