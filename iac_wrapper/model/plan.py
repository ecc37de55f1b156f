"""What Terraform intends to do, reduced to what people decide on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Action = Literal["create", "update", "replace", "delete"]


@dataclass(frozen=True)
class TerraformChange:
    """One resource that would change: its Terraform address and what happens to it."""

    address: str
    action: Action
    reason: str | None = None


@dataclass(frozen=True)
class TerraformPlan:
    """A plan: the changes, what drifted since the last apply (changed outside Terraform), and
    whether the record of what is deployed (the output ``lock``) would say something else.
    """

    changes: tuple[TerraformChange, ...]
    drift: tuple[str, ...] = ()
    outputs_change: bool = False

    @property
    def empty(self) -> bool:
        """True if an apply would change nothing, the record included."""
        return not self.changes and not self.outputs_change

    def count(self, action: Action) -> int:
        """How many changes are of `action`."""
        return sum(change.action == action for change in self.changes)

    @property
    def summary(self) -> str:
        """``3 to create, 1 to replace`` or ``no changes``."""
        actions: tuple[Action, ...] = ("create", "update", "replace", "delete")
        parts = [f"{self.count(a)} to {a}" for a in actions if self.count(a)]
        return ", ".join(parts) or "no changes"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "empty": self.empty,
            "summary": self.summary,
            "changes": [asdict(change) for change in self.changes],
            "drift": list(self.drift),
        }
