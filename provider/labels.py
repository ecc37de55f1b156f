"""Labels: a set of ``{label, value}`` blocks in Terraform, a map in Docker."""

from __future__ import annotations

from collections.abc import Mapping

from .values import Values


def to_api(blocks: list[Values] | None) -> dict[str, str]:
    """The map of label blocks."""
    return {block["label"]: block["value"] for block in blocks or []}


def to_state(labels: Mapping[str, str] | None) -> list[Values]:
    """The blocks of a label map, sorted by name."""
    return [{"label": name, "value": value} for name, value in sorted((labels or {}).items())]


KEY_LABEL = "org.karstkit.image-key"
"""An image that carries its own tag here was built for exactly that tag: no need to build again."""
