"""One line in the container's log."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write one line; Envoy's own go to the same stream."""
    print(f"sidecar: {text}", file=sys.stderr, flush=True)
