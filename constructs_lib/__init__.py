"""Constructs for a cdktf app: services with an Envoy each, and the mesh that they are in.

`Mesh`, `AppWithEnvoy` and `AppWithEnvoyProps` are for everybody's apps (docs/own-cdktf-app.md).
They are loaded on first use, because importing cdktf starts Node.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from constructs_lib.app_with_envoy import AppWithEnvoy, AppWithEnvoyProps
    from constructs_lib.mesh import Mesh

__all__ = ["AppWithEnvoy", "AppWithEnvoyProps", "Mesh"]

_HOMES = {
    "AppWithEnvoy": "constructs_lib.app_with_envoy",
    "AppWithEnvoyProps": "constructs_lib.app_with_envoy",
    "Mesh": "constructs_lib.mesh",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from constructs_lib import app_process  # noqa: PLC0415 - only a cdktf app needs it

    app_process.begin()
    return getattr(import_module(_HOMES[name]), name)
