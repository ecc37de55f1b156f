"""The name of an image in a registry or on the engine: the OCI's grammar. Values, no I/O."""

from __future__ import annotations

import re

from iac_wrapper.errors import ConfigError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_PART = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_DOMAIN = rf"{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*(?::[0-9]{{1,5}})?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"

PATTERN = rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::{_TAG})?(?:@sha256:[0-9a-f]{{64}})?"
"""``[host[:port]/]path[:tag][@digest]`` (github.com/distribution/reference, "Grammar"), as Python
and ECMAScript read it."""

MAX_LENGTH = 512
"""Characters; a registry's own limit for the path is 255."""


def check_reference(text: str) -> str:
    """Return `text` if it can be the name of an image.

    Raises:
        ConfigError: it cannot.
    """
    if len(text) <= MAX_LENGTH and re.fullmatch(PATTERN, text):
        return text
    lower = text.lower()
    meant = lower if lower != text and re.fullmatch(PATTERN, lower) else ""
    raise ConfigError(
        "bad name of an image",
        found=repr(text),
        expected="[HOST[:PORT]/]NAME[:TAG][@sha256:…], lower case, such as postgres:16",
        next_step=f"write image: {meant}" if meant else "write it as `docker pull` takes it",
    )


def repository(reference: str) -> str:
    """The reference without tag and digest."""
    plain = reference.partition("@")[0]
    head, colon, tag = plain.rpartition(":")
    return head if colon and "/" not in tag else plain


def is_pinned(reference: str) -> bool:
    """Whether it names a digest, so that it always means the same image."""
    return "@" in reference
