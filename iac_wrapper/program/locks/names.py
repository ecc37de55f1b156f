"""Names of packages in the one form in which they can be compared."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.utils import canonicalize_name


def canonical(name: str) -> str:
    """``Foo_Bar`` and ``foo.bar`` are ``foo-bar`` (PEP 503)."""
    return canonicalize_name(name)


def lacking(stated: str, required: Iterable[str], locked: Iterable[str]) -> str:
    """That a lock lacks packages which the file `stated` requires; empty if it has them."""
    there = {canonical(name) for name in locked}
    missing = sorted({canonical(name) for name in required} - there)
    return f"{stated} requires {', '.join(missing)}, the lock does not" if missing else ""
