"""Where the facts of a machine lie, and which command sets it up. Paths only.

In a checkout of KarstKit that is the checkout's own `.iac`; an installed `iac` has a folder for
each user and version, because images and tools follow from the version and serve all projects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper import __version__

PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds our packages: a checkout, or an environment's site-packages."""

_MARKS = ("pyproject.toml", "scripts/venv")

_INPUTS = (
    ("iac_wrapper/bootstrap", "*.Dockerfile"),
    ("iac_wrapper/bootstrap", "*requirements*.txt"),
    ("iac_wrapper/grpc_pb", "*.py"),
    ("constructs_lib", "envoy_config.py"),
    ("constructs_lib/templates", "*.j2"),
    ("runner", "*requirements.txt"),
    ("runner", "*.py"),
    ("runner/sidecar", "*.py"),
)
"""Folder and pattern of every file that shapes an image or a tool of the set-up."""


@dataclass(frozen=True)
class MachineHome:
    """Paths in the folder `data`, which holds what can be made again by a set-up."""

    data: Path

    @property
    def record(self) -> Path:
        """What was found or built."""
        return self.data / "host.json"

    @property
    def bin(self) -> Path:
        """Links to the chosen tools, and what stands for Terraform and starts the provider."""
        return self.data / "bin"

    @property
    def terraform(self) -> Path:
        """The executable that stands for Terraform (see docs/decisions)."""
        return self.bin / "terraform"

    @property
    def mirror(self) -> Path:
        """Terraform's filesystem mirror with the embedded provider."""
        return self.data / "mirror"

    @property
    def terraformrc(self) -> Path:
        """Terraform's CLI configuration that names the mirror."""
        return self.data / "terraformrc"

    @property
    def build_secrets(self) -> Path:
        """Files that reach the builds of base images as BuildKit secrets."""
        return self.data / "build-secrets"

    def packages(self, group: str) -> Path:
        """Where the Python packages of a group are installed."""
        return self.data / "packages" / group

    def log(self, name: str) -> Path:
        """The log of a step of the set-up."""
        return self.data / "log" / f"{name}.log"


def checkout(packages: Path = PACKAGES) -> Path | None:
    """The checkout of KarstKit that this code runs from; None for an installed one."""
    return packages if all((packages / mark).is_file() for mark in _MARKS) else None


def find(chosen: Path | None, environ: Mapping[str, str], own: Path | None) -> MachineHome:
    """The machine's folder.

    Args:
        chosen: the setting IAC_HOME, an absolute path; None for the default.
        environ: its XDG_DATA_HOME counts if it is absolute (XDG Base Directory Specification 0.8).
        own: the checkout that runs, None for an installed `iac`.
    """
    if chosen:
        return MachineHome(chosen)
    if own:
        return MachineHome(own / ".iac")
    named = Path(environ.get("XDG_DATA_HOME", ""))
    share = named if named.is_absolute() else Path.home() / ".local" / "share"
    return MachineHome(share / "karstkit" / __version__)


def setup_command(**settings: str) -> str:
    """What a person types to set the machine up, with these settings for that run."""
    words = [f"{name}={value}" for name, value in settings.items()]
    return " ".join(["make bootstrap", *words] if checkout() else [*words, "iac setup"])


def inputs(packages: Path = PACKAGES) -> str:
    """A hash of everything that a set-up makes images and tools from: 16 hex digits.

    Two versions of KarstKit with the same hash need one set-up only.
    """
    digest = hashlib.sha256()
    for folder, pattern in _INPUTS:
        for path in sorted((packages / folder).glob(pattern)):
            name = path.relative_to(packages).as_posix()
            digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
