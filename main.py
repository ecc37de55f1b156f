"""The cdktf app of this checkout: lock, host record and users in, one stack out.

No network, no clock. `cdktf synth` and `iac` both start it as a child process, because jsii is
neither thread-safe nor quick to import. What they have to say is in the environment:
CDKTF_OUTDIR, IAC_LOCK_FILE and IAC_USERS_FILE.
"""

from __future__ import annotations

import os
from pathlib import Path

from constructs_lib import app_process, mesh_props
from iac_wrapper.files import node

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Synthesize the project in `ROOT`.

    Raises:
        ConfigError: lock, host record or uids are missing or wrong, or there is no Node.
    """
    props = mesh_props.read_props(ROOT)
    os.environ.update(node.environment(props.host))

    # Imported here: jsii starts Node on import, and an error above should not wait for that.
    from constructs_lib.cdk import App  # noqa: PLC0415
    from stacks.project_stack import ProjectStack  # noqa: PLC0415

    props.outdir.mkdir(parents=True, exist_ok=True)
    # Stack traces would put this machine's paths into the output.
    app = App(outdir=str(props.outdir), stack_traces=False)
    ProjectStack(app, props)
    app.synth()


if __name__ == "__main__":
    app_process.explain_errors()
    main()
