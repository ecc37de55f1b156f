"""An operator's leaf and key: they come on standard input and lie on the tmpfs, for Envoy alone.

One line of JSON is one leaf, ``{"chain": PEM, "key": PEM, "trusted": PEM}``; a later one renews it.
The input's end is the command's end, however it came about, and so it is the container's: the
engine closes the input when the process that was attached to it is gone.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.sidecar import threads
from runner.sidecar.log import say
from runner.sidecar.refused import Refused

FIRST_SECONDS = 30.0
"""How long the first leaf may take; nobody may be there to send it."""

MOST_BYTES = 65_536
"""Of a line: a leaf with its intermediates has about three thousand."""

_FIELDS = {"chain", "key", "trusted"}
_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


class Handover:
    """Takes leaves from a file descriptor and writes them where Envoy looks."""

    def __init__(self, source: int, directory: Path) -> None:
        self._source, self._directory = source, directory
        self._rest = b""

    def first(self, seconds: float = FIRST_SECONDS) -> None:
        """Wait for the first leaf.

        Raises:
            Refused: it did not come in time, or is none.
        """
        ready, _, _ = select.select([self._source], [], [], seconds)
        line = self._line() if ready else b""
        if not line:
            raise Refused("no leaf came on standard input: `iac proxy` hands it over")
        write(self._directory, parse(line))

    def follow(self) -> None:
        """Take what comes on a thread; end the container with the input."""
        threads.keep(self._step)

    def _step(self) -> None:
        line = self._line()
        if not line:
            os.kill(os.getpid(), signal.SIGTERM)  # the supervisor's word for an orderly end
            signal.pause()
        try:
            write(self._directory, parse(line))
        except Refused as error:
            say(f"the leaf is kept as it is: {error}")

    def _line(self) -> bytes:
        """The next line; empty at the end of the input.

        Raises:
            Refused: it is too long.
        """
        while b"\n" not in self._rest:
            if len(self._rest) > MOST_BYTES:
                self._rest = b""
                raise Refused(f"a line of more than {MOST_BYTES} bytes on standard input")
            chunk = os.read(self._source, MOST_BYTES)
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def parse(line: bytes) -> Mapping[str, str]:
    """The three texts of a leaf.

    Raises:
        Refused: it is another message. The text of the error holds nothing of it.
    """
    try:
        found: Any = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.keys() != _FIELDS:
        raise Refused(f"standard input is no JSON object of {', '.join(sorted(_FIELDS))}")
    return found


def write(directory: Path, leaf: Mapping[str, str]) -> None:
    """Replace the files by rename, each whole: a certificate is never beside another's key."""
    key = {"inline_string": leaf["key"]}
    certificate = {"certificate_chain": {"inline_string": leaf["chain"]}, "private_key": key}
    trusted = {"trusted_ca": {"inline_string": leaf["trusted"]}}
    os.umask(0o077)
    for name, content in (
        ("ca", {"validation_context": trusted}),
        ("leaf", {"tls_certificate": certificate}),
    ):
        document = {"resources": [{"@type": _TYPE, "name": name, **content}]}
        fresh = directory / f"{name}.new"
        fresh.write_text(json.dumps(document), encoding="ascii")
        fresh.replace(directory / f"{name}.yaml")
