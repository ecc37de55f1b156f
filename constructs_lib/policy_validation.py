"""Looks at a stack's Terraform JSON while cdktf synthesizes."""

from __future__ import annotations

from collections.abc import Callable

import constructs
import jsii


@jsii.implements(constructs.IValidation)
class PolicyValidation:
    """A cdktf validation: synth fails with one line per violation.

    Args:
        violations: finds them, as sentences.
    """

    def __init__(self, violations: Callable[[], list[str]]) -> None:
        self._violations = violations

    def validate(self) -> list[str]:
        """The violations as sentences, none if there are none."""
        return self._violations()
