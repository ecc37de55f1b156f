"""The keys of an entry of repos.yaml, in their order, and what a mapping of them must agree on.

`Options` declares the keys that say how a service runs; those that say what it is are here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from iac_wrapper.model import (
    app_rules,
    command_words,
    image_reference,
    options,
    processes,
    slug,
    slug_pattern,
    tcp,
    volumes,
)
from iac_wrapper.model.key import ByName, ByProcess, Key, Text
from iac_wrapper.model.slug import MAX_LENGTH, Slug

_ENTRYPOINT = "module:function, module, path/to/script.py or a command line"

_PRINTABLE = r"^(?=.*\S)[^\x00-\x1f\x7f]+$"

_TAKEN = [form(port) for port in app_rules.RESERVED_PORTS for form in (int, str)]

NAME = {
    "type": "string",
    "maxLength": 63,
    "pattern": r"^(?![0-9]+$|0x[0-9a-f]*$)"
    rf"(?!(?:{'|'.join(app_rules.RESERVED_NAMES)})$){app_rules.NAME.pattern}$",
}
"""The JSON Schema of a service's name."""


def _variable(name: str, value: str) -> tuple[str, str]:
    value = app_rules.check_env_value(name, value)
    return app_rules.check_env_name(name), value


_DOCKERFILE = r"(?![/~])(?!(?:[^/]*/)*\.{1,2}(?:/|$))[A-Za-z0-9_./ -]*[A-Za-z0-9_-]"
"""A relative path without ``..``."""


def _dockerfile(text: str) -> str | None:
    if not re.fullmatch(_DOCKERFILE, text):
        return None
    return "Dockerfile" if text == "dockerfile" else text


def _entrypoint(text: str) -> str | None:
    return text if text.strip() and text.isprintable() else None


SLUG = Key(
    "slug",
    Text(
        Slug.parse,
        "a slug, such as gh:owner/repo",
        {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "pattern": slug_pattern.SLUG,
        },
    ),
    "where the source is",
    "",
    "gh:acme/orders#v1.4.2",
    no_default="a slug says which service an entry is",
)

IMAGE = Key(
    "image",
    Text(
        lambda text: Slug.parse(f"{slug.IMAGE}{text}"),
        "the name of an image, such as postgres:16",
        {
            "type": "string",
            "maxLength": image_reference.MAX_LENGTH,
            "pattern": f"^{image_reference.PATTERN}$",
        },
    ),
    "in place of `slug`: [an image](docs/images.md) of a registry or of this engine",
    "",
    "postgres:16",
    no_default="an image says what an entry is",
)

BUILD = Key(
    "build",
    Text(
        _dockerfile,
        "dockerfile, or the path of a Dockerfile in the repository",
        {"type": "string", "maxLength": MAX_LENGTH, "pattern": f"^{_DOCKERFILE}$"},
    ),
    "`dockerfile`: [build the image](docs/images.md#a-dockerfile-of-the-repository) by the"
    " repository's own Dockerfile",
    "KarstKit's own way",
    "dockerfile",
    no_default="it belongs to the repository that a slug names",
)

_WHAT_IT_IS = (
    SLUG,
    Key(
        "name",
        Text(app_rules.check_name, "lower case, digits and '-'", NAME),
        "the service's name: lower case, digits, `-`",
        "from the slug",
        "orders",
        no_default="two services cannot have one name",
    ),
    Key(
        "subdir",
        Text(
            str,
            "a folder of the repository",
            {
                "type": "string",
                "maxLength": MAX_LENGTH,
                "pattern": slug_pattern.SUBDIR,
            },
        ),
        "the folder of the repository",
        "its root",
        "services/api",
        no_default="it belongs to the repository that a slug names",
    ),
    Key(
        "entrypoint",
        Text(
            _entrypoint,
            _ENTRYPOINT,
            {
                "type": ["string", "array"],
                "pattern": _PRINTABLE,
                "minItems": 2,
                "items": {"type": "string", "pattern": r"^[^\x00-\x1f\x7f]*$"},
            },
            listed=command_words.joined,
        ),
        "what to start: a module, a file or [a command](docs/processes.md)",
        "[detected](docs/entrypoints.md)",
        "shop.server:main",
        no_default="it belongs to the code that a slug names",
    ),
    Key(
        "port",
        Text(
            app_rules.check_port,
            "a number",
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 65535},
                    {"type": "string", "pattern": f"^(?:{tcp.PORT})$"},
                ],
                "not": {"enum": _TAKEN},
            },
        ),
        "[where it listens](docs/runtime.md#its-port); makes it `web`",
        "found",
        "8080",
        only_web="a {run} answers no requests, so nobody would ask its port",
    ),
    Key(
        "env",
        ByName(
            _variable,
            "NAME: value lines",
            'a value; `{name}: ""` if empty',
            {
                "type": "object",
                "propertyNames": {"pattern": "^(?!PORT$|IAC_)[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": {
                    "type": ["string", "number", "boolean"],
                    "pattern": r"^(?:\$\$\{|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$(?!\$?\{)|[^$\x00])*$",
                },
            },
        ),
        "variables, 128 KiB each at most, not `PORT` or `IAC_…`",
        "none",
        '{LOG_LEVEL: info, KEY: "${KEY}"}',
    ),
    IMAGE,
    BUILD,
    Key(
        processes.KEY,
        ByProcess(
            "PROCESS: COMMAND lines, or a list of processes of its Procfile", processes.SCHEMA
        ),
        "[other programs](docs/processes.md) of the same image, each a service `NAME-PROCESS`",
        "none",
        '{worker: "celery -A app worker"}',
        no_default="they belong to the code that a slug names",
    ),
)

KEYS: Mapping[str, Key] = {key.name: key for key in (*_WHAT_IT_IS, *options.KEYS.values())}
"""Every key of an entry, by name."""

IDLE = ("worker", "job")
"""The values of ``run`` that answer no requests."""


SOURCES = (SLUG.name, IMAGE.name)
"""The keys that say which service an entry is; it has one of them."""

OF_OUR_IMAGE = ("dependencies", "packages")
"""The keys that say what KarstKit installs into an image that it makes."""

OF_A_FETCH = ("lfs", "submodules")
"""The keys that say what of a repository is fetched besides its files."""

OF_A_SLUG = ("subdir", BUILD.name, *OF_OUR_IMAGE, *OF_A_FETCH)
"""The keys that belong to a repository."""

OF_ONE_KIND = (
    *("entrypoint", BUILD.name, *OF_OUR_IMAGE),
    *(key.name for key in KEYS.values() if key.only_image),
)
"""The keys that say how what an entry is starts: a repository in one way, an image in another."""


def misplaced(said: Collection[str]) -> tuple[Key, str] | None:
    """The first key that means nothing for what an entry is, and why; None if all do.

    Args:
        said: the keys of an entry, or of several mappings that are merged.
    """
    if IMAGE.name in said:
        if SLUG.name in said:
            return IMAGE, "an entry has a slug or an image, not both"
        for name in OF_A_SLUG:
            if name in said:
                return KEYS[name], f"{name} belongs to a repository, and this entry is an image"
    if BUILD.name in said:
        for name in OF_OUR_IMAGE:
            if name in said:
                return KEYS[name], "a Dockerfile says itself what is installed"
    if processes.KEY in said and {IMAGE.name, BUILD.name} & set(said):
        why = "each program of such an image is an entry of its own, with `command:`"
        return KEYS[processes.KEY], why
    return None


def without_image(said: Collection[str]) -> Key | None:
    """The first key of a whole entry that has a meaning for images only, if that is none."""
    if not {IMAGE.name, BUILD.name} & set(said):
        return next((key for key in KEYS.values() if key.only_image and key.name in said), None)
    return None


class Contradiction(NamedTuple):
    """A key that has no meaning beside what another one says.

    `said` is the other one as it is written, `instead` what a person may have meant.
    """

    key: Key
    other: str
    said: str
    why: str
    instead: str = ""


def contradiction(said: Mapping[str, Any]) -> Contradiction | None:
    """The first key of `said` that means nothing beside another one, None if all do.

    A port or a page that nobody asks would look as if the verdict rested on it.
    """
    run = said.get("run")
    if run in IDLE:
        for key in KEYS.values():
            if key.only_web and said.get(key.name, key.only_web_but) != key.only_web_but:
                why = key.only_web.format(run=run)
                return Contradiction(key, "run", f"run: {run}", why, "run: web")
    if said.get("volumes") and said.get("rollout") == "beside":
        why = "a service with volumes is replaced: two versions would write to one volume"
        return Contradiction(KEYS["rollout"], "volumes", "volumes", why)
    return None


def mount_clash(said: Mapping[str, Any]) -> str | None:
    """Why the folders of `said` cannot be mounted together; None if they can."""
    return volumes.clash(said.get("volumes", {}), said.get("tmpfs", {}))
