"""The key ``allow``: who may call a service, and what of it. Values, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from iac_wrapper.model import app_rules, tcp
from iac_wrapper.model.key import ListsByName, Text

MOST_RULES = 64
"""Rules of one caller, and callers of one service that have rules."""

_PATH = r"""/[!"$-)+->@-\[\]-~]{0,999}\*?"""
"""Printable ASCII from ``/`` on, without ``*`` but at the end, and without ``?``, ``#`` and ``\\``,
which are in no path that a service sees."""

_RULE = rf"(?:{_PATH}|tcp:(?:{tcp.PORT}))"


def callers() -> ListsByName:
    """Names of services, each alone or with the rules of what it may call."""
    return ListsByName(
        name=Text(app_rules.check_name, "the name of a service", {"$ref": "#/definitions/name"}),
        item=Text(
            parse=_parse,
            expected="a path (/api/orders, /shop.v1.Orders/Get), the beginning of paths (/api/*),"
            " or a TCP port (tcp:5432)",
            schema={"type": "string", "pattern": f"^{_RULE}$"},
        ),
        most=MOST_RULES,
        expected="a list of services, such as [web, {worker: [/api/*]}]; [] for nobody",
        write=_write,
    )


def _parse(text: str) -> str | None:
    return text if re.fullmatch(_RULE, text) else None


def _write(found: Mapping[str, Sequence[str]]) -> str:
    def one(name: str) -> str:
        rules = ", ".join(f'"{rule}"' for rule in found[name])
        return f"{{{name}: [{rules}]}}" if rules else name

    return f"[{', '.join(map(one, found))}]"
