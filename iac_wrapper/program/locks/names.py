"""Names of packages in the one form in which they can be compared."""

from __future__ import annotations

from packaging.utils import canonicalize_name


def canonical(name: str) -> str:
    """``Foo_Bar`` and ``foo.bar`` are ``foo-bar`` (PEP 503)."""
    return canonicalize_name(name)
