"""`python -P -m iac_wrapper.operations.push_policies FOLDER LOCK DIGEST`

Tells every sidecar of a project who may call it. Terraform runs it (a `local-exec` of the stack)
in the folder that the paths are relative to, so that `cdktf deploy` does it, too. DIGEST is of what
was planned: nothing else is sent, should the lock file have changed since.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.model import policy
from iac_wrapper.operations.policy import push

PATIENCE = 1.0
"""Seconds for a sidecar that was just made: it begins with the policy that it would be told."""


def main(folder: Path, lock_path: Path, digest: str) -> list[str]:
    """Send the policies of the lock file; a line for each sidecar that has not got its own.

    Raises:
        ConfigError: the lock file is not that of the plan.
    """
    lock = lock_file.load_lock(lock_path)
    if policy.digest(lock) != digest:
        raise ConfigError(
            "the policies are not those that were planned",
            where=str(lock_path),
            found="another lock file than when the stack was synthesized",
            next_step="run the command again",
        )
    wanted = policy.policies(lock)
    failed = push(Layout(folder.resolve()), lock, wanted, patience=PATIENCE)
    return [f"{name}: not told who may call it ({why})" for name, why in failed.items()]


if __name__ == "__main__":
    try:
        lines = main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
        sys.stdout.writelines(f"{line}\n" for line in lines)
    except IacError as error:
        sys.exit(error.render())
