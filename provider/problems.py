"""What goes wrong, as Terraform shows it: one sentence, the attribute, the next step."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .engine import EngineDownError, EngineRefusedError
from .redact import redact

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


def as_problem(error: Exception) -> ProviderError:
    """Any exception as a sentence; what nobody foresaw also leaves a traceback in TF_LOG."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, EngineDownError):
        return ProviderError(
            f"No Docker engine answers at {error.host}: {error.reason}.",
            "Start it (systemctl start docker), or set host in the provider block or DOCKER_HOST.",
        )
    if isinstance(error, EngineRefusedError):
        return ProviderError(f"The Docker engine refused: {error.message}.")
    print(redact(traceback.format_exc()), file=sys.stderr)
    return ProviderError(
        f"The embedded Docker provider has a defect: {type(error).__name__}.",
        "TF_LOG=debug shows where.",
    )


@contextmanager
def keeping(state: dict[str, Any]) -> Iterator[None]:
    """Once an object exists no error may lose it: whatever is raised inside carries a state.

    Args:
        state: what is known of the object, its id at least; an error's own state wins.
    """
    try:
        yield
    except Exception as error:
        problem = as_problem(error)
        if problem.state is None:
            problem.state = state
        raise problem from None


OFFICIAL_STEP = (
    "take the official provider: remove the embedded one from Terraform's CLI configuration "
    "(in KarstKit: make bootstrap IAC_PROVIDER=registry)"
)
"""How to get what is not here, within a sentence."""


def not_implemented(path: Path) -> ProviderError:
    """The error for an attribute the embedded provider lacks."""
    name = ".".join(str(step) for step in path)
    return ProviderError(
        f"The embedded Docker provider does not implement {name}.",
        f"Remove the attribute, or {OFFICIAL_STEP}.",
        path=path,
    )
