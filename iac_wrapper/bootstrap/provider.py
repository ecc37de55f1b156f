"""Which Docker provider Terraform gets: its registry's, or the one in ``provider/``.

The embedded one lies in a filesystem mirror as a small sh file. Its text is the same on every
machine and in every folder, because Terraform's dependency lock holds its hash.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from iac_wrapper.bootstrap.context import Context
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.provider import PROVIDER_SOURCE, PROVIDER_VERSION

ADDRESS = f"registry.terraform.io/{PROVIDER_SOURCE}"

_DISCOVERY = f"https://{ADDRESS.partition('/')[0]}/.well-known/terraform.json"
_TIMEOUT = 3.0
"""Seconds for each of the three answers of `can_download`."""


def choose(setting: str, recorded: str | None, available: Callable[[], bool]) -> str:
    """``registry`` or ``embedded``.

    Under ``auto`` the embedded one stays once chosen, so that runs are repeatable; the registry's
    stays for as long as it can be had.

    Args:
        setting: ``auto``, ``registry`` or ``embedded``.
        recorded: the choice of an earlier run, None for the first.
        available: asks whether the registry's provider can be had; called only when it must be.
    """
    if setting != "auto":
        return setting
    if recorded == "embedded":
        return recorded
    return "registry" if available() else "embedded"


def is_installed(data: Path) -> bool:
    """True if Terraform downloaded the registry's provider for a project here before.

    Args:
        data: the folder ``.iac``. Of the embedded provider Terraform keeps links, not folders.
    """
    stacks = data.glob("projects/*/cdktf.out/stacks/*")
    return any(
        found.is_dir() and not found.is_symlink()
        for stack in stacks
        for found in (stack / ".terraform" / "providers" / ADDRESS / PROVIDER_VERSION).glob("*")
    )


def can_download(platform: str, *, timeout: float = _TIMEOUT) -> bool:
    """True if Terraform could download the provider: registry and the archive's host answer.

    The archive lies on another host than the registry, and a site may let through only one of
    the two. It is asked for by GET, because a signed address need not answer to HEAD; its
    contents are not read.

    Args:
        platform: ``linux_amd64`` and so on.
        timeout: seconds for each of three answers.
    """
    try:
        services = _json(_DISCOVERY, timeout)
        path = f"{PROVIDER_SOURCE}/{PROVIDER_VERSION}/download/{platform.replace('_', '/')}"
        archive = _json(urljoin(urljoin(_DISCOVERY, services["providers.v1"]), path), timeout)
        with requests.get(archive["download_url"], timeout=timeout, stream=True) as answer:
            return answer.ok
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return False


def _json(url: str, timeout: float) -> Any:
    answer = requests.get(url, timeout=timeout)
    answer.raise_for_status()
    return answer.json()


def install(context: Context, platform: str) -> None:
    """Write the mirror and Terraform's CLI configuration for the embedded provider."""
    home = context.home
    path = executable_path(home.mirror, platform)
    if path.is_file() and path.read_text(encoding="utf-8") != TRAMPOLINE:
        _forget(home.data)
    _write(path, TRAMPOLINE, mode=0o755)
    _write(home.bin / _START, start(context), mode=0o755)
    _write(home.terraformrc, cli_configuration(home.mirror), mode=0o644)


def _forget(data: Path) -> None:
    """Remove the dependency locks of a checkout's stacks: they hold the hash of another text."""
    for out in (data.parent / "cdktf.out", *data.glob("projects/*/cdktf.out")):
        for lock in out.glob("stacks/*/.terraform.lock.hcl"):
            lock.unlink(missing_ok=True)


def executable_path(mirror: Path, platform: str) -> Path:
    """Where Terraform looks in an unpacked filesystem mirror."""
    return (
        mirror
        / ADDRESS
        / PROVIDER_VERSION
        / platform
        / f"terraform-provider-docker_v{PROVIDER_VERSION}"
    )


def cli_configuration(mirror: Path) -> str:
    """A Terraform CLI configuration: this provider from the mirror, all others as always."""
    quoted = str(mirror).replace("\\", "\\\\").replace('"', '\\"')
    return f"""\
# Written by KarstKit's set-up: the embedded Docker provider.
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


def start(context: Context) -> str:
    """The sh file that the mirror's leads to: it knows this machine's interpreter.

    Our packages come first: a folder ``provider/`` of the person's, in the current folder or by
    PYTHONPATH, is not taken for ours.
    """
    used = (context.python, context.packages, context.bin / "docker")
    python, packages, docker = (shlex.quote(str(path)) for path in used)
    return f"""\
#!/bin/sh
# Written by KarstKit's set-up: starts the embedded Docker provider.
[ -n "${{KARSTKIT_DOCKER_CLI:-}}" ] || KARSTKIT_DOCKER_CLI={docker}
export KARSTKIT_DOCKER_CLI PYTHONPATH={packages}
exec {python} -P -m provider
"""


_START = "docker-provider"

TRAMPOLINE = f"""\
#!/bin/sh
# Written by KarstKit's set-up: starts the embedded Docker provider of the folder that this file
# lies in (Terraform links to it, hence readlink), whatever the current folder is.
here=$(dirname -- "$(readlink -f -- "$0")")
data=$(cd -- "$here/../../../../../.." && pwd)
if [ ! -x "$data/bin/{_START}" ]; then
    echo "the embedded Docker provider is not set up in $data: run iac setup" \\
        "(in a checkout of KarstKit: make bootstrap)" >&2
    exit 1
fi
exec "$data/bin/{_START}"
"""
