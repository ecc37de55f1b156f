"""The cdktf app of this checkout.

`cdktf synth` and `iac` both start it as a child process, because jsii is neither thread-safe nor
quick to import.
"""

from __future__ import annotations

import sys
from pathlib import Path

from stacks import app

ROOT = Path(__file__).resolve().parent


def main(argv: list[str]) -> int:
    """Synthesize; the exit code is the one of the error that was printed, else 0."""
    return app.main(ROOT, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
