"""Base images of this machine by the Python in them, those that there are and those to be made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.host import PythonBase
from iac_wrapper.files.machine_home import setup_command


class Pythons(Protocol):
    """What can be had. Versions are minor ones (``3.11``)."""

    @property
    def here(self) -> Collection[str]:
        """Those that this machine has a base image for."""

    def offered(self) -> Iterable[str]:
        """Those that one could be made for; asks an image registry or a package mirror."""

    def base(self, version: str) -> PythonBase:
        """The base image, made if there is none.

        Raises:
            ConfigError, CommandError: it cannot be made.
        """


@dataclass(frozen=True)
class OnlyThose:
    """The bases of the machine's record, and no others."""

    bases: Mapping[str, PythonBase]

    @property
    def here(self) -> Collection[str]:
        """See `Pythons`."""
        return self.bases.keys()

    def offered(self) -> Iterable[str]:
        """None beside them."""
        return ()

    def base(self, version: str) -> PythonBase:
        """See `Pythons`."""
        if version in self.bases:
            return self.bases[version]
        raise ConfigError(
            f"no base image for Python {version} on this machine",
            where="IAC_PYTHON_VERSION",
            found=", ".join(sorted(self.bases)) or "no base image at all",
            next_step=setup_command(IAC_PYTHON_VERSION=version),
        )
