"""IAC_ADMIN_USERS: who may do what. No I/O.

``0b1f…-…, ann@example.org=read+deploy, role:oncall=read``: entries separated by commas, each a user
id, an e-mail address or a role (``app_metadata.iac_role``), with the scopes it gives; without them,
all. The scopes of all entries that are about a user add up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from admin.actor import ALL_SCOPES, Scope
from admin.auth.claims import is_uuid
from iac_wrapper.errors import ConfigError

_ROLE = re.compile(r"role:[A-Za-z0-9_.:-]{1,64}")
# ASCII only: lower() maps the Kelvin sign to k, which would make two addresses one.
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,255}")
_SCOPES: Mapping[str, Scope] = {scope: scope for scope in ALL_SCOPES}


@dataclass(frozen=True)
class AllowList:
    """Scopes by user id, e-mail address (both in lower case) and ``role:NAME``."""

    entries: Mapping[str, frozenset[Scope]]

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """Read the setting.

        Raises:
            ConfigError: an entry is not in the grammar above.
        """
        entries: dict[str, frozenset[Scope]] = {}
        for entry in filter(None, (item.strip() for item in text.split(","))):
            who, scopes = _entry(entry)
            entries[who] = entries.get(who, frozenset()) | scopes
        return cls(entries)

    def scopes(self, user_id: str, *, email: str, role: str) -> frozenset[Scope]:
        """What this user may do; `email` and `role` are empty if unknown or unconfirmed."""
        keys = [user_id.lower()]
        if _EMAIL.fullmatch(email):
            keys.append(email.lower())
        if role:
            keys.append(f"role:{role}")
        return frozenset().union(*(self.entries.get(key, frozenset()) for key in keys))


def _entry(entry: str) -> tuple[str, frozenset[Scope]]:
    who, equals, names = (part.strip() for part in entry.rpartition("="))
    if not equals:
        return _who(entry, entry), ALL_SCOPES
    found = [_SCOPES.get(name.strip()) for name in names.split("+")]
    scopes = frozenset(scope for scope in found if scope)
    if None in found:
        raise _bad(entry, "after = one or more of read, deploy and destroy, joined by +")
    return _who(who, entry), scopes


def _who(text: str, entry: str) -> str:
    if _ROLE.fullmatch(text):
        return text
    if is_uuid(text) or _EMAIL.fullmatch(text):
        return text.lower()
    raise _bad(entry, "a user id (UUID), an e-mail address in ASCII, or role:NAME")


def _bad(entry: str, expected: str) -> ConfigError:
    return ConfigError(
        "bad entry",
        where="IAC_ADMIN_USERS",
        found=repr(entry),
        expected=expected,
        next_step="set IAC_ADMIN_USERS in .env or the environment,"
        " for example ann@example.org=read+deploy,role:oncall=read",
    )
