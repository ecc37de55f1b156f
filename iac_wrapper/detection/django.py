"""Django projects: ``manage.py`` at the root names the settings; the objects lie beside those."""

from __future__ import annotations

import re

from iac_wrapper.detection.candidate import Candidate, module_name, serve
from iac_wrapper.detection.project import MANAGE, Project
from iac_wrapper.detection.web_objects import Kind, WebApp
from iac_wrapper.detection.web_server import declared_server
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.python_project import inside, read_text

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*[,\]]\s*=?\s*["']([\w.]+)["']""")


def candidate(project: Project) -> Candidate | None:
    """The project's application behind a declared server, else Django's own development server."""
    match = _SETTINGS.search(read_text(project.root, MANAGE) or "")
    if match is None:
        return None
    package = match[1].split(".")[0]
    return _served(project, package) or _development(match[1])


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


def note(chosen: Entrypoint) -> str | None:
    """What to say of a program that is Django's development server."""
    if chosen.target == MANAGE and chosen.args[:1] == ("runserver",):
        return (
            "no WSGI server in the requirements: runs Django's development server; "
            "add gunicorn for one that is made for use"
        )
    return None
