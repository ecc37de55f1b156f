"""The ledger of releases over HTTP: of jobs, of the command line, and of what was killed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.files import lock_file
from iac_wrapper.files.ledger import Ledger
from tests.support.admin_api import PROJECT, Api, check_schema, code, wait_for
from tests.support.deployed import app, deployed

pytestmark = pytest.mark.slow


def test_a_job_and_its_release_name_each_other(api: Api) -> None:
    """Who asked is the token's subject; the job has the number."""
    boss = api.http("boss")
    ended = wait_for(boss, boss.post("/destroy", json={"confirm": PROJECT}).json())
    page = api.http("reader").get("/releases").json()
    check_schema("Releases", page)
    (release,) = page["releases"]
    assert (release["number"], release["kind"], release["verdict"]) == (1, "destroy", "good")
    by = release["by"]
    assert (by["source"], by["job"], by["name"]) == ("api", ended["id"], "boss@example.org")
    assert by["subject"] == ended["actor"]["id"]
    shown = boss.get(f"/releases/{ended['release']}").json()
    check_schema("ReleaseDetail", shown)
    assert (shown["project"], shown["services"]) == (PROJECT, {})


def test_pages_and_remarks(api: Api) -> None:
    """Newest first; what was never ended is said."""
    ledger = Ledger(api.layout.ledger(PROJECT))
    head = {"kind": "deploy", "at": "2026-11-28T11:00:00.000+00:00", "by": {"source": "cli"}}
    for _ in range(3):
        number = ledger.append({"type": "started", **head})
        ledger.append({"type": "ended", "verdict": "good", "lock": None}, number=number)
    ledger.append({"type": "started", **head})
    reader = api.http("reader")
    page = reader.get("/releases?limit=2").json()
    assert [each["number"] for each in page["releases"]] == [4, 3]
    assert page["releases"][0]["verdict"] == "interrupted"
    assert "4 (deploy) never ended" in page["remarks"][0]
    older = reader.get(page["next"]).json()
    assert [each["number"] for each in older["releases"]] == [2, 1]
    assert "next" not in older
    assert reader.get("/releases?project=other").json()["releases"] == []
    missing = reader.get("/releases/9")
    assert (missing.status_code, code(missing)) == (404, "no-such-release")
    for path in ("/releases/0", "/releases/x", "/releases?before=0", "/releases?limit=201"):
        assert reader.get(path).status_code == 400


def test_what_differs_between_two(api: Api) -> None:
    """As `iac diff` has it, without values of variables; a number that is not there is a 404."""
    ledger = Ledger(api.layout.ledger(PROJECT))
    for value, port in (("sentinel-1", 1), ("sentinel-2", 2)):
        lock = deployed(api.layout, replace(app("web"), env={"A": value}, port=port))
        number = ledger.append({"type": "started", "kind": "deploy"})
        digest = ledger.keep_lock(lock_file.dump(lock))
        ledger.append({"type": "ended", "verdict": "good", "lock": digest}, number=number)
    reader = api.http("reader")
    found = reader.get("/releases/1/diff/2")
    check_schema("ReleaseDifference", found.json())
    (web,) = found.json()["services"]
    assert (web["changes"], web["env"]["changed"]) == ({"port": [1, 2]}, ["A"])
    assert "sentinel" not in found.text
    missing = reader.get("/releases/1/diff/3")
    assert (missing.status_code, code(missing)) == (404, "no-such-release")
