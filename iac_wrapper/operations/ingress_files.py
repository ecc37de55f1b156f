"""`python -P -m iac_wrapper.operations.ingress_files FOLDER LOCK DIGEST`

Writes the ingress's files. Terraform runs it (a `local-exec` of the stack) in the folder that the
paths are relative to, so that `iac deploy` and `cdktf deploy` do the same. DIGEST is of what was
planned: nothing else is written, should a lock file or a setting have changed since.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files import lock_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import ingress
from iac_wrapper.settings.ingress import ingress_of


def main(folder: Path, lock_path: Path, digest: str) -> None:
    """Write the files for the project in `folder`.

    Raises:
        ConfigError: the lock file and the settings are not those of the plan.
    """
    folder = folder.resolve()
    lock = lock_file.load_lock(lock_path)
    found = ingress_of(settings.load_settings(folder), lock)
    if found is None or found.digest != digest:
        raise ConfigError(
            "the routes are not those that were planned",
            where=str(lock_path),
            found="another lock file or other settings than when the stack was synthesized",
            next_step="run the command again",
        )
    ingress.write(Layout(folder), found)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    except IacError as error:
        sys.exit(error.render())
