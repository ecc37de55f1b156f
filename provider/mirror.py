"""The embedded provider in a Terraform filesystem mirror, and the CLI configuration for it.

Terraform's dependency lock holds the hash of what lies in the folder of a platform. So the file
there has one text, on every machine and in every folder; what differs (the interpreter, settings)
is in `launch`, at the top of the mirror.
"""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from . import files

SOURCE = "kreuzwerker/docker"
VERSION = "3.6.2"
"""The official provider that this one stands in for."""

ADDRESS = f"registry.terraform.io/{SOURCE}"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def this_platform() -> str:
    """Terraform's name of this machine, such as ``linux_amd64``."""
    machine = platform.machine()
    return f"{sys.platform}_{_ARCHITECTURES.get(machine, machine)}"


def write(
    mirror: Path,
    *,
    repair: str,
    platform: str | None = None,
    python: Path | None = None,
    defaults: Mapping[str, str] | None = None,
) -> None:
    """Put the provider into `mirror`; what is there already is left alone.

    Args:
        mirror: the folder; made if it is not there. An absolute path.
        repair: how to bring the interpreter back when it has gone, as an imperative.
        platform: Terraform's name of the machine; default: this one.
        python: the interpreter that has this package; default: the one that runs now.
        defaults: environment variables that the provider gets where they are not set.
    """
    text = _launch(python or Path(sys.executable), repair, defaults or {})
    for path, wanted in (
        (executable_path(mirror, platform or this_platform()), EXECUTABLE),
        (mirror / "launch", text),
    ):
        if not path.is_file() or path.read_text(encoding="utf-8") != wanted:
            files.replace(path, wanted, mode=0o755)


def executable_path(mirror: Path, platform: str) -> Path:
    """Where Terraform looks in an unpacked filesystem mirror."""
    return mirror / ADDRESS / VERSION / platform / f"terraform-provider-docker_v{VERSION}"


def cli_configuration(mirror: Path) -> str:
    """A Terraform CLI configuration: this provider from the mirror, all others as always."""
    quoted = str(mirror).replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
# The embedded Docker provider instead of the registry's {SOURCE}.
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


EXECUTABLE = """\
#!/bin/sh
# Starts the embedded Docker provider as `launch`, at the top of the mirror that this file lies in,
# says. Terraform links to this file, hence readlink.
here=$(dirname -- "$(readlink -f -- "$0")")
launch=$here/../../../../../launch
if [ ! -x "$launch" ]; then
    echo "$here is a copy without its mirror: let Terraform take the mirror itself" >&2
    exit 1
fi
exec "$launch" "$@"
"""


def _launch(python: Path, repair: str, defaults: Mapping[str, str]) -> str:
    """Neither the current folder nor PYTHONPATH can put another package before this one."""
    gone = f"the Python of the embedded Docker provider, {python}, is gone: {repair}"
    lines = [
        "#!/bin/sh",
        "# Written with the mirror; Terraform's dependency lock has no hash of this file.",
        f"python={shlex.quote(str(python))}",
        f'[ -x "$python" ] || {{ echo {shlex.quote(gone)} >&2; exit 1; }}',
        '[ "${1:-}" != --check ] || exit 0',
    ]
    for name, value in defaults.items():
        lines.append(f'[ -n "${{{name}:-}}" ] || export {name}={shlex.quote(value)}')
    lines.append(f'exec "$python" -E -P -m {__package__} "$@"')
    return "\n".join(lines) + "\n"
