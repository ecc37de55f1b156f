"""How a leaf comes to an operator's container and what ends it: a pipe, and real files."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runner.sidecar.handover import Handover, parse, write
from runner.sidecar.refused import Refused

LEAF = {"chain": "a chain", "key": "a key", "trusted": "a root"}
LINE = json.dumps(LEAF).encode() + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    made = os.pipe()
    yield made
    for end in made:
        with suppress(OSError):  # the test has closed it
            os.close(end)


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def secret(path: Path) -> object:
    """What Envoy is told in a file."""
    (found,) = json.loads(path.read_text())["resources"]
    assert found["name"] == path.stem
    return found.get("tls_certificate") or found["validation_context"]


def test_a_leaf_becomes_two_private_files(tmp_path: Path, pipe: tuple[int, int]) -> None:
    """In one file what belongs together; for our uid alone. A later line replaces them."""
    receive, send = pipe
    os.write(send, LINE)
    Handover(receive, tmp_path).first()
    assert secret(tmp_path / "ca.yaml") == {"trusted_ca": {"inline_string": "a root"}}
    assert secret(tmp_path / "leaf.yaml") == {
        "certificate_chain": {"inline_string": "a chain"},
        "private_key": {"inline_string": "a key"},
    }
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    before = (tmp_path / "leaf.yaml").stat().st_ino
    write(tmp_path, {**LEAF, "key": "another"})
    assert (tmp_path / "leaf.yaml").stat().st_ino != before
    assert "another" in (tmp_path / "leaf.yaml").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.yaml", "leaf.yaml"]


@pytest.mark.parametrize(
    "line", [b"secret", b"[]", b'{"key": "secret"}', b'{"chain": "", "key": "secret", "x": ""}']
)
def test_another_message_is_refused_without_its_text(line: bytes) -> None:
    """It may be a key after all."""
    with pytest.raises(Refused, match="chain, key, trusted") as caught:
        parse(line)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("sent", [b"", b"half a line"])
def test_without_a_leaf_there_is_no_beginning(
    tmp_path: Path, pipe: tuple[int, int], sent: bytes
) -> None:
    """The input ends at once, or in the middle."""
    receive, send = pipe
    os.write(send, sent)
    os.close(send)
    with pytest.raises(Refused, match="standard input"):
        Handover(receive, tmp_path).first(0.1)


def test_nobody_is_waited_for_for_ever(tmp_path: Path, pipe: tuple[int, int]) -> None:
    """The one who made the container may have died before it sent anything."""
    with pytest.raises(Refused, match="no leaf came"):
        Handover(pipe[0], tmp_path).first(0.05)


def test_the_inputs_end_is_the_end(tmp_path: Path, pipe: tuple[int, int]) -> None:
    """Renewals are taken until then, a bad one is passed over; then PID 1 is told to stop."""
    receive, send = pipe
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.close(send)
        Handover(receive, tmp_path).follow()
        signal.sigwait({signal.SIGTERM})
        os._exit(42)
    os.write(send, b"nonsense\n" + LINE + LINE.replace(b"a key", b"the last"))
    os.close(send)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    assert "the last" in (tmp_path / "leaf.yaml").read_text()
