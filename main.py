"""The cdktf app: repos.lock.json and .iac/host.json in, one stack out. No network, no clock.

`cdktf synth` and `iac` both start it as a child process, because jsii is neither thread-safe nor
quick to import.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from iac_wrapper import host as host_record
from iac_wrapper import lock_file, settings
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.host import Host
from iac_wrapper.layout import Layout
from iac_wrapper.settings import Settings

ROOT = Path(__file__).resolve().parent


def main(argv: list[str]) -> int:
    """Synthesize; the exit code is the one of the error that was printed, else 0."""
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__)
    parser.add_argument("--outdir", type=Path, help="where to write; default: $CDKTF_OUTDIR")
    arguments = parser.parse_args(argv)
    try:
        synthesize(ROOT, arguments.outdir)
    except IacError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    return 0


def synthesize(root: Path, outdir: Path | None) -> None:
    """Write the stack of the project in `root` below `outdir`.

    Raises:
        ConfigError: the lock or the host record is missing or wrong, or there is no Node.
    """
    chosen = settings.load(root)
    lock = lock_file.load(root / (chosen.IAC_LOCK_FILE or "repos.lock.json"))
    host = host_record.load(root)
    if outdir is None:
        given = os.environ.get("CDKTF_OUTDIR")
        outdir = Path(given) if given else Layout(root).outdir(lock.project)
    _use_node(host)
    _write(root, lock, host, chosen, outdir.absolute())


def _use_node(host: Host) -> None:
    """Point jsii at the recorded Node: without one it fails with an obscure AttributeError."""
    if not os.access(host.node, os.X_OK):
        raise ConfigError(
            "Node is not where bootstrap found it",
            where=host.node or "node",
            found="no executable",
            expected="Node 18 or newer, which cdktf runs on",
            next_step="make bootstrap",
        )
    os.environ["JSII_NODE"] = host.node
    # A list of major versions: the banner is not about anything the user can see or change.
    silenced = ",".join(map(str, range(18, 40)))
    os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", silenced)


def _write(
    root: Path, lock: lock_file.LockFile, host: Host, chosen: Settings, outdir: Path
) -> None:
    # Imported here: jsii starts Node on import, and an error above should not wait for that.
    from cdktf import App  # noqa: PLC0415

    from stacks.project_stack import ProjectStack, ProjectStackProps  # noqa: PLC0415

    props = ProjectStackProps(
        lock=lock,
        host=host,
        layout=Layout(root),
        outdir=outdir,
        memory_mb=chosen.memory_mb,
        max_headers=chosen.max_headers,
        max_headers_kb=chosen.max_headers_kb,
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
        raise ConfigError("the stack was refused", where=lock.project, detail=detail) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
