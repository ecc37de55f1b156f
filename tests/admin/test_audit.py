"""The audit log: whole lines, whoever writes; no secrets; and it never stops the service."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from admin.actor import Actor
from admin.audit import LONGEST, Audit
from iac_wrapper.model.redact import Redactor

ALICE = Actor("user", "7c1", "alice@example.org", via="http", peer="127.0.0.1")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_who_what_and_how(tmp_path: Path) -> None:
    """All facts by name, unknown ones null, extras beside them; the file is nobody else's."""
    path = tmp_path / "admin" / "audit.jsonl"
    audit = Audit(path)
    audit.record(
        "deploy.finished",
        actor=ALICE,
        project="demo",
        deployment="20260101T000000-00000001",
        plan_hash="ab",
        outcome="succeeded",
        request_id="r1",
        status=202,
        seconds=1.5,
    )
    audit.record("auth.refused", outcome="bad-token", status=401)
    audit.record("deploy.finished", actor=ALICE.to_dict())
    first, second, third = lines(path)
    assert first.pop("at").endswith("+00:00")
    assert first == {
        "action": "deploy.finished",
        "actor": ALICE.to_dict(),
        "project": "demo",
        "deployment": "20260101T000000-00000001",
        "plan_hash": "ab",
        "outcome": "succeeded",
        "request_id": "r1",
        "status": 202,
        "seconds": 1.5,
    }
    assert second["actor"] is None
    assert third["actor"] == ALICE.to_dict()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_secrets_stay_out(tmp_path: Path) -> None:
    """Redacted wherever they are, also across the place where a long text is cut."""
    path = tmp_path / "audit.jsonl"
    audit = Audit(path, Redactor(["sentinel-value"]))
    audit.record(
        "x",
        project="sentinel-value",
        slugs=["git+https://user:sentinel-value@h/r", {"deep": ("sentinel-value",)}],
        path=Path("/sentinel-value"),
        long="x" * (LONGEST - 5) + "sentinel-value",
        line="first\nsecond\x1b[0m\ud800",
    )
    text = path.read_text()
    assert "sentinel" not in text
    found = json.loads(text)
    assert found["path"] == "/[redacted]"
    assert len(found["long"]) == LONGEST + 1
    assert text.count("\n") == 1
    assert found["line"] == "first\nsecond\x1b[0m\ud800"


def test_lines_of_threads_and_processes_do_not_mix(tmp_path: Path) -> None:
    """Two processes with several threads each write whole lines."""
    path = tmp_path / "audit.jsonl"
    program = (
        "import sys; from pathlib import Path; from admin.audit import Audit\n"
        "for n in range(200): Audit(Path(sys.argv[1])).record('x', text='b' * 1500, n=n)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(path)])
    audit = Audit(path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: audit.record("x", text="a" * 1500, n=n), range(200)))
    assert other.wait(20) == 0
    found = lines(path)
    assert len(found) == 400
    assert {len(entry["text"]) for entry in found} == {1500}


def test_rotation_and_modes(tmp_path: Path) -> None:
    """A file that was moved away is begun anew; one that others can read is closed."""
    path = tmp_path / "audit.jsonl"
    path.touch(mode=0o644)
    audit = Audit(path)
    audit.record("one")
    assert path.stat().st_mode & 0o777 == 0o600
    path.rename(tmp_path / "audit.jsonl.1")
    audit.record("two")
    assert [entry["action"] for entry in lines(path)] == ["two"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Whoever can put a link there must not choose which file is appended to."""
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "audit.jsonl").symlink_to(target)
    Audit(tmp_path / "audit.jsonl").record("x")
    assert target.read_text() == ""


def test_a_full_disk_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost lines do not break anything; when there is room, the next line is whole."""
    path = tmp_path / "audit.jsonl"
    audit = Audit(path)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR, "iac.admin"):
        real = __import__("os").write
        patch.setattr("admin.audit.os.write", lambda fd, data: real(fd, data[:7]))
        for _ in range(3):
            audit.record("lost")
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text
    audit.record("kept")
    assert json.loads(path.read_text().splitlines()[-1])["action"] == "kept"


def test_a_file_that_cannot_be_opened(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same for a path that is a folder; a later failure is said again."""
    path = tmp_path / "audit.jsonl"
    path.mkdir()
    audit = Audit(path)
    for _ in range(2):
        audit.record("lost")
    path.rmdir()
    audit.record("kept")
    path.unlink()
    path.mkdir()
    audit.record("lost")
    assert len(caplog.records) == 2
