"""Serves the static files of a Django program that has nothing to serve them with.

A `.pth` file of the app's virtual environment starts it in every Python of the image; it waits for
Django to be imported. Only the standard library, and nothing that fails where Django is another.
"""

# ruff: noqa: PLC0415 - the program must not pay time and memory for what it may not need

from __future__ import annotations

import importlib.abc
import importlib.util
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


def begin() -> None:
    """Wait for Django."""
    sys.meta_path.insert(0, _Wait())


class _Wait(importlib.abc.MetaPathFinder):
    """Finds one module, as the others would, and changes it once it is loaded."""

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
                _wrap(module)

            spec.loader.exec_module = load  # type: ignore[method-assign]
        return spec


def _wrap(handlers: types.ModuleType) -> None:
    """Let the chain of middleware begin as `with_static_files` says."""
    load = handlers.BaseHandler.load_middleware

    def load_middleware(self: Any, *arguments: Any, **named: Any) -> Any:
        from django.conf import settings  # type: ignore[import-not-found]

        with_static_files(settings)
        return load(self, *arguments, **named)

    handlers.BaseHandler.load_middleware = load_middleware


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
