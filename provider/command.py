"""`terraform-provider-docker`, started by a person: writes a mirror that Terraform finds."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import mirror

_AGAIN = "install it again, then run `terraform-provider-docker mirror` for this folder"


def main(argv: list[str]) -> int:
    """Do what `argv` says; the exit code."""
    parser = argparse.ArgumentParser(
        prog="terraform-provider-docker",
        description=f"The embedded stand-in for Terraform's provider {mirror.SOURCE} "
        f"{mirror.VERSION}. Terraform starts it as a plugin.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser(
        "mirror",
        help="write a filesystem mirror for `terraform init`",
        description="Write a filesystem mirror with this provider to FOLDER. The CLI "
        "configuration for it goes to standard output.",
    )
    make.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args(argv).folder.absolute()
    try:
        mirror.write(folder, repair=_AGAIN)
    except OSError as error:
        print(f"terraform-provider-docker: cannot write the mirror: {error}", file=sys.stderr)
        return 1
    print(
        f"{mirror.SOURCE} {mirror.VERSION} for {mirror.this_platform()} is in {folder}.\n"
        "Terraform finds it with these lines in ~/.terraformrc, or in a file that "
        "TF_CLI_CONFIG_FILE names:",
        file=sys.stderr,
    )
    print(mirror.cli_configuration(folder), end="")
    return 0
