"""Renders the Dockerfile of one app: values in, text out.

It must not know cdktf, the disk, or how an entrypoint or dependencies were found.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.django import StaticFiles
from iac_wrapper.program.setuptools_seed import SEED, SetuptoolsSeed
from iac_wrapper.program.system_packages import SystemPackages
from provider.labels import KEY_LABEL

_UV = """\
UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 \\
    PYC_INVALIDATION_MODE=UNCHECKED_HASH PYTHONHASHSEED=0 \\
    UV_PYTHON=/venv/bin/python UV_PROJECT_ENVIRONMENT=/venv /opt/iac/bin/uv"""
"""uv on the app's environment only: it never downloads a Python, nor heeds .python-version."""


APT = Path(__file__).with_name("templates") / "apt.sh"
"""What steps that install Debian packages run; it lies beside the Dockerfile."""


@dataclass(frozen=True)
class DockerfileProps:
    """What goes into the text.

    `runtime_image` is a Docker reference; `port` the TCP port of user code; `key` the hash in the
    image's tag. `early` and `late` are uv arguments before and after the source is copied; `early`
    sees only `files`, and `written`, which the context has in deps/. With `around` the context has
    in beside/ what the installation needs besides the app: `files` are there, `around` is the
    app's folder in it, and `early` runs in `early_folder` of it. Without
    `python` there is no virtual environment at all. `requires` is a version range that the base's
    Python is held against. `variables` and `pkg_info` tell the `late` step the version
    (`VcsVersion`). `seed` is what setuptools is missed for. `django`: its program is one of
    Django; `static_files` are those that are collected or served by us; `links` are files at the
    root that the program writes. `labels` are added as they are. `compiled` says that the source
    comes with its bytecode. `system` are Debian packages; `git` says that the context has
    repositories in ``git/``.
    """

    runtime_image: str
    entrypoint: Entrypoint
    port: int
    python: bool
    key: str = ""
    reason: str = ""
    files: Sequence[str] = ()
    early: Sequence[str] = ()
    late: Sequence[str] = ()
    written: Sequence[str] = ()
    around: str = ""
    early_folder: str = ""
    requires: str = ""
    variables: Sequence[tuple[str, str]] = ()
    pkg_info: str = ""
    seed: SetuptoolsSeed | None = None
    django: bool = False
    static_files: StaticFiles | None = None
    links: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    system: SystemPackages = field(default_factory=SystemPackages)
    git: bool = False
    compiled: bool = False


def render(props: DockerfileProps) -> str:
    """The Dockerfile's text; equal props give equal text."""
    command = ["--", *props.entrypoint.argv(props.port)]
    # One line: a file's name in it must not become an instruction.
    reason = " ".join(props.reason.split())
    facts = {
        **vars(props),
        "reason": reason,
        "key_label": KEY_LABEL,
        "seed_requirement": SEED,
    }
    text = _template().render(**facts, command=command, uv=_uv, cache=_cache(props))
    return text.rstrip() + "\n"


def _cache(props: DockerfileProps) -> str:
    """The name of uv's cache. It keeps what was compiled: that may only be used again where the
    same libraries are, and never where nothing is compiled."""
    if not props.system.compiles:
        return "iac-uv"
    compiled_with = " ".join((props.runtime_image, *props.system.build))
    return f"iac-uv-{hashlib.sha256(compiled_with.encode()).hexdigest()[:12]}"


def _uv(arguments: Sequence[str]) -> str:
    return " ".join((_UV, *map(shlex.quote, arguments)))


def _quoted(value: str) -> str:
    """A label's value in double quotes; the Dockerfile expands variables inside them."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - a Dockerfile, not HTML; values are quoted by filters
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(json=json.dumps, quoted=_quoted, shell=shlex.quote)
    return environment.get_template("Dockerfile.j2")
