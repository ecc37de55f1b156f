"""Every setting, once: its name, default, form and meaning. Only here is the environment read.

A setting comes from the process environment, else from `.env` in the project folder, else from
its default. `.env.example` is the table as text; a test keeps the two equal.
"""

from iac_wrapper.settings.forms import check_environment, check_project, project_like
from iac_wrapper.settings.sources import (
    can_move_cursor,
    load_settings,
    overridden,
    wants_color,
)
from iac_wrapper.settings.table import Settings

__all__ = [
    "Settings",
    "can_move_cursor",
    "check_environment",
    "check_project",
    "load_settings",
    "overridden",
    "project_like",
    "wants_color",
]
