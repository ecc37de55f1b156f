"""Which Docker provider Terraform gets: its registry's, or the one in ``provider/``.

The embedded one lies in a filesystem mirror as a small sh file. Its text is the same on every
machine and in every folder, because Terraform's dependency lock holds its hash.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import requests

from iac_wrapper.atomic import write_text
from iac_wrapper.bootstrap.context import Context

ADDRESS = "registry.terraform.io/kreuzwerker/docker"
VERSION = "3.6.2"
"""What the bindings cdktf-cdktf-provider-docker 12.0.3 were made from."""

_DISCOVERY = f"https://{ADDRESS.partition('/')[0]}/.well-known/terraform.json"


def choose(setting: str, recorded: str | None, answers: Callable[[], bool]) -> str:
    """``registry`` or ``embedded``.

    Under ``auto`` a choice once made stays, so that runs are repeatable.

    Args:
        setting: ``auto``, ``registry`` or ``embedded``.
        recorded: the choice of an earlier run, None for the first.
        answers: asks whether the registry can be reached; called only when it must be.
    """
    if setting != "auto":
        return setting
    if recorded in ("registry", "embedded"):
        return recorded
    return "registry" if answers() else "embedded"


def registry_answers() -> bool:
    """True if Terraform's registry answers its service discovery within 3 seconds."""
    try:
        return requests.get(_DISCOVERY, timeout=3).ok
    except requests.RequestException:
        return False


def install(context: Context, platform: str) -> None:
    """Write the mirror and Terraform's CLI configuration for the embedded provider."""
    mirror = context.layout.data / "mirror"
    _write(executable_path(mirror, platform), TRAMPOLINE, mode=0o755)
    _write(context.layout.data / "terraformrc", cli_configuration(mirror), mode=0o644)


def executable_path(mirror: Path, platform: str) -> Path:
    """Where Terraform looks in an unpacked filesystem mirror."""
    return mirror / ADDRESS / VERSION / platform / f"terraform-provider-docker_v{VERSION}"


def cli_configuration(mirror: Path) -> str:
    """A Terraform CLI configuration: this provider from the mirror, all others as always."""
    quoted = str(mirror).replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
# Written by make bootstrap: the embedded Docker provider.
disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{
    path    = "{quoted}"
    include = ["{ADDRESS}"]
  }}
  direct {{
    exclude = ["{ADDRESS}"]
  }}
}}
"""


def _write(path: Path, text: str, *, mode: int) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text, mode=mode)


TRAMPOLINE = """\
#!/bin/sh
# Written by make bootstrap: starts the embedded Docker provider of the project folder that this
# file lies in (Terraform links to it, hence readlink), whatever the current folder is.
here=$(dirname -- "$(readlink -f -- "$0")")
root=$(cd -- "$here/../../../../../../.." && pwd)
if [ ! -x "$root/.venv/bin/python" ]; then
    echo "the embedded Docker provider is not set up in $root: run make bootstrap there" >&2
    exit 1
fi
: "${KARSTKIT_DOCKER_CLI:=$root/.iac/bin/docker}"
export KARSTKIT_DOCKER_CLI PYTHONPATH="$root"
exec "$root/.venv/bin/python" -P -m provider
"""
