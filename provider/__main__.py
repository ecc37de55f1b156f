"""The program: a plugin where Terraform starts it, else a command for people."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

MAGIC = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
)
"""Terraform's public mark of "I start you as a plugin"; no secret."""


def main() -> None:
    """Serve until Terraform says shutdown, or is gone; a person gets the command."""
    if os.environ.get(MAGIC[0]) != MAGIC[1]:
        from .command import main as command  # noqa: PLC0415 - start-up time

        sys.exit(command(sys.argv[1:]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Terraform passes Ctrl-C on as StopProvider
    from .server import serve  # noqa: PLC0415 - gRPC takes 130 ms to import

    with tempfile.TemporaryDirectory(prefix="provider-") as directory:
        serve(Path(directory) / "socket")
    os._exit(0)  # nothing is left to do: saves Terraform 25 ms of interpreter shutdown


if __name__ == "__main__":
    main()
