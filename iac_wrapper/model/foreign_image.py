"""An image that this tool did not make, as the lock describes it. Values, no I/O.

It has no runner of ours, and a user, a program and volumes of its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import references

ROOT_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
"""What an image that starts as root gets: to own its data directory, and to step down from root."""

GRANTABLE = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "KILL"),
    *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_NICE"),
)
"""What `capabilities:` may name: nothing that reaches beyond the container, or that could get
around the sidecar's firewall (NET_ADMIN, NET_RAW, SYS_ADMIN, SYS_PTRACE, …)."""

UserFrom = Literal["image", "repos-file", "root"]
"""Who says as whom it runs: the image's USER, `user:` in repos.yaml, or nobody, so it is root."""


@dataclass(frozen=True)
class ForeignImage:
    """What the construct and the proof need to know of it.

    `pinned` is what it is pulled or found by: ``repository@sha256:…``, or the id of an image that
    is on this engine only (``sha256:…``); empty if the repository's `dockerfile` makes it, a path
    in the folder that is built. `volumes` are the paths of its VOLUME lines; `has_shell`: it has
    ``/bin/sh`` and ``cat``, see `needs_shell`.
    """

    pinned: str
    uid: int
    gid: int
    user_from: UserFrom
    volumes: tuple[str, ...] = ()
    has_shell: bool = False
    dockerfile: str = ""

    def capabilities(self, said: str | None) -> tuple[str, ...]:
        """What it keeps (``CAP_…``), sorted; `said` is `capabilities:`, None without that key."""
        if said is not None:
            names = tuple(said.split())
        else:
            names = ROOT_CAPABILITIES if self.uid == 0 else ()
        return tuple(f"CAP_{name}" for name in sorted(names))

    def privileges(self, said: str | None) -> Iterator[str]:
        """A sentence on what it may do that a program of ours may not."""
        granted = ", ".join(n.removeprefix("CAP_") for n in self.capabilities(said))
        if self.uid == 0:
            yield (
                f"the image starts as root, with {granted or 'no capabilities'};"
                " `user: NAME` starts it as a user of the image, without any"
            )
        elif granted:
            yield f"it keeps the capabilities {granted}"

    def lost_data(self, mounted: Collection[str]) -> Iterator[str]:
        """A sentence on each place of data that goes with the container.

        Args:
            mounted: paths at which something of the entry's is.
        """
        for path in self.volumes:
            if path not in mounted:
                yield (
                    f"what it writes to {path} is lost when its container is replaced: the image"
                    " calls that a volume, and the entry names none for it"
                )


def values_by_path(env: Mapping[str, str]) -> set[str]:
    """The variables of `env:` whose secret value is a file, and that say its path.

    The makers of images have agreed on that: ``POSTGRES_PASSWORD_FILE`` names a file.
    """
    return {name for name, value in env.items() if is_secret(value) and name.endswith("_FILE")}


def values_by_shell(env: Mapping[str, str]) -> set[str]:
    """The variables of `env:` that a shell has to set before the program starts: no runner does,
    and what the engine is told can be read by `docker inspect` and stands in Terraform's state."""
    return {name for name, value in env.items() if is_secret(value)} - values_by_path(env)


def needs_shell(env: Mapping[str, str], command: str | None) -> bool:
    """Whether the image's own shell has to start its program, as the entry is written."""
    return bool(values_by_shell(env)) or "" in shlex.split(command or "")


def is_secret(value: str) -> bool:
    """Whether a value of `env:` reaches the program by a file, because nobody else may see it."""
    return bool(references.names(value))


def check_capabilities(text: str) -> str:
    """The capabilities in `text`, sorted and without ``CAP_``.

    Raises:
        ConfigError: one is none, or cannot be had.
    """
    names = [name.upper().removeprefix("CAP_") for name in text.replace(",", " ").split()]
    if unknown := sorted(set(names) - set(GRANTABLE)):
        raise ConfigError(
            "these capabilities cannot be had",
            found=", ".join(unknown),
            expected=f"any of {', '.join(GRANTABLE)}",
            next_step="leave them out: others reach beyond the container or past its sidecar",
        )
    return " ".join(sorted(set(names)))
