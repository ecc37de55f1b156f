"""Errors, redaction, atomic files, layout and the host record."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from iac_wrapper import errors
from iac_wrapper.files import host
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.layout import Layout, container_name, network_name
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model.redact import Redactor, is_masked


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
    assert "utf-8" in (
        errors.file_error(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?")).found or ""
    )


@pytest.mark.parametrize(
    "secret",
    [
        "https://user:pass@host/x",
        "postgres://user:pass@host/x",
        "https://0123456789@host/x",
        "Authorization: Bearer abcdefgh",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "ghp_0123456789012345678901234567890123",
        "glpat-0123456789abcdefghij",
        "sb_secret_0123456789",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
        "the literal s3cret-value",
    ],
)
def test_secret_shaped_text_is_masked(secret: str) -> None:
    """Each kind of secret disappears; the text around it stays."""
    masked = Redactor(["s3cret-value", "ab"])(f"before {secret} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "[redacted]" in masked
    for part in ("pass", "abcdefgh", "eyJzdWIi", "0123456789", "MIIE", "s3cret-value"):
        assert part not in masked


def test_short_values_and_plain_text_stay() -> None:
    """Two letters are not hidden everywhere; a user name in a URL is no secret."""
    for text in ("abracadabra http://host/path", "git+ssh://git@host/a", "postgres://app@db/x"):
        assert Redactor(["ab"])(text) == text


@pytest.mark.parametrize(
    "value",
    ["s3cret-value", "sentinel-value", "hunter2!", "kJhQwTyz", "correcthorsebatterystaple"],
)
def test_values_with_the_shape_of_a_secret_are_masked(value: str) -> None:
    """Two kinds of characters, or a long word: hidden, whatever stands around it."""
    assert is_masked(value)
    assert value not in Redactor([value])(f"n{value}s and =\x1b[31m{value}")


@pytest.mark.parametrize(
    "value",
    ["", "production", "Production", "POSTGRES", "8080", "20260101", "true", "-" * 12, "a1b2"],
)
def test_words_numbers_and_short_values_are_not_masked(value: str) -> None:
    """What stands in any output, and guards nothing when hidden, is not taken for a secret."""
    assert not is_masked(value)


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ('pass"w0rd\\é', json.dumps('pass"w0rd\\é')),
        ('pass"w0rd\\é', json.dumps('pass"w0rd\\é', ensure_ascii=False)),
        (os.fsdecode(b"caf\xe9-s3cret"), b"caf\xe9-s3cret".decode(errors="replace")),
        ("s3cret-one\r\nproduction\r\n", "s3cret-one"),
    ],
)
def test_a_secret_is_masked_as_outputs_write_it(secret: str, shown: str) -> None:
    """Within JSON, with bytes that are no UTF-8, by its lines: but not a line that is a word."""
    masked = Redactor([secret])(f"{shown} in production")
    assert masked.strip('"') in ("[redacted] in production", '[redacted]" in production')


def test_a_private_key_is_masked_line_by_line() -> None:
    """The lines of a stream come one at a time; no line of the key's body gets through."""
    line = Redactor(["first-part\nsecond-part"]).lines()
    text = "a\n-----BEGIN PRIVATE KEY-----\nMIIE\nAAAA\n-----END PRIVATE KEY----- b\nsecond-part"
    masked = [line(part) for part in text.splitlines()]
    assert masked == ["a", "[redacted]", "[redacted]", "[redacted]", "[redacted] b", "[redacted]"]


def test_atomic_write_leaves_nothing_behind_on_failure(tmp_path: Path) -> None:
    """A directory in the way: the error comes through, no temporary file stays."""
    (tmp_path / "target" / "x").mkdir(parents=True)
    with pytest.raises(OSError, match="target"):
        write_text(tmp_path / "target", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]
    write_text(tmp_path / "new" / "file", "text", mode=0o600)
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o600


def test_names_of_the_default_and_other_projects() -> None:
    """The default project's network is `iacnet`; others are prefixed."""
    assert network_name("iacnet") == "iacnet"
    assert network_name("demo") == "iacnet-demo"
    assert container_name("demo", "web", "envoy") == "demo-web-envoy"
    layout = Layout(Path("/p"))
    assert layout.outdir("iacnet") == Path("/p/cdktf.out")
    assert layout.outdir("demo") == Path("/p/.iac/projects/demo/cdktf.out")


def test_host_record_round_trip(tmp_path: Path) -> None:
    """What bootstrap writes is what everyone reads."""
    record = host.Host(
        docker="/d",
        terraform="/t",
        node="/n",
        provider="embedded",
        sidecar_image="iac/envoy:1",
        bases={"3.11": host.PythonBase("a", "b")},
    )
    home = MachineHome(tmp_path)
    host.save_host(record, home)
    assert host.load_host(home) == record
    older = home.record.read_text().replace('"version"', '"envoy_uid": 1337, "version"')
    older = older.replace('"runtime_image"', '"runtime_id": "sha256:c", "runtime_image"')
    home.record.write_text(older)
    assert host.load_host(home) == record  # what nobody reads any more


@pytest.mark.parametrize("text", [None, "{", '{"version": 99}', '{"version": 1, "bases": {}}'])
def test_a_missing_or_foreign_host_record_asks_for_bootstrap(
    tmp_path: Path, text: str | None
) -> None:
    """No record, or one that cannot be read, has one cure."""
    if text is not None:
        write_text(MachineHome(tmp_path).record, text)
    with pytest.raises(errors.ConfigError, match="not set up") as caught:
        host.load_host(MachineHome(tmp_path))
    assert caught.value.next_step == "make bootstrap"
