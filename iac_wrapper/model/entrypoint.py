"""What to run in a checkout, why, and what else was considered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EntrypointKind = Literal["module", "script", "binary"]


@dataclass(frozen=True)
class Entrypoint:
    """The program of a service.

    kind ``module``: `target` is a dotted module, run like ``python -m`` (or, with `function`,
    imported and called); ``script``: `target` is a path relative to /app, run like
    ``python path`` (with `function`: run, then that function is called); ``binary``: `target` is
    an absolute path in the image, executed as it is.

    `reason` is one human sentence fragment (``entrypoint: in repos.yaml``); `rejected` lists the
    losing candidates, each with its reason, best first. `args` are the program's arguments, in
    which ``$PORT`` stands for the app's port; only web servers that detection picks have any.
    """

    kind: EntrypointKind
    target: str
    function: str | None
    reason: str
    rejected: tuple[str, ...] = ()
    args: tuple[str, ...] = ()

    @property
    def display(self) -> str:
        """``pkg.mod:main``, ``main.py``, ``/app/main`` or ``gunicorn app:app``."""
        name = f"{self.target}:{self.function}" if self.function else self.target
        return " ".join((name, *self.args))
