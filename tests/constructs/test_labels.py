"""Labels of resources."""

from __future__ import annotations

import pytest

from constructs_lib.labels import labels
from iac_wrapper.model.labels import SLUG


@pytest.mark.parametrize(
    ("slug", "label"),
    [
        ("git+ssh://bob:pass@host/x", "git+ssh://[redacted]@host/x"),
        ("git+https://token@host/x", "git+https://[redacted]@host/x"),
        ("git+ssh://git@host/x", "git+ssh://git@host/x"),
        ("git+ssh://git@host/${x}", 'git+ssh://git@host/${"$"}{x}'),
    ],
)
def test_slug_label_has_neither_credentials_nor_templates(slug: str, label: str) -> None:
    """Passwords and tokens go, the user that ssh needs stays, and nothing is an expression."""
    assert labels("p", "s", "app", slug=slug)[SLUG] == label
