"""What a project folder's main.py runs: repos.lock.json, host.json and users.json in, a stack out.

No network, no clock.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files import host as host_record
from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import Users
from iac_wrapper.settings import Settings


class Facts(NamedTuple):
    """What the command side left for this run."""

    lock: LockFile
    host: Host
    users: Mapping[str, Users]


def main(root: Path, argv: list[str]) -> int:
    """Synthesize the project in `root`; the exit code is that of the error printed, else 0."""
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__)
    parser.add_argument("--outdir", type=Path, help="where to write; default: $CDKTF_OUTDIR")
    parser.add_argument("--users", type=Path, help="uids of the services; default: the project's")
    arguments = parser.parse_args(argv)
    try:
        synthesize(root, arguments.outdir, arguments.users)
    except IacError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    return 0


def synthesize(root: Path, outdir: Path | None, users: Path | None = None) -> None:
    """Write the stack of the project in `root` below `outdir`, with the uids in `users`.

    Raises:
        ConfigError: lock, host record or uids are missing or wrong, or there is no Node.
    """
    chosen = settings.load(root)
    lock = lock_file.load(root / (chosen.IAC_LOCK_FILE or "repos.lock.json"))
    host = host_record.load(chosen.machine_home)
    found = users_file.load(users or Layout(root).users(lock.project))
    if outdir is None:
        given = os.environ.get("CDKTF_OUTDIR")
        outdir = Path(given) if given else Layout(root).outdir(lock.project)
    _use_node(host)
    _write(Facts(lock, host, found), Layout(root), chosen, outdir.absolute())


def _use_node(host: Host) -> None:
    """Point jsii at the recorded Node: without one it fails with an obscure AttributeError."""
    if not os.access(host.node, os.X_OK):
        raise ConfigError(
            "Node is not where bootstrap found it",
            where=host.node or "node",
            found="no executable",
            expected="Node 18 or newer, which cdktf runs on",
            next_step=setup_command(),
        )
    os.environ["JSII_NODE"] = host.node
    # A list of major versions: the banner is not about anything the user can see or change.
    silenced = ",".join(map(str, range(18, 40)))
    os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", silenced)


def _write(facts: Facts, layout: Layout, chosen: Settings, outdir: Path) -> None:
    # Imported here: jsii starts Node on import, and an error above should not wait for that.
    from cdktf import App  # noqa: PLC0415

    from stacks.project_stack import ProjectStack, ProjectStackProps  # noqa: PLC0415

    props = ProjectStackProps(
        lock=facts.lock,
        host=facts.host,
        users=facts.users,
        layout=layout,
        outdir=outdir,
        memory_mb=chosen.memory_mb,
        max_headers=chosen.max_headers,
        max_headers_kb=chosen.max_headers_kb,
        probation=chosen.probation,
        otlp_endpoint=chosen.otlp_endpoint,
    )
    outdir.mkdir(parents=True, exist_ok=True)
    # Stack traces would put this machine's paths into the output.
    app = App(outdir=str(outdir), stack_traces=False)
    ProjectStack(app, props)
    try:
        app.synth()
    except RuntimeError as error:  # how jsii hands over whatever cdktf throws
        # Its last paragraph is about switching validation off, which nobody here should.
        detail = str(error).partition("\n\nIf you wish to ignore")[0]
        raise ConfigError(
            "the stack was refused",
            where=facts.lock.project,
            next_step="run `iac lock --file repos.yaml`, then the command again",
            detail=detail,
        ) from None
