"""What a service name, a port and an environment variable of an app may be. Values, no I/O."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import mesh, references
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.slug import dns_label

RESERVED_NAMES = (
    *(
        "acme",
        "control-plane",
        "gateway",
        "ingress",
        "localhost",
        "network",
        "operator",
        "policies",
        "public",
    ),
)
"""Names with another meaning in the mesh, among certificates or among construct ids."""

RESERVED_PORTS = {port: mesh.MEANINGS[name] for name, port in mesh.PORTS.items()}
"""An app shares its network namespace with its sidecar and its runner."""

MAX_VARIABLE = 131_072
"""Bytes of ``NAME=value`` with the NUL at its end: Linux starts no program with a longer one
(MAX_ARG_STRLEN, 32 pages; linux/binfmts.h)."""

MAX_ENVIRONMENT = 2_097_152 - 131_072
"""Bytes of all variables, each with a pointer to it: a quarter of the usual stack of 8 MiB
(execve(2), "Limits on size of arguments and environment"), less what is left for the arguments and
for the variables of the image."""

_POINTER = 8

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label (RFC 1123), lower case."""


def check_name(name: str) -> str:
    """Return `name` if it can be a service name.

    Raises:
        ConfigError: not a DNS label, reserved, or a number (resolvers take ``127`` and ``0x7f``
            for addresses and never ask DNS).
    """
    number = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name)
    if NAME.fullmatch(name) and not number and name not in RESERVED_NAMES:
        return name
    meant = dns_label(name)
    raise ConfigError(
        "this service name is reserved" if name in RESERVED_NAMES else "bad service name",
        found=repr(name),
        expected="a DNS label: 1 to 63 of a-z, 0-9 and '-', not '-' at an end, not a number;"
        " not " + ", ".join(RESERVED_NAMES),
        next_step=f"write name: {meant}" if meant not in {name, ""} else "choose another `name:`",
    )


def check_port(text: str) -> int:
    """A port number.

    Raises:
        ConfigError: not 1 to 65535, or taken by the sidecar or the runner.
    """
    port = int(text) if re.fullmatch(r"[1-9][0-9]{0,4}", text) else 0
    if not 1 <= port <= 65535:
        raise ConfigError(
            "bad port",
            found=repr(text),
            expected="a number from 1 to 65535",
            next_step="write the port that the program listens on, such as port: 8080",
        )
    if port in RESERVED_PORTS:
        raise ConfigError(
            "this port is reserved for the sidecar",
            found=f"{port}: {RESERVED_PORTS[port]}",
            expected="none of " + ", ".join(map(str, RESERVED_PORTS)),
            next_step="let the program listen on another port, and write that one",
        )
    return port


def check_env_name(name: str) -> str:
    """The name of an environment variable.

    Raises:
        ConfigError: not an identifier, or one that the runtime sets itself.
    """
    if name == "PORT" or name.startswith("IAC_"):
        raise ConfigError(
            "this variable is set for every app and cannot be changed",
            found=name,
            expected="any name but PORT and IAC_…",
            next_step=(
                "write `port:` to change the port" if name == "PORT" else "give it another name"
            ),
        )
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ConfigError(
            "bad variable name",
            found=repr(name),
            expected="letters, digits and '_', no digit first",
            next_step=f"write {_identifier(name)}: …" if _identifier(name) else "rename it",
        )
    return name


def _identifier(name: str) -> str:
    """What `name` may have meant; empty if nothing of it is left."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_").lstrip("0123456789")


def check_env_value(name: str, value: str) -> str:
    """The value of an environment variable, with references ``${NAME}`` to the deploy's own.

    Raises:
        ConfigError: a ``${`` that is no reference, a NUL, too long, or what looks like a
            credential. The text of the error never holds the value.
    """
    if "\0" in value:
        raise ConfigError(
            f"bad value of {name}",
            found="a NUL character",
            expected="text",
            next_step="encode what is binary, as base64 for instance",
        )
    check_env_size(name, value)
    if references.is_bad(value):
        raise ConfigError(
            f"bad value of {name}",
            found="'${' without the name of a variable and '}' after it",
            expected="${NAME}, alone or within other text; $${ for a literal ${",
            next_step="correct it, or write $${ if the program is to get ${",
        )
    if Redactor()(value) != value:
        raise ConfigError(
            f"the value of {name} looks like a key, token or password",
            found="a secret in a file that is meant to be committed",
            expected="${NAME}: the value is then taken from the environment of the deploy",
            next_step=f"write {name}: ${{{name}}}, or ${{…}} for its secret part, and set that"
            " in .env or the environment",
        )
    return value


def check_env_size(name: str, value: str) -> None:
    """Refuse a variable that Linux would start no program with; raises ConfigError."""
    size = _size(name, value)
    if size > MAX_VARIABLE:
        raise ConfigError(
            f"the value of {name} is too long for an environment variable",
            found=f"{size} bytes, with the name",
            expected=f"at most {MAX_VARIABLE}, the limit of Linux for one variable",
            next_step=_ELSEWHERE,
        )


def check_env_total(env: Mapping[str, str]) -> None:
    """Refuse variables that are too many for one program; raises ConfigError."""
    sizes = {name: _size(name, value) for name, value in env.items()}
    total = sum(sizes.values()) + _POINTER * len(env)
    if total > MAX_ENVIRONMENT:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        raise ConfigError(
            "the variables of `env:` are too long together",
            found=f"{total} bytes; the longest: "
            + ", ".join(f"{name} ({sizes[name]})" for name in largest),
            expected=f"at most {MAX_ENVIRONMENT}, what Linux hands to a program",
            next_step=_ELSEWHERE,
        )


_ELSEWHERE = "keep it in a file of the repository, or let the program fetch it when it starts"


def _size(name: str, value: str) -> int:
    return len(os.fsencode(f"{name}={value}")) + 1
