"""Which Docker provider Terraform gets: its registry's, or the one in ``provider/``.

The embedded one lies in a filesystem mirror, which it makes itself (`provider/mirror.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.files import machine_home
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.provider import PROVIDER_SOURCE, PROVIDER_VERSION
from provider import mirror
from provider.mirror import ADDRESS

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


def install(context: BootstrapRun, platform: str) -> None:
    """Write the mirror and Terraform's CLI configuration for the embedded provider."""
    home, checkout = context.home, machine_home.checkout()
    executable = mirror.executable_path(home.mirror, platform)
    if executable.is_file() and executable.read_text(encoding="utf-8") != mirror.EXECUTABLE:
        _forget(home.data)
    mirror.write(
        home.mirror,
        repair=f"run {machine_home.setup_command()}" + (f" in {checkout}" if checkout else ""),
        platform=platform,
        python=context.python,
        defaults={"KARSTKIT_DOCKER_CLI": str(context.bin / "docker")},
    )
    text = mirror.cli_configuration(home.mirror)
    if not home.terraformrc.is_file() or home.terraformrc.read_text(encoding="utf-8") != text:
        write_text(home.terraformrc, text)


def _forget(data: Path) -> None:
    """Remove the dependency locks of a checkout's stacks: they hold the hash of another text."""
    for out in (data.parent / "cdktf.out", *data.glob("projects/*/cdktf.out")):
        for lock in out.glob("stacks/*/.terraform.lock.hcl"):
            lock.unlink(missing_ok=True)
