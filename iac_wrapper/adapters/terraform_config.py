"""The person's own Terraform CLI configuration: it decides where providers come from.

Only TF_CLI_CONFIG_FILE counts here; what is in the file is Terraform's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "TF_CLI_CONFIG_FILE"


def configured_file(environ: Mapping[str, str]) -> Path | None:
    """The file that the environment names, whether it exists or not.

    Returns:
        An absolute path: Terraform runs in another folder than the person who wrote the name.
    """
    name = environ.get(VARIABLE)
    return Path(name).expanduser().resolve() if name else None


def own(environ: Mapping[str, str]) -> Path | None:
    """The file if it exists; then it wins over the one that bootstrap writes."""
    path = configured_file(environ)
    return path if path and path.exists() else None


def digest(path: Path) -> str:
    """What an initialised folder depends on: which file, with which content."""
    content = path.read_bytes() if path.is_file() else b""
    return hashlib.sha256(f"{path}\n".encode() + content).hexdigest()
