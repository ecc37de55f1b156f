"""Runs the cdktf app, `main.py`, in a child process: jsii is neither thread-safe nor quick.

The app may be anybody's: it is told everything in the environment, as the cdktf CLI does it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import node, users_file
from iac_wrapper.files.host import Host
from iac_wrapper.files.lock_file import LOCK_OUTPUT

_OTHER_RESULT = ("CDKTF_TARGET_STACK_ID", "SYNTH_HCL_OUTPUT")
"""Variables under which cdktf would write something else than every stack as JSON."""


def argv(root: Path) -> tuple[str, ...]:
    """Runs the project folder's main.py with the interpreter and the packages of this `iac`."""
    return process.argv(sys.executable, "-P", "-m", "iac_wrapper.adapters.run_app", root)


def synth(  # noqa: PLR0913 - one value for each file that the app reads or writes
    root: Path, host: Host, *, lock: Path, users: Path, outdir: Path, project: str
) -> Path:
    """Synthesize `lock`, with the uids in `users`, into `outdir` and return the stack's directory.

    Raises:
        ConfigError: there is no Node; main.py refused its input; it has no stack of the project.
        CommandError: main.py failed.
    """
    manifest = outdir / "manifest.json"
    manifest.unlink(missing_ok=True)  # cdktf writes it last: what lies there is of an earlier run
    outdir.mkdir(parents=True, exist_ok=True)
    done = process.run(
        Command(
            argv(root),
            cwd=root,
            env={
                **node.environment(host),
                **dict.fromkeys(_OTHER_RESULT),
                **_context(root / "cdktf.json"),
                "CDKTF_OUTDIR": str(outdir),
                "IAC_LOCK_FILE": str(lock),
                users_file.VARIABLE: str(users),
            },
        ),
        timeout=300,
    )
    if done.returncode == ConfigError.exit_code:
        raise ConfigError("the cdktf app refused its input", detail=done.stderr.strip())
    done.check("the cdktf app (main.py) failed")
    return _stack(root, manifest, project)


def _context(settings: Path) -> dict[str, str]:
    """The app's context, as the cdktf CLI hands it over: flags in it change the ids of resources.

    Raises:
        ConfigError: cdktf.json cannot be read.
    """
    try:
        data = json.loads(settings.read_text(encoding="utf-8"))
        context = data.get("context")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            "cannot read cdktf's settings",
            where=str(settings),
            found=str(error),
            expected="a JSON object with language and app",
            next_step=f"correct {settings}",
        ) from None
    return {"CDKTF_CONTEXT_JSON": json.dumps(context)} if context else {}


def _stack(root: Path, manifest: Path, project: str) -> Path:
    """The folder of the stack with the project's name.

    Raises:
        ConfigError: there is none, or it has no Mesh.
    """
    stacks = _read(manifest).get("stacks", {})
    if project not in stacks:
        raise ConfigError(
            f"the cdktf app wrote no stack {project}",
            where=str(root / "main.py"),
            found=f"the stacks {', '.join(sorted(stacks))}" if stacks else "no stack at all",
            expected=f'TerraformStack(app, "{project}") with a Mesh, in an App() without outdir,'
            " and app.synth()",
            next_step="name the stack like the project in main.py, or choose the project with"
            " --project or IAC_PROJECT in .env",
        )
    directory = manifest.parent / str(stacks[project]["workingDirectory"])
    if LOCK_OUTPUT not in _read(directory / "cdk.tf.json").get("output", {}):
        raise ConfigError(
            f"the stack {project} has no Mesh",
            where=str(root / "main.py"),
            expected="Mesh(stack), and an AppWithEnvoy for each of its services",
            next_step="docs/own-cdktf-app.md has the lines",
        )
    return directory


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data
