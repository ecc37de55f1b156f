"""How to make ``python:X.Y-slim`` from Debian packages: pure data and argv, nothing is run.

For machines that reach a Debian mirror but no image registry.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from iac_wrapper.adapters.process import Command, argv
from iac_wrapper.bootstrap.docker_images import BASE_LABEL
from iac_wrapper.errors import ConfigError

SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""The Debian release whose python3 is that version."""

EPOCH = "1735689600"
"""SOURCE_DATE_EPOCH of the archive, 2025-01-01: equal packages give an equal layer."""

_PACKAGES = ("python3", "python3-venv", "ca-certificates", "iptables")
# Else apt merges /usr by the package usrmerge, which brings 50 MB of Perl.
_MERGED_USR = "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr"
_UNWANTED = ("doc", "man", "info", "locale", "lintian", "bug", "bash-completion")
_DPKG = (
    *(f"path-exclude=/usr/share/{name}/*" for name in _UNWANTED),
    "path-include=/usr/share/doc/*/copyright",
)
_APT = ('APT::Install-Recommends "false"',)
_HOOKS = (
    'ln -s /usr/bin/python3 "$1/usr/local/bin/python"',
    # apt options of this machine (a proxy, perhaps with a password) must not stay in the image.
    'rm -rf "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*'
    ' "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/var/log/*.log "$1"/var/log/apt',
    # Who compiled first decides the bytes of these; python3 makes them again when it may.
    'rm -f "$1"/var/cache/ldconfig/aux-cache',
)
_CHANGES = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "ENV LANG=C.UTF-8",
    'CMD ["python3"]',
)


def suite(python: str) -> str:
    """The Debian release to build from.

    Raises:
        ConfigError: no release has that Python.
    """
    if python in SUITES:
        return SUITES[python]
    raise ConfigError(
        f"no Debian release has Python {python}",
        where="IAC_PYTHON_VERSION",
        found=python,
        expected=f"one of {', '.join(SUITES)} where no image registry answers",
        next_step="set IAC_PYTHON_VERSION to one of these, or IAC_BASE_IMAGES=registry",
    )


def recipe_hash(python: str) -> str:
    """Changes when anything in this module that shapes the image does."""
    recipe = (suite(python), EPOCH, _MERGED_USR, *_PACKAGES, *_DPKG, *_APT, *_HOOKS, *_CHANGES)
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:16]


def bootstrap_command(
    python: str, archive: Path, *, sources: Sequence[str], apt_options: Sequence[str]
) -> Command:
    """mmdebstrap that writes the root file system to `archive` (tar).

    Args:
        python: ``3.11`` or ``3.13``.
        archive: the file to write.
        sources: sources.list lines; empty for mmdebstrap's own default mirror.
        apt_options: lines of apt configuration of this machine (proxy, CA), for the build only.
    """
    return Command(
        argv(
            ("mmdebstrap", "--variant=minbase", "--format=tar", _MERGED_USR),
            (f"--include={','.join(_PACKAGES)}",),
            [f"--aptopt={option}" for option in (*_APT, *apt_options)],
            [f"--dpkgopt={option}" for option in _DPKG],
            [f"--customize-hook={hook}" for hook in _HOOKS],
            (suite(python), archive, *sources),
        ),
        env={"SOURCE_DATE_EPOCH": EPOCH, "TMPDIR": str(archive.parent)},
    )


def import_command(python: str, archive: Path, docker: Path, reference: str) -> Command:
    """``docker import`` with the environment of an official image and the recipe's hash."""
    changes = (*_CHANGES, f"LABEL {BASE_LABEL}={recipe_hash(python)}")
    flags = [part for change in changes for part in ("--change", change)]
    return Command(argv((docker, "import"), flags, (archive, reference)))


def ask_commands(folder: Path, sources: Sequence[str]) -> tuple[Command, Command]:
    """apt in `folder`, beside this machine's own: get package lists, print the versions of python3.

    Args:
        folder: an empty directory.
        sources: sources.list lines, one for each release.
    """
    listed = folder / "sources.list"
    listed.write_text("\n".join((*sources, "")), encoding="utf-8")
    (folder / "lists" / "partial").mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": listed,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "APT::Sandbox::User": "root",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return (
        Command(argv("apt-get", flags, "--quiet", "update")),
        Command(argv("apt-cache", flags, "madison", "python3")),
    )


def pythons(madison: str) -> list[str]:
    """The minor versions that a base can be built of, from what ``apt-cache madison`` prints."""
    found = re.findall(r"(?m)^\s*python3 \|\s*(\d+\.\d+)\.\S+ \|", madison)
    return [python for python in SUITES if python in found]
