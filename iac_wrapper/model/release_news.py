"""What hooks and notifications are told of a release or event: one document. Pure.

The form is in docs/hooks.md. It says what the ledger says, so no secret value is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iac_wrapper.model.ledger import LedgerEntry

SCHEMA = 1
"""Of the document. More fields are no other version."""


def document(
    project: str, entry: LedgerEntry, commits: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """The document on `entry`, JSON-ready; every field is there, null where nothing is known.

    Args:
        project: whose ledger it is of.
        entry: the release or event.
        commits: by service what is to be deployed; None: what is deployed since.
    """
    facts = entry.facts
    services = facts.get("commits", {}) if commits is None else commits
    return {
        "schema": SCHEMA,
        "project": project,
        "operation": entry.kind,
        "release": entry.number,
        "verdict": entry.verdict,
        "by": facts.get("by", {}),
        "began": facts.get("at"),
        "ended": facts.get("ended_at"),
        "seconds": facts.get("seconds"),
        "plan": facts.get("plan"),
        "to": facts.get("to"),
        "services": [{"name": name, "commit": services[name]} for name in sorted(services)],
        "moved": list(facts.get("moved", ())),
        "failed": list(facts.get("failed", ())),
        "done": list(facts.get("done", ())),
        "error": facts.get("error"),
    }
