"""What an error says, and how it ends a command."""

from __future__ import annotations

import errno

from iac_wrapper import errors


def test_exit_codes_are_a_contract() -> None:
    """Scripts rely on these numbers, clients of the API on these words."""
    codes = {
        name: (value.exit_code, value.problem)
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.IacError)
    }
    assert codes == {
        "IacError": (1, "internal"),
        "ConfigError": (2, "unprocessable"),
        "SourceError": (3, "unprocessable"),
        "EntrypointError": (3, "unprocessable"),
        "CertificateError": (4, "internal"),
        "CommandError": (5, "internal"),
        "EngineError": (5, "engine-unreachable"),
        "BusyError": (6, "busy"),
        "UnhealthyError": (7, "internal"),
        "Interrupted": (130, "internal"),
    }


def test_an_error_renders_every_fact_once() -> None:
    """Where, message, found, expected, next step and detail, each on its line."""
    error = errors.ConfigError(
        "bad slug",
        where="repos.yaml:3",
        found="x",
        expected="gh:owner/repo",
        next_step="correct it",
        detail="a\nb",
    )
    assert str(error).splitlines() == [
        "repos.yaml:3: bad slug",
        "  found:    x",
        "  expected: gh:owner/repo",
        "  next:     correct it",
        "  | a",
        "  | b",
    ]
    assert error.to_dict()["error"] == "ConfigError"


def test_a_file_error_says_what_would_help() -> None:
    """Missing permission, a full disk and what nobody foresaw each have another next step."""
    steps = {
        PermissionError(errno.EACCES, "Permission denied", "/x"): "change its owner",
        OSError(errno.ENOSPC, "No space left on device", "/x"): "free some space",
        IsADirectoryError(errno.EISDIR, "Is a directory", "/x"): "correct what is found there",
    }
    for raised, step in steps.items():
        error = errors.file_error(raised)
        assert (error.where, error.found) == ("/x", raised.strerror)
        assert step in (error.next_step or "")
    full = OSError(errno.ENOSPC, "No space left on device", "/from", None, "/to")
    assert errors.file_error(full).where == "/to"
    nameless = OSError(errno.ENOSPC, "No space left on device")
    assert "df -h" in (errors.file_error(nameless).next_step or "")
    not_text = errors.file_error(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"))
    assert "utf-8" in (not_text.found or "")
    assert not_text.exit_code == 2
