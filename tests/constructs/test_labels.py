"""Labels of resources."""

from __future__ import annotations

from constructs_lib import labels
from iac_wrapper.adapters import engine


def test_command_side_looks_for_the_same_labels() -> None:
    """What the constructs write is what the engine adapter searches."""
    written = (labels.PROJECT, labels.SERVICE, labels.ROLE)
    assert written == (engine.PROJECT_LABEL, engine.SERVICE_LABEL, engine.ROLE_LABEL)


def test_slug_label_has_neither_credentials_nor_templates() -> None:
    """A slug becomes a label without what stands before the host, and is never an expression."""
    values = labels.labels("p", "s", "app", slug="git+ssh://bob:pass@host/${x}")

    assert values[labels.SLUG] == 'git+ssh://[redacted]@host/${"$"}{x}'
