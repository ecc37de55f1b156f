"""The policy that was pushed last, kept on a volume: a restart needs nobody else.

The file's name has the policy that the container was made with in it. So a new container begins
with its own, and the old one beside it, while both are there, keeps what it has.
"""

from __future__ import annotations

import os
from pathlib import Path

from runner.sidecar import policy as policies
from runner.sidecar.config import make_directory
from runner.sidecar.log import say
from runner.sidecar.policy import Policy
from runner.sidecar.refused import Refused

VOLUME = Path("/var/lib/iac")

MOST = 4
"""Files that are kept, for containers that are tried and those that come back."""


class PolicyStore:
    """Keeps one policy.

    Args:
        base: the policy that the container was made with.
        directory: where; see `prepare`.
    """

    def __init__(self, base: Policy, directory: Path = VOLUME / "policy") -> None:
        self._base, self._directory = base, directory
        self._path = directory / f"policy-{base.digest[:16]}.json"

    def prepare(self) -> None:
        """Make the directory, while we still are root. Without a volume nothing is kept."""
        if self._directory.parent.is_dir():
            make_directory(self._directory)

    def load(self) -> Policy:
        """What was pushed to a container like this one, else what it was made with."""
        try:
            return policies.read(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return self._base
        except (OSError, ValueError, Refused) as error:
            say(f"{self._path} is of no use, the policy is that of the container: {error}")
            return self._base

    def save(self, found: Policy) -> bool:
        """Whether it will be there after a restart."""
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("w", encoding="ascii") as file:
                file.write(found.text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            self._remove_old()
        except OSError as error:
            say(f"the policy will not outlive a restart: {self._path}: {error.strerror}")
            return False
        return True

    def _remove_old(self) -> None:
        found = self._directory.glob("policy-*.json")
        for each in sorted(found, key=lambda path: path.stat().st_mtime)[:-MOST]:
            each.unlink()
