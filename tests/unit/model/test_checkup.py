"""How checks are made: one after the other, and what each outcome carries."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.errors import CertificateError, ConfigError
from iac_wrapper.model.checkup import Check, Finding, Seen, examine


def _read(path: Path) -> Seen:
    return Seen(path.read_text())


def _is_closed(path: Path) -> Seen:
    if path.stat().st_mode & 0o077:
        raise CertificateError(
            "it is open", where=str(path), found="0644", expected="0600", next_step="close it"
        )
    return Seen("closed")


def _close(path: Path) -> str:
    path.chmod(0o600)
    return "closed it"


def _refuse(_: Path) -> str:
    raise ConfigError("not today", next_step="wait")


def test_each_outcome_has_what_a_person_needs(tmp_path: Path) -> None:
    """What was seen, what to do, and the code of a command that meets a failure."""
    path = tmp_path / "key"
    path.write_text("text")
    path.chmod(0o644)
    warn = Check[Path]("old", lambda _: Seen("a year old", "renew it"))
    found = list(examine([Check("text", _read), warn, Check("mode", _is_closed)], path, fix=False))
    assert found[0] == Finding("text", "PASSED", "text")
    assert found[1] == Finding("old", "WARN", "a year old", "renew it")
    evidence = f"{path}: it is open: 0644 (expected: 0600)"
    assert found[2] == Finding("mode", "FAILED", evidence, "close it", exit_code=4)


def test_a_file_that_cannot_be_read_is_a_failure_and_no_traceback(tmp_path: Path) -> None:
    """With the words that every command has for it."""
    (found,) = examine([Check("text", _read)], tmp_path / "none", fix=False)
    assert found.outcome == "FAILED"
    assert "none: cannot read or write a file: No such file or directory" in found.evidence
    assert found.next_step


def test_what_needs_a_failed_check_is_not_looked_at(tmp_path: Path) -> None:
    """Nor is it called a failure: nobody knows."""
    later = Check("later", _is_closed, after=("text",))
    other = Check[Path]("other", lambda _: Seen("fine"), after=("a check of another part",))
    _, found, free = examine([Check("text", _read), later, other], tmp_path / "none", fix=True)
    assert (found.outcome, found.exit_code) == ("WARN", 0)
    assert found.evidence == "not looked at, as text FAILED: see there"
    assert free.outcome == "PASSED"
    before = [Finding("text", "FAILED", "gone", "find it", exit_code=2)]
    (found,) = examine([later], tmp_path, fix=False, before=before)
    assert (found.outcome, found.next_step) == ("WARN", "")


def test_a_fix_is_followed_by_another_look(tmp_path: Path) -> None:
    """It says what it did, also where that was nothing; without --fix nothing is done."""
    path = tmp_path / "key"
    path.write_text("")
    path.chmod(0o644)
    (found,) = examine([Check("mode", _is_closed, fix=_close)], path, fix=False)
    assert (found.outcome, found.fixed) == ("FAILED", "")
    (found,) = examine([Check("mode", _is_closed, fix=_refuse)], path, fix=True)
    assert (found.outcome, found.fixed) == ("FAILED", "nothing: not today")
    (found,) = examine([Check("mode", _is_closed, fix=_close)], path, fix=True)
    assert found == Finding("mode", "PASSED", "closed", fixed="closed it")
    (found,) = examine([Check("mode", _is_closed, fix=_refuse)], path, fix=True)
    assert found == Finding("mode", "PASSED", "closed")
