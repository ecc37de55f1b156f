"""The forms of values in repos.yaml that more than one key could have. Values, no I/O."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import app_rules, key
from iac_wrapper.model.foreign_image import GRANTABLE, check_capabilities
from iac_wrapper.model.key import ByName, JsonSchema, Listed, Text
from iac_wrapper.model.redact import Redactor

_UNITS = {"": 1, "m": 1, "mb": 1, "mib": 1, "g": 1024, "gb": 1024, "gib": 1024}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}

_POSITIVE = "0*[1-9][0-9]*"

_NOT_MOUNTED = (
    r"/(app|usr|lib|lib64|bin|sbin|etc|opt|run)$|/(proc|sys|dev|venv|opt/iac|run/iac)(/|$)"
)
"""Paths in the container that belong to the system, the tool or the program's own files."""


def command_line() -> Text:
    """A program and its arguments: one line with quotes as a shell reads them, or a list."""
    return Text(
        parse=_parse_command,
        expected='a command line, or a list of its words: [postgres, -c, "max_connections=50"]',
        schema={
            "anyOf": [
                {
                    "type": ["string", "number", "boolean"],
                    "pattern": r"^(?=.*\S)[^\x00-\x1f\x7f]+$",
                },
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": ["string", "number", "boolean"],
                        "pattern": r"^[^\x00-\x1f\x7f]*$",
                    },
                },
            ]
        },
        listed=shlex.join,
    )


def _parse_command(text: str) -> str | None:
    try:
        words = shlex.split(text)
    except ValueError:
        raise ConfigError(
            "a quote of this command does not end",
            found=repr(text),
            expected="quotes as a shell reads them, or a list of words",
            next_step="write \"it's me\" for it's me",
        ) from None
    if not words or not text.isprintable():
        return None
    if Redactor()(text) != text:
        raise ConfigError(
            "this command looks as if it held a key, token or password",
            found="a secret in a file that is meant to be committed",
            expected="the program to read it from a variable or a file",
            next_step="write it in `env:` as ${NAME}, and set NAME in .env or the environment",
        )
    return text


def yes_or_no() -> Text:
    """``true`` or ``false``."""
    return Text(
        parse=lambda text: {"true": True, "false": False}.get(text.lower()),
        expected="true or false",
        schema={"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]},
        write=lambda value: str(value).lower(),
    )


def user_of_an_image() -> Text:
    """``postgres``, ``999`` or ``999:999``, as USER in a Dockerfile takes it."""
    name = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|[0-9]{1,9}"
    pattern = rf"(?:{name})(?::(?:{name}))?"
    return Text(
        parse=lambda text: text if re.fullmatch(pattern, text) else None,
        expected="a user of the image, or a uid: postgres, 999 or 999:999",
        schema={
            "type": ["string", "integer", "boolean"],
            "minimum": 0,
            "maximum": 999_999_999,
            "pattern": f"^{pattern}$",
        },
    )


def capabilities() -> Text:
    """Names of Linux capabilities, with or without ``CAP_``; none is allowed."""
    names = "|".join(GRANTABLE)
    one = f"(?:[cC][aA][pP]_)?(?:{names}|{names.lower()})"
    return Text(
        parse=check_capabilities,
        expected="names such as [NET_BIND_SERVICE]; [] for none",
        schema={
            "anyOf": [
                {"type": "string", "pattern": f"^ *(?:{one}(?:[ ,]+|$))*$"},
                {"type": "array", "items": {"type": "string", "pattern": f"^(?:{one})$"}},
            ]
        },
        write=lambda value: value or "none",
        listed=" ".join,
    )


def statement() -> Text:
    """A file of the repository, and names of groups or extras in brackets behind it."""
    name = r"[A-Za-z0-9][A-Za-z0-9._-]*"
    folder = r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*"
    expression = rf"{folder}{name}(?:\[{name}(?:, ?{name})*\])?"
    return pattern(
        expression,
        "a file of the repository, with names of its groups or extras in brackets:"
        " requirements/prod.txt, pyproject.toml[web]",
    )


def one_of(*words: str) -> Text:
    """One of some words."""
    return Text(
        parse=lambda text: text if text in words else None,
        expected="one of " + ", ".join(words),
        schema={"enum": list(words)},
    )


def pattern(expression: str, expected: str, most: int = 253) -> Text:
    """Text of at most `most` characters that is wholly of a regular expression."""
    return Text(
        parse=lambda text: (
            text if len(text) <= most and re.fullmatch(f"(?:{expression})", text) else None
        ),
        expected=expected,
        schema={"type": "string", "maxLength": most, "pattern": f"^(?:{expression})$"},
    )


def boolean() -> Text:
    """``true`` or ``false``."""
    return Text(key.boolean, "true or false", key.BOOLEAN, _written_boolean)


def _written_boolean(value: bool) -> str:
    return str(value).lower()


MAX_HSTS = 63_072_000
"""Seconds: two years, what hstspreload.org recommends; a year is its least."""

_TO_MAX_HSTS = (
    "[1-9][0-9]{0,6}|[1-5][0-9]{7}|6[0-2][0-9]{6}|630[0-6][0-9]{4}|6307[01][0-9]{3}|63072000"
)


def hsts() -> Text:
    """Seconds, 1 to `MAX_HSTS`, or ``false``, which is 0."""

    def parse(text: str) -> int | None:
        if re.fullmatch("[fF]alse|FALSE", text):
            return 0
        return int(text) if re.fullmatch(_TO_MAX_HSTS, text) else None

    return Text(
        parse,
        f"false, or seconds up to {MAX_HSTS}",
        {
            "anyOf": [
                {"enum": [False, "false", "False", "FALSE"]},
                {"type": "integer", "minimum": 1, "maximum": MAX_HSTS},
                {"type": "string", "pattern": f"^(?:{_TO_MAX_HSTS})$"},
            ]
        },
        write=lambda value: str(value or "false"),
    )


def size(least: int) -> Text:
    """MiB from ``512``, ``512m`` or ``1g``; at least `least` (1 to 9) of them."""

    def parse(text: str) -> int | None:
        match = re.fullmatch(r"([0-9]{1,7})([a-z]*)", text.lower())
        if match and match[2] in _UNITS and least <= (found := int(match[1]) * _UNITS[match[2]]):
            return found
        return None

    mebibytes = f"0*(?:[{least}-9]|[1-9][0-9]+)(?:[mM](?:[iI]?[bB])?)?"
    gibibytes = f"{_POSITIVE}[gG](?:[iI]?[bB])?"
    return Text(
        parse=parse,
        expected=f"MiB or a size such as 512m or 1g, at least {least}m",
        schema=_number_or_text(
            {"type": "integer", "minimum": least, "maximum": 9_999_999},
            f"^(?=[0-9]{{1,7}}[a-zA-Z]*$)(?:{mebibytes}|{gibibytes})$",
        ),
        write=written_size,
    )


def written_size(mebibytes: int) -> str:
    """``512m`` or ``1g``, as `size` reads it."""
    return f"{mebibytes}m" if mebibytes % 1024 else f"{mebibytes // 1024}g"


def seconds() -> Text:
    """Seconds, 1 to 3600, from ``90``, ``90s`` or ``2m``."""
    one_to_3600 = "0*(?:[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)[sS]?"
    one_to_60 = "0*(?:[1-9]|[1-5][0-9]|60)[mM]"
    return Text(
        parse=_parse_seconds,
        expected="seconds from 1 to 3600, such as 90 or 2m",
        schema=_number_or_text(
            {"type": "integer", "minimum": 1, "maximum": 3600},
            f"^(?=[0-9]{{1,4}}[smhSMH]?$)(?:{one_to_3600}|{one_to_60}|0*1[hH])$",
        ),
        write=_written_seconds,
    )


def _parse_seconds(text: str) -> int | None:
    match = re.fullmatch(r"([0-9]{1,4})([smh]?)", text.lower())
    if match and 1 <= (found := int(match[1]) * _SECONDS[match[2]]) <= 3600:
        return found
    return None


def _written_seconds(found: int) -> str:
    for unit in ("h", "m"):
        if not found % _SECONDS[unit]:
            return f"{found // _SECONDS[unit]}{unit}"
    return f"{found}s"


def processors() -> Text:
    """A number of processors, at least 0.01 (what Docker takes), such as ``0.5`` or ``2``."""
    number = r"[0-9]{1,4}(?:\.[0-9]{1,2})?"
    return Text(
        parse=lambda t: float(t) if re.fullmatch(number, t) and float(t) >= 0.01 else None,
        expected="a number of processors such as 0.5 or 2",
        schema=_number_or_text(
            {"type": "number", "minimum": 0.01, "maximum": 9999.99}, rf"^(?![0.]+$){number}$"
        ),
        write="{:g}".format,
    )


def request_path() -> Text:
    """A path to request, query allowed: printable ASCII from ``/`` on."""
    pattern = r'/[!"$-~]*'
    return Text(
        parse=lambda text: text if re.fullmatch(pattern, text) else None,
        expected="a path such as /healthz",
        schema={"type": "string", "pattern": f"^{pattern}$"},
    )


def shell_line() -> Text:
    """A line for a shell."""
    return Text(
        parse=lambda text: text if text.strip() and text.isprintable() else None,
        expected="a command in one line, such as python manage.py migrate",
        schema={"type": "string", "pattern": r"^(?=.*\S)[^\x00-\x1f\x7f]+$"},
    )


def mount_path() -> Text:
    """A path in the container: absolute, shortest form, clear of what the tool puts there."""
    return Text(
        parse=lambda text: text if is_mountable(text) else None,
        expected="an absolute path such as /tmp or /app/cache, without a final slash, and no folder"
        " of the system or of KarstKit, such as /usr or /run/iac",
        schema={"pattern": rf"^(?!{_NOT_MOUNTED})(?!.*/\.\.?(?:/|$))(?:/[\w.-]+)+$"},
    )


def mounts() -> ByName:
    """Sizes by path."""
    path = mount_path()
    amount = size(least=1)

    def write(sizes: Mapping[str, Any]) -> str:
        return "{" + ", ".join(f"{at}: {amount.write(sizes[at])}" for at in sorted(sizes)) + "}"

    return ByName(
        read=lambda at, text: (path.read(at), amount.read(text)),
        expected="PATH: SIZE lines",
        expected_value="a size such as 256m",
        schema={
            "type": "object",
            "propertyNames": path.schema,
            "additionalProperties": amount.schema,
        },
        write=write,
    )


def is_mountable(text: str) -> bool:
    """Whether something may be mounted at this path in a container."""
    plain = re.fullmatch(r"(/[\w.-]+)+", text) and not {".", ".."} & set(text.split("/"))
    return bool(plain) and not re.match(_NOT_MOUNTED, text)


def services() -> Listed:
    """Names of services."""
    name = Text(app_rules.check_name, "the name of a service", {"$ref": "#/definitions/name"})
    return Listed(name, "a list of services, such as [db]")


def _number_or_text(number: JsonSchema, pattern: str) -> JsonSchema:
    return {"anyOf": [number, {"type": "string", "pattern": pattern}]}
