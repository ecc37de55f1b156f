"""The users of a service's containers: a block of uids that no other service of the engine has.

The kernel counts inotify instances, processes, pending signals and pipe pages per uid over all
containers; with a uid for each, what one service uses up is its own loss. Values, no I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

BLOCK = 4
"""Uids per service: program, Envoy, runner, one to spare."""

RANGES = (range(30_000, 60_000, BLOCK), range(65_536, 100_000, BLOCK))
"""First uids of all blocks. In front: above what adduser gives to people (from 1000 upward) and
within the 65,536 uids of an engine with a user namespace. Then: below /etc/subuid's first range
(100000). Clear of the system's own (60000 to 65535)."""

GROUP = 10001
"""The gid of every program: the image has a name for it, and the kernel counts nothing by group."""

RUNNER_NAME = "iac-runner"
NAME = "iac"
"""What a program is called in its container, whatever its uid."""

GATEWAY = "gateway"
"""The gateway's name among those of services, which none of them may have."""


@dataclass(frozen=True)
class Users:
    """The block that begins with uid `base`."""

    base: int

    @property
    def program(self) -> int:
        """The uid of every process of the program."""
        return self.base

    @property
    def envoy(self) -> int:
        """The uid of the service's Envoy, which owns the leaf key."""
        return self.base + 1

    @property
    def runner(self) -> int:
        """The uid of what watches the program, which cannot reach it."""
        return self.base + 2

    @property
    def block(self) -> range:
        """Every uid of the block."""
        return range(self.base, self.base + BLOCK)


def label_value(users: Users, project: str, service: str) -> str:
    """What the label `labels.UIDS` says on everything that a service's uids own or belong to."""
    return f"{users.base} {project}/{service}"


def volume_name(users: Users) -> str:
    """The volume on the engine that is the entry of a block, and in which the service's sidecar
    keeps what it must not forget when its container is replaced."""
    return f"karstkit-uids-{users.base}"


def program_of(label: str) -> str:
    """``uid:gid`` of the program, as Docker wants it, from what `label_value` made."""
    return f"{Users(int(label.partition(' ')[0])).program}:{GROUP}"


def parse_labels(values: Collection[str], project: str) -> tuple[dict[str, Users], set[int]]:
    """The blocks of `project`'s services, and the bases of all blocks, from labels' values.

    Values that are not of our form are passed over: anybody may label a container.
    """
    own: dict[str, Users] = {}
    bases: set[int] = set()
    for value in values:
        base, _, owner = value.partition(" ")
        if base.isdecimal() and "/" in owner:
            bases.add(int(base))
            if owner.startswith(f"{project}/"):
                own[owner.partition("/")[2]] = Users(int(base))
    return own, bases


def free_blocks(taken: Collection[int], foreign: Collection[range]) -> Iterator[Users]:
    """Blocks whose base is not in `taken` and that share no uid with a `foreign` range."""
    for users in (Users(base) for bases in RANGES for base in bases if base not in taken):
        block = users.block
        if not any(each.start < block.stop and block.start < each.stop for each in foreign):
            yield users


def passwd(users: Users) -> str:
    """``/etc/passwd`` of an app container: program and runner beside root and nobody."""
    return (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        f"{NAME}:x:{users.program}:{GROUP}:user code:/tmp:/usr/sbin/nologin\n"
        f"{RUNNER_NAME}:x:{users.runner}:{GROUP}:runner:/nonexistent:/usr/sbin/nologin\n"
    )
