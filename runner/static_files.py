"""What a Django program needs here: an answer for who calls it by name, and its static files.

A `.pth` file of the app's virtual environment starts it in every Python of the image; it waits for
Django to be imported. Only the standard library, and nothing that fails where Django is another.
"""

# ruff: noqa: PLC0415 - the program must not pay time and memory for what it may not need

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys

TYPE_CHECKING = False  # the constant that type checkers know, without the cost of typing
if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any

HANDLERS = "django.core.handlers.base"
"""Where Django makes its chain of middleware, once its settings are known."""

MIDDLEWARE = "whitenoise.middleware.WhiteNoiseMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
"""WhiteNoise belongs right behind it, says its documentation, and before everything else."""


def begin(*, static_files: bool = True) -> None:
    """Wait for Django; `static_files`: nothing of the project's own serves them."""
    sys.meta_path.insert(0, _Wait(static_files=static_files))


class _Wait(importlib.abc.MetaPathFinder):
    """Finds one module, as the others would, and changes it once it is loaded."""

    def __init__(self, *, static_files: bool) -> None:
        self.static_files = static_files

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if name != HANDLERS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def load(module: types.ModuleType) -> None:
                execute(module)
                _wrap(module, static_files=self.static_files)

            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


def _wrap(handlers: types.ModuleType, *, static_files: bool) -> None:
    """Change the settings before the chain of middleware is made from them."""
    load = handlers.BaseHandler.load_middleware

    def load_middleware(self: Any, *arguments: Any, **named: Any) -> Any:
        from django.conf import settings  # type: ignore[import-not-found]

        with_own_name(settings, os.environ.get("IAC_SERVICE", ""))
        if static_files:
            with_static_files(settings)
        return load(self, *arguments, **named)

    handlers.BaseHandler.load_middleware = load_middleware


def with_own_name(settings: Any, name: str) -> None:
    """Let Django answer who calls it by the name of its service, and at ``name.localhost``.

    Nobody outside of this machine can reach it by either, so the check of other hosts stays what
    it was.
    """
    hosts = list(settings.ALLOWED_HOSTS or ())
    if not name or "*" in hosts:
        return
    if settings.DEBUG and not hosts:  # what Django itself allows then
        hosts = [".localhost", "127.0.0.1", "[::1]"]
    settings.ALLOWED_HOSTS = [*hosts, name, f"{name}.localhost"]


def with_static_files(settings: Any) -> None:
    """Add WhiteNoise to Django's settings, unless they have it or serve nothing from here."""
    chain = list(settings.MIDDLEWARE or ())
    is_here = str(settings.STATIC_URL or "").startswith("/")
    has_apps = "django.contrib.staticfiles" in settings.INSTALLED_APPS
    if not (is_here and has_apps) or any("whitenoise" in name.lower() for name in chain):
        return
    chain.insert(chain.index(SECURITY) + 1 if SECURITY in chain else 0, MIDDLEWARE)
    settings.MIDDLEWARE = chain
    if not hasattr(settings, "WHITENOISE_USE_FINDERS"):
        # Also what was not collected: the files as they lie in the apps.
        settings.WHITENOISE_USE_FINDERS = True
