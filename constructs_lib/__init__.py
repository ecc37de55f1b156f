"""Constructs for a cdktf app: services with an Envoy each, and the mesh that they are in.

What `__all__` names is for everybody's apps (docs/own-cdktf-app.md). Its members are loaded on
first use, because importing cdktf starts Node.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from constructs_lib.app_with_envoy import AppWithEnvoy, AppWithEnvoyProps
    from constructs_lib.mesh import Mesh
    from constructs_lib.mesh_props import project_name

__all__ = ["AppWithEnvoy", "AppWithEnvoyProps", "Mesh", "project_name"]

_HOMES = {
    "AppWithEnvoy": "constructs_lib.app_with_envoy",
    "AppWithEnvoyProps": "constructs_lib.app_with_envoy",
    "Mesh": "constructs_lib.mesh",
    "project_name": "constructs_lib.mesh_props",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from constructs_lib import app_process  # noqa: PLC0415 - only a cdktf app needs it

    app_process.begin()
    return getattr(import_module(_HOMES[name]), name)
