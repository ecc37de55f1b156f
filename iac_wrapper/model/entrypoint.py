"""What to run in a checkout, why, and what else was considered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from iac_wrapper.model.options import Run

EntrypointKind = Literal["module", "script", "binary", "command", "shell", "image"]

EntrypointSource = Literal["repository", "repos-file", "environment"]
"""Who chose it: the repository (detected there, in its Procfile or in a label of its Dockerfile),
``entrypoint:`` in repos.yaml, or ENTRYPOINT in the environment of the deploy."""


@dataclass(frozen=True)
class Entrypoint:
    """The program of a service.

    kind ``module``: `target` is a dotted module, run like ``python -m`` (or, with `function`,
    imported and called); ``script``: `target` is a path relative to /app, run like
    ``python path`` (with `function`: run, then that function is called); ``binary``: `target` is
    an absolute path in the image, executed as it is; ``command``: `target` is a program on PATH,
    the app's own environment first; ``shell``: `target` is a line for ``sh -c``;
    ``image``: `target` is the ENTRYPOINT of an image that is not ours and `args` its CMD, or what
    takes the place of either.

    `source` says who chose it, `reason` the same and more as a sentence fragment that is only shown
    (``entrypoint: in repos.yaml``); `rejected` lists the losing candidates, each with its reason,
    best first. `args` are the program's arguments, in
    which ``$PORT`` stands for the app's port.

    `run` is what the program is for, by what was chosen; None if that does not tell.
    `web_object` is what `entrypoint:` would have to say (``module:object``) to serve a web
    application that lies beside a program which may not serve. `command` is the command line that a
    person wrote for it, None if it was named in another way.
    `variables` is environment that its framework needs, in which ``$PORT`` stands for the app's
    port as well, and `writable` are folders of the image that it writes to; `supplied` is the
    server that the runtime image brings because the requirements name none (``gunicorn``,
    ``uvicorn``).
    """

    kind: EntrypointKind
    target: str
    function: str | None
    reason: str
    rejected: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    run: Run | None = None
    web_object: str | None = None
    source: EntrypointSource = "repository"
    command: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    writable: tuple[str, ...] = ()
    supplied: str | None = None

    @property
    def display(self) -> str:
        """``pkg.mod:main``, ``main.py``, ``/app/main``, ``gunicorn app:app`` or a shell's line."""
        name = f"{self.target}:{self.function}" if self.function else self.target
        return " ".join((name, *self.args)).strip()

    def environment(self, port: int) -> dict[str, str]:
        """Its `variables`, ``$PORT`` replaced by `port`."""
        return {name: value.replace("$PORT", str(port)) for name, value in self.variables}

    def argv(self, port: int) -> tuple[str, ...]:
        """The words that start the program inside its image, ``$PORT`` replaced by `port`."""
        args = tuple(arg.replace("$PORT", str(port)) for arg in self.args)
        if self.kind == "shell":  # it fills in $PORT itself
            return ("/bin/sh", "-c", self.target)
        if self.kind == "binary":
            return (self.target, *args)
        function = (self.function,) if self.function else ()
        rest = ("--", *args) if args else ()
        launcher = ("/venv/bin/python", "/opt/iac/launch.py")
        kind = "supplied" if self.supplied else self.kind
        return (*launcher, kind, self.target, *function, *rest)


_FIRST_SCRIPT = "{} {} is the first script in {}"


def first_script(table: str, name: str, file: str) -> str:
    """The `reason` of what the first entry of a table of commands names."""
    return _FIRST_SCRIPT.format(table, name, file)


def script_of(entrypoint: Entrypoint) -> str:
    """The command that `first_script` was said of, which the lock has in no other place; empty:
    it is none."""
    match = re.fullmatch(_FIRST_SCRIPT.format(r"\S+", r"(\S+)", r"\S+"), entrypoint.reason)
    return match[1] if match else ""
