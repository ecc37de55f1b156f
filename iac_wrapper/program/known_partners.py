"""Packages that an older version of another does not run with, though its metadata allows them: one
row each. Data, from the changelogs of the packages.

A requirements.txt that pins the one and does not say the other gets the newest, which ends the
program at its first import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version

from iac_wrapper.program.exact_pins import exact_pins, read_requirements


class _Row(NamedTuple):
    """`package` before the version `before` runs with no `partner` from `limit` on."""

    package: str
    before: str
    partner: str
    limit: str


_ROWS = (
    _Row("flask", "2", "jinja2", "3.1"),  # escape and Markup are gone
    _Row("flask", "2", "itsdangerous", "2.1"),  # json
    _Row("flask", "2.1", "werkzeug", "2.1"),  # BaseResponse, as_tuple
    _Row("flask", "2.2.5", "werkzeug", "3"),  # url_quote
    _Row("flask-login", "0.6.3", "werkzeug", "3"),  # url_decode
    _Row("jinja2", "3", "markupsafe", "2.1"),  # soft_unicode
    _Row("flask-sqlalchemy", "3", "sqlalchemy", "2"),  # sqlalchemy.__all__
    _Row("pandas", "2.2.2", "numpy", "2"),  # the ABI
    _Row("openai", "1.55.3", "httpx", "0.28"),  # proxies=
)


def partners(lines: Iterable[str]) -> Mapping[str, str]:
    """What is to be installed beside what the lines of requirements pin: a requirement
    (``werkzeug<3``), and the pin that wants it (``flask==2.0.1``)."""
    requirements = list(read_requirements(lines))
    pins = exact_pins(requirements)
    said = {canonicalize_name(one.name) for one in requirements if one.specifier or one.url}
    found: dict[str, tuple[Version, str]] = {}
    for row in _ROWS:
        pin, limit = pins.get(row.package), Version(row.limit)
        if pin is None or pin >= Version(row.before) or row.partner in said:
            continue
        if row.partner not in found or limit < found[row.partner][0]:
            found[row.partner] = limit, f"{row.package}=={pin}"
    return {f"{name}<{limit}": pin for name, (limit, pin) in sorted(found.items())}
