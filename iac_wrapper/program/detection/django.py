"""Django projects: ``manage.py`` at the root names the settings; the objects lie beside those."""

from __future__ import annotations

import re
from dataclasses import dataclass

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.candidate import Candidate, module_name, serve
from iac_wrapper.program.detection.project import MANAGE, Project
from iac_wrapper.program.detection.web_objects import Kind, WebApp
from iac_wrapper.program.detection.web_server import declared_server
from iac_wrapper.program.python_project import inside, read_text

NO_SERVER = (
    "no WSGI server in the requirements: runs Django's development server; "
    "add gunicorn for one that is made for use"
)
"""What to say where the development server runs for want of another."""

SERVED_BY_US = (
    "static files are served by WhiteNoise, which is supplied: the requirements name nothing for it"
)
"""What to say of a project whose static files nothing would serve."""

_APP = re.compile(rb"django\.contrib\.staticfiles")
_ROOT = re.compile(rb"^\s*STATIC_ROOT\b", re.M)

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*[,\]]\s*=?\s*["']([\w.]+)["']""")


def candidate(project: Project) -> Candidate | None:
    """The project's application behind a declared server, else Django's own development server."""
    settings = _settings(project)
    if settings is None:
        return None
    return _served(project, settings.split(".")[0]) or _development(settings)


def development(project: Project) -> Entrypoint | None:
    """Django's own development server; None if the checkout is no Django project."""
    settings = _settings(project)
    return _development(settings).entrypoint if settings else None


@dataclass(frozen=True)
class StaticFiles:
    """Static files of a project that names nothing to serve them with.

    `are_collected`: its settings name a folder for ``manage.py collectstatic``.
    """

    are_collected: bool


def static_files(project: Project) -> StaticFiles | None:
    """None if this is no Django project with static files, or it has WhiteNoise itself."""
    declared = project.declared
    if "django" not in declared or "whitenoise" in declared or _settings(project) is None:
        return None
    if not project.files_with(_APP):
        return None
    return StaticFiles(bool(project.files_with(_ROOT)))


def _settings(project: Project) -> str | None:
    match = _SETTINGS.search(read_text(project.root, MANAGE) or "")
    return match[1] if match else None


def _served(project: Project, package: str) -> Candidate | None:
    kinds: list[Kind] = ["wsgi", "asgi"]
    if "channels" in project.declared:
        kinds.reverse()
    for kind in kinds:
        app = WebApp(kind, "application")
        relative = f"{package}/{kind}.py"
        if inside(project.root, relative) and declared_server(app, project.declared):
            return serve(project, app, module_name(relative), relative)
    return None


def _development(settings: str) -> Candidate:
    reason = f"{MANAGE} runs Django with {settings}"
    args = ("runserver", "0.0.0.0:$PORT", "--noreload")
    entrypoint = Entrypoint("script", MANAGE, None, reason, (), args, "web")
    return Candidate(MANAGE, entrypoint, reason, write=MANAGE)
