"""What goes wrong, as Terraform shows it: one sentence, the attribute, the next step."""

from __future__ import annotations

from typing import Any

Path = tuple[str | int, ...]
"""Attribute names and list positions, outermost first."""


class ProviderError(Exception):
    """Becomes one Terraform diagnostic.

    Args:
        summary: one sentence, what went wrong.
        next_step: what the person can do about it; may span lines.
        path: the attribute it is about.
        state: what exists all the same; Terraform then marks the object tainted, so that the
            next run replaces it instead of meeting a leftover.
    """

    def __init__(
        self,
        summary: str,
        next_step: str = "",
        *,
        path: Path = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.next_step = next_step
        self.path = path
        self.state = state

    def __str__(self) -> str:
        return f"{self.summary} {self.next_step}".strip()


def not_implemented(path: Path) -> ProviderError:
    """The error for an attribute the embedded provider lacks."""
    name = ".".join(str(step) for step in path)
    return ProviderError(
        f"The embedded Docker provider does not implement {name}.",
        "Remove the attribute, or use the official provider from the Terraform registry.",
        path=path,
    )
