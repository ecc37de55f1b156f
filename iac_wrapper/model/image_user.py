"""As whom an image starts: its USER, or `user:`, by its own user database. Values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from iac_wrapper.errors import ConfigError


@dataclass(frozen=True)
class UserDatabase:
    """The text of an image's ``/etc/passwd`` and ``/etc/group``; empty where it has none."""

    passwd: str = ""
    group: str = ""

    def resolve(self, text: str) -> tuple[int, int]:
        """Uid and gid of ``user[:group]``, names or numbers, by the rules of USER in a Dockerfile.

        A uid without an entry has the gid 0, as with Docker: files of images that are made for any
        uid belong to that group.

        Raises:
            ConfigError: the image has no such user or group; names those it has.
        """
        name, colon, group = text.partition(":")
        uid, primary = self._user(name)
        return (uid, self._group(group)) if colon else (uid, primary)

    def _user(self, name: str) -> tuple[int, int]:
        known = _entries(self.passwd)
        for entry in known:
            if name in (entry[0], entry[2]) and entry[2].isdecimal() and entry[3].isdecimal():
                return int(entry[2]), int(entry[3])
        if name.isdecimal():
            return int(name), 0
        raise _unknown("user", name, known)

    def _group(self, name: str) -> int:
        known = _entries(self.group)
        for entry in known:
            if name in (entry[0], entry[2]) and entry[2].isdecimal():
                return int(entry[2])
        if name.isdecimal():
            return int(name)
        raise _unknown("group", name, known)


def _entries(text: str) -> list[list[str]]:
    lines = (line.split(":") for line in text.splitlines() if line.count(":") >= 3)
    return [[*fields, ""] for fields in lines]


def _unknown(kind: str, name: str, known: list[list[str]]) -> ConfigError:
    names = ", ".join(entry[0] for entry in known[:30])
    return ConfigError(
        f"the image has no {kind} {name}",
        found=names or f"an image without a database of {kind}s",
        expected=f"one of them, or a {'uid' if kind == 'user' else 'gid'}",
        next_step="correct `user:` in its entry, or leave it out for the image's own",
    )
