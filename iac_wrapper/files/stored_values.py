"""Secret values that a person has stored for one project: a `.env` file of their owner alone.

They are bytes, as of `env_files`. What is written is quoted, so that nothing in it has a meaning.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_text
from iac_wrapper.files.atomic import write_bytes
from iac_wrapper.files.private_files import private_directory

_HEAD = "# Written by `iac env set --secret`, which drops any comment. Not for git.\n"


def load(path: Path) -> dict[str, str]:
    """The values by name; none if there is no such file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return env_text.parse(os.fsdecode(path.read_bytes()), {})
    except FileNotFoundError:
        return {}
    except (env_text.EnvTextError, OSError) as error:
        line = f":{error.line}" if isinstance(error, env_text.EnvTextError) else ""
        raise ConfigError(
            "cannot read the stored values",
            where=f"{path}{line}",
            found=str(error),
            expected="NAME=value, with quotes as in a shell",
            next_step=f"correct {path}",
        ) from None


def save(path: Path, values: Mapping[str, str]) -> None:
    """Replace all of them at once; without any, the file goes.

    Raises:
        CertificateError: the folder cannot be closed to others.
    """
    if not values:
        path.unlink(missing_ok=True)
        return
    private_directory(path.parent)
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in sorted(values.items())]
    write_bytes(path, os.fsencode(_HEAD + "".join(lines)), mode=0o600)
