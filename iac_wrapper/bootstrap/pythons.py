"""Pythons beyond those of the set-up, for a command that needs one: its base is made then.

Light, because every command has it; what asks and builds is loaded when it is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iac_wrapper.files import host
from iac_wrapper.files.host import PythonBase
from iac_wrapper.settings import Settings

if TYPE_CHECKING:
    from iac_wrapper.bootstrap.context import BootstrapRun


@dataclass(frozen=True)
class MachinePythons:
    """The Pythons of this machine, see `program.pythons.Pythons`.

    `settings` are those of the project folder; `write` gets each line of progress.
    """

    settings: Settings
    write: Callable[[str], None]

    @property
    def here(self) -> Collection[str]:
        """Those that this machine has a base image for."""
        return host.load_host(self.settings.machine_home).bases.keys()

    def offered(self) -> Iterable[str]:
        """Those that one could be made for, newest first."""
        from iac_wrapper.bootstrap import python_offer  # noqa: PLC0415

        return python_offer.offered(self._context())

    def base(self, version: str) -> PythonBase:
        """The base image, made if there is none.

        Raises:
            ConfigError, CommandError: it cannot be made.
        """
        from iac_wrapper.bootstrap import setup  # noqa: PLC0415

        record = host.load_host(self.settings.machine_home)
        return record.bases.get(version) or setup.add_python(self._context(), version)

    def _context(self) -> BootstrapRun:
        from iac_wrapper.bootstrap import setup  # noqa: PLC0415

        return setup.context(self.settings, None, self.write)
