from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.model import needs
from iac_wrapper.model.options import Options
from tests.support.deployed import app


def test_first_starts_come_after_what_they_need() -> None:
    """As few steps as that takes; what waits for nothing is in none of them."""
    gates = {"web": {"db", "cache"}, "late": {"web"}, "cache": {"db"}, "also": {"db"}}
    assert needs.waves(gates) == [["also", "cache"], ["web"], ["late"]]
    assert needs.waves({}) == []


def test_what_is_only_likely_makes_no_circle() -> None:
    """Two that failed for each other: one of them goes first."""
    declared = {"web": {"db"}, "api": set[str]()}
    more = {"web": {"api", "db"}, "api": {"web"}, "db": {"web"}}
    assert needs.with_more(declared, more) == {
        "api": {"web"},
        "web": {"db"},
    }


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        ("could not connect to db:5432", {"db"}),
        ("http://db/ and HTTPConnectionPool(host='cache', port=80)", {"db", "cache"}),
        ("no route to db.example.com, /srv/db/x, mydb, db-2, db.py, x.db", set()),
        ("web: refused", set()),
    ],
)
def test_a_failure_names_what_it_called(evidence: str, found: set[str]) -> None:
    """A host, not a part of a path or of another name; a service does not wait for itself."""
    assert needs.awaited(app("web"), evidence, ["db", "cache", "web"]) == found
    needing = replace(app("web"), options=Options(needs=("queue",)))
    assert needs.awaited(needing, evidence, ["db", "cache", "web"]) == found | {"queue"}
