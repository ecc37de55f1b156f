"""Data that stays: one service with SQLite in its volume, through all that happens to services.

Two deployments only, as each takes seconds; words and refusals are in tests/unit/operations.

The tests share one project and run in order.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.identity.certificates import inspect_leaf
from tests.e2e.conftest import IAC, ROOT, Project

pytestmark = pytest.mark.integration

NOTES = """
import http.server, pathlib, sqlite3, sys

VERSION = {version!r}
database = sqlite3.connect("/srv/notes.db", check_same_thread=False)
database.execute("create table if not exists notes (text)")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(VERSION.encode())

if __name__ == "__main__":
    http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""

WRITE = """
import sqlite3, sys
database = sqlite3.connect("/srv/notes.db")
database.execute("insert into notes values (?)", [sys.argv[1]])
database.commit()
"""

READ = """
import json, sqlite3
rows = sqlite3.connect("/srv/notes.db").execute("select * from notes")
print(json.dumps([row[0] for row in rows]))
"""

LOOK = """
import json, os
found = [os.stat(path) for path in ("/srv", "/srv/notes.db")]
print(json.dumps([[s.st_uid - os.getuid(), s.st_gid - os.getgid(), oct(s.st_mode)] for s in found]))
"""

OWN = [[0, 0, "0o40700"], [0, 0, "0o100644"]]
"""What it prints if both are the program's, and the folder for nobody else."""

ENTRY = "{slug: ./notes, port: 8080, volumes: {data: /srv}}"


def _run(project: Project, code: str, *arguments: str, service: str = "notes") -> str:
    command = ["/venv/bin/python", "-c", code, *arguments]
    status, output = project.container(service, "app").exec_run(command)
    assert status == 0, output.decode()
    return str(output.decode())


def _notes(project: Project) -> list[str]:
    found: list[str] = json.loads(_run(project, READ))
    return found


def _source(project: Project, version: str) -> None:
    folder = project.folder / "notes"
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(NOTES.format(version=version))


def _volume(project: Project) -> str:
    return f"{project.name}-notes-data"


def _volumes(project: Project) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(project.iac("volumes", "--json").stdout)["volumes"]
    return rows


@pytest.fixture(scope="module")
def kept(project: Project) -> Iterator[Project]:
    """A service that has written a note to its volume; the volume goes with the tests."""
    _source(project, "one")
    project.file.write_text(f"- {ENTRY}\n")
    project.deploy()
    _run(project, WRITE, "first")
    yield project
    project.iac("destroy", "--yes", "--volumes", "--if-exists")
    assert project.engine.api.volumes(filters=project.label)["Volumes"] in (None, [])


def test_the_volume_is_the_programs_own(kept: Project) -> None:
    """Its uid alone may look into it, though the image has a folder of root's at that path."""
    assert json.loads(_run(kept, LOOK)) == OWN
    (row,) = _volumes(kept)
    assert (row["name"], row["service"], row["path"]) == (_volume(kept), "notes", "/srv")
    assert row["used_by"] == [f"{kept.name}-notes-app"]
    assert row["size_bytes"] > 0
    refused = kept.iac("volumes", "remove", _volume(kept), "--yes", code=2)
    assert "is in use" in refused.stderr


def test_a_backup_is_restored(kept: Project, tmp_path: Path) -> None:
    """The program stands still for a moment, unless --live; a damaged tar changes nothing."""
    file, name = tmp_path / "notes.tar.gz", _volume(kept)
    told = kept.iac("volumes", "backup", name, str(file)).stdout
    assert "notes stood still for" in told
    assert file.stat().st_mode & 0o777 == 0o600
    _run(kept, WRITE, "second")

    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(file.read_bytes()[:-40])
    refused = kept.iac("volumes", "restore", str(broken), name, "--yes", code=5)
    assert "this one is cut off, damaged or no tar" in refused.stderr
    kept.iac("volumes", "backup", name, str(tmp_path / "none" / "x.tar"), code=2)
    assert _notes(kept) == ["first", "second"]
    assert "is not empty" in kept.iac("volumes", "restore", str(file), name, code=2).stderr
    kept.iac("volumes", "restore", str(file), name, "--yes")
    assert _notes(kept) == ["first"]
    assert json.loads(_run(kept, LOOK)) == OWN


def test_a_stopped_service_finds_its_data_again(kept: Project) -> None:
    """Its uid as well; nothing else is left to run meanwhile, and nobody uses the volume."""
    told = kept.iac("stop", "notes").stdout
    assert told.startswith("Stopped notes; volumes, secret values and images stay.")
    assert list(kept.container_ids()) == [f"{kept.name}-gateway"]
    assert [row["used_by"] for row in _volumes(kept)] == [[]]
    kept.iac("start", "notes")
    assert _notes(kept) == ["first"]
    assert json.loads(_run(kept, LOOK)) == OWN


def test_another_version_after_a_destroy_finds_the_data(kept: Project) -> None:
    """Nothing else is left; `--yes` alone never removes it; it can be copied while nothing runs.
    A second volume beside it is no reason to touch it; the plan after that is empty."""
    name = _volume(kept)
    told = kept.iac("destroy", "--yes").stdout
    assert f"nothing is left but its volumes: {name}." in told
    assert kept.container_ids() == {}
    backup = kept.argv("volumes", "backup", name, "-", "--live")
    assert b"notes.db" in subprocess.run(backup, capture_output=True, check=True).stdout

    _source(kept, "two")
    kept.file.write_text(f"- {ENTRY.replace('{data: /srv', '{more: /opt/more, data: /srv')}\n")
    kept.deploy()

    assert _notes(kept) == ["first"]
    assert json.loads(_run(kept, LOOK)) == OWN
    assert [row["path"] for row in _volumes(kept)] == ["/srv", "/opt/more"]
    kept.iac("plan", "--file", str(kept.file), "--detailed-exitcode")


def test_a_plan_says_that_data_is_gone(kept: Project) -> None:
    """The volume of a container that was removed by hand comes back empty."""
    kept.container("notes", "app").remove(force=True)
    kept.engine.volumes.get(f"{kept.name}-notes-more").remove()
    done = kept.iac("plan", "--file", str(kept.file), "--detailed-exitcode", code=2).stdout
    assert done.splitlines()[0] == (
        f"  ± notes: replaced (volume {kept.name}-notes-more was removed by hand and comes back"
        " empty; its app container was removed by hand)"
    )
    kept.deploy()


def _identities(root: Path, project: Project) -> dict[str, str]:
    """The fingerprint of every leaf below a project folder, and of the authority's file."""
    leaves = root / "secrets" / project.name
    found = {name: inspect_leaf(leaves / name).fingerprint for name in ("notes", "control-plane")}
    return {**found, "ca": hashlib.sha256((root / "secrets/ca.pem").read_bytes()).hexdigest()}


def _numbers(releases: str) -> list[tuple[int, str]]:
    return [(each["number"], each["kind"]) for each in json.loads(releases)["releases"]]


def test_a_project_moves_with_its_data(kept: Project, tmp_path: Path) -> None:
    """To a folder and an engine with nothing of it: the same identities, the next number in the
    ledger, its data, and an empty plan. What is there is not restored over. A prune would take
    nothing that is deployed."""
    file, there = tmp_path / "project.backup", tmp_path / "there"
    there.mkdir()
    # Nothing goes: the build cache is everybody's on this engine, sources all this folder's.
    pruned = json.loads(kept.iac("prune", "--dry-run", "--json").stdout)
    assert {each["kind"] for each in pruned["kinds"]} - {"build cache", "sources"} == {"logs"}
    told = kept.iac("backup", str(file), "--data").stdout
    assert f"volume {_volume(kept)} (" in told
    assert "notes stood still" in told
    assert file.stat().st_mode & 0o777 == 0o600
    known = _numbers(kept.iac("releases", "--json").stdout)
    assert "restore-volume" in {kind for _, kind in known}
    identities = _identities(ROOT, kept)
    in_there, named = [IAC, "-C", str(there)], ["--project", kept.name]
    restore = [*in_there, "restore", str(file)]
    assert "is on this engine" in kept.run(restore, code=2).stderr
    assert list(there.iterdir()) == []
    kept.iac("destroy", "--yes", "--volumes")

    kept.run(restore)
    kept.run([*in_there, "deploy", "--file", str(kept.file), "--locked", *named])

    assert _identities(there, kept) == identities
    assert _notes(kept) == ["first"]
    assert json.loads(_run(kept, LOOK)) == OWN
    kept.run([*in_there, "plan", "--file", str(kept.file), "--detailed-exitcode", *named])
    now = _numbers(kept.run([*in_there, "releases", "--json", *named]).stdout)
    last = known[0][0]
    assert now == [(last + 2, "deploy"), (last + 1, "restore"), *known]
    kept.run([*in_there, "destroy", "--yes", "--volumes", *named])
