"""Django projects: ``manage.py`` names the settings, and those the application to serve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection.candidate import Candidate, served
from iac_wrapper.program.detection.own_files import module_name
from iac_wrapper.program.detection.project import MANAGE, Project
from iac_wrapper.program.detection.web_objects import Kind, WebApp
from iac_wrapper.program.detection.web_server import declared_server
from iac_wrapper.program.python_project import PYPROJECT, REQUIREMENTS, inside, read_text

SERVED_BY_US = (
    "static files are served by WhiteNoise, which is supplied: the requirements name nothing for it"
)
"""What to say of a project whose static files nothing would serve."""

OWN_NAME_ALLOWED = (
    "the service's name is added to ALLOWED_HOSTS of Django, so that who calls it gets an answer"
)
"""What to say of a project that may refuse everybody else."""

_ANY_HOST = re.compile(rb"^\s*ALLOWED_HOSTS\s*=\s*[\[(]\s*[\"']\*[\"']", re.M)
_APP = re.compile(rb"django\.contrib\.staticfiles")
_ROOT = re.compile(rb"^\s*STATIC_ROOT\b", re.M)
_IN_SETTINGS = re.compile(rb"^\s*[AW]SGI_APPLICATION\s*=", re.M)

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*[,\]]\s*=?\s*["']([\w.]+)["']""")
_FROM_FOLDER = {"gunicorn": "--chdir", "uvicorn": "--app-dir", "granian": "--working-dir"}
"""The option by which a server imports from another folder."""

_FACTORY: dict[Kind, str] = {"wsgi": "get_wsgi_application", "asgi": "get_asgi_application"}


@dataclass(frozen=True)
class Site:
    """A Django project: `folder` is where its manage.py lies and its imports start, empty for the
    root; `settings` the dotted module, None where manage.py does not spell it out."""

    folder: str
    settings: str | None

    def path(self, relative: str) -> str:
        """A path of the project, relative to the checkout."""
        return f"{self.folder}/{relative}" if self.folder else relative


def candidate(project: Project) -> Candidate | None:
    """`program` as a candidate."""
    found = program(project)
    return Candidate(MANAGE, found, found.reason, write=MANAGE) if found else None


def program(project: Project) -> Entrypoint | None:
    """The project's application behind a declared server or a supplied one; None if there is no
    Django project."""
    site = _site(project)
    if site is None:
        return None
    kinds: list[Kind] = ["wsgi", "asgi"]
    if project.declared & {"channels", "daphne"}:
        kinds.reverse()
    found = [each for kind in kinds if (each := _object(project, site, kind))]
    if not found:
        return _without_object(project, site)
    declared = (each for each in found if declared_server(each[0], project.declared))
    app, module, relative = next(declared, found[0])
    chosen = served(project, app, module, relative)
    if not site.folder:
        return chosen
    option = _FROM_FOLDER.get(chosen.target)
    if option is None:
        return None
    reason = f"{chosen.reason}, in the one folder with a {MANAGE}"
    return replace(chosen, args=(*chosen.args, option, site.folder), reason=reason)


def _without_object(project: Project, site: Site) -> Entrypoint | None:
    """What Django itself makes, for a project whose author left the usual file out."""
    if site.folder or site.settings is None:
        return None
    app = WebApp("wsgi", _FACTORY["wsgi"], factory=True)
    chosen = served(project, app, "django.core.wsgi", f"{MANAGE} names {site.settings};")
    return replace(chosen, variables=(("DJANGO_SETTINGS_MODULE", site.settings),))


def _object(project: Project, site: Site, kind: Kind) -> tuple[WebApp, str, str] | None:
    """The application of that kind, its module and its file: what the settings say, else what lies
    beside them, else the only one there is."""
    for dotted in (*_said(project, site, kind), *_beside(site, kind)):
        module, _, name = dotted.rpartition(".")
        for end in (".py", "/__init__.py"):
            relative = site.path(module.replace(".", "/") + end)
            if module and inside(project.root, relative):
                return WebApp(kind, name), module, relative
    made_here = re.compile(_FACTORY[kind].encode())
    files = [path for path in _files(project, site, made_here) if path.endswith(f"{kind}.py")]
    if len(files) == 1:
        return WebApp(kind, "application"), module_name(_within(files[0], site)), files[0]
    return None


def _said(project: Project, site: Site, kind: Kind) -> Iterator[str]:
    """``shop.wsgi.application``, as the settings say it; those that manage.py names come first."""
    line = re.compile(rf"""^\s*{kind.upper()}_APPLICATION\s*=\s*["']([\w.]+)["']""", re.M)
    own = (site.settings or "").replace(".", "/")
    files = _files(project, site, _IN_SETTINGS)
    folder = str(PurePosixPath(own).parent)
    for relative in sorted(files, key=lambda path: _farness(_within(path, site), own, folder)):
        if match := line.search(read_text(project.root, relative) or ""):
            yield match[1]


def _farness(relative: str, own: str, folder: str) -> int:
    """0 for the settings themselves, 1 for what lies beside or below them, 2 for others."""
    if relative in (f"{own}.py", f"{own}/__init__.py"):
        return 0
    return 1 if relative.startswith((f"{folder}/", f"{own}/")) else 2


def _beside(site: Site, kind: Kind) -> Iterator[str]:
    """The usual places: beside the settings, or beside the package that they are."""
    parts = (site.settings or "").split(".")
    for length in range(len(parts) - 1, 0, -1):
        yield f"{'.'.join(parts[:length])}.{kind}.application"


def _files(project: Project, site: Site, words: re.Pattern[bytes]) -> list[str]:
    """Python files of the project that hold one of `words`, relative to the checkout."""
    if not site.folder:
        return project.files_with(words)
    below = Project(project.root / site.folder).files_with(words)
    return [site.path(relative) for relative in below]


def _within(relative: str, site: Site) -> str:
    return relative.removeprefix(f"{site.folder}/") if site.folder else relative


@dataclass(frozen=True)
class StaticFiles:
    """Static files of a project.

    `are_collected`: its settings name a folder for ``manage.py collectstatic``; `are_served`: the
    project names nothing to serve them with, so it is supplied; `folder` is that of its manage.py.
    """

    are_collected: bool
    are_served: bool = True
    folder: str = ""


def is_site(project: Project) -> bool:
    """Whether this is a Django project."""
    return "django" in project.declared and _site(project) is not None


def folder(project: Project) -> str:
    """That of its manage.py with a slash, empty for the root."""
    site = _site(project)
    return f"{site.folder}/" if site and site.folder else ""


def allows_any_host(project: Project) -> bool:
    """Whether its settings let every caller in, whatever the host is called."""
    return bool(project.files_with(_ANY_HOST))


def static_files(project: Project) -> StaticFiles | None:
    """None if this is no Django project with static files, or there is nothing to do for them."""
    declared = project.declared
    site = _site(project) if "django" in declared else None
    if site is None or not _files(project, site, _APP):
        return None
    found = StaticFiles(
        are_collected=bool(_files(project, site, _ROOT)),
        are_served="whitenoise" not in declared,
        folder=site.folder,
    )
    return found if found.are_collected or found.are_served else None


def missing_settings(project: Project, chosen: Entrypoint) -> tuple[str, ...]:
    """A sentence if manage.py, or the file that is served, names settings that the checkout does
    not have: everybody is to make their own, or the repository was renamed."""
    site = _site(project) if "django" in project.declared else None
    file, dotted = MANAGE, (site and site.settings) or ""
    like = _missing_beside(project, site, dotted) if site else None
    if like is None:
        file, dotted = _named_by_served(project, chosen)
        if not dotted or not _is_nowhere(project, dotted):
            return ()
    package, _, name = dotted.partition(".")
    if inside(project.root, f"{name.replace('.', '/')}.py"):
        return (
            f"{file} names the settings {dotted}, and the repository is the package {package}"
            f" itself: move its files into a folder {package}/, from where Django can import it",
        )
    return (
        f"{file} names the settings {dotted}, which the repository does not have{like or ''}:"
        " add them, or name others by `env: {DJANGO_SETTINGS_MODULE: …}` in its entry",
    )


def _missing_beside(project: Project, site: Site, dotted: str) -> str | None:
    """What lies beside settings that are not in their package, empty: nothing like them; None if
    they are there, or there is no such package."""
    package, _, name = dotted.rpartition(".")
    folder = project.root / site.path(package.replace(".", "/"))
    if not package or not folder.is_dir() or inside(folder, f"{name}.py"):
        return None
    if (folder / name).is_dir():
        return None
    others = sorted(path.name for path in folder.glob(f"*{name}*") if path.is_file())
    return f" ({others[0]} lies beside them)" if others else ""


def _named_by_served(project: Project, chosen: Entrypoint) -> tuple[str, str]:
    """The file of the object that a server is to serve, and the settings that it names."""
    for arg in chosen.args:
        relative, rest = project.own.module_file(arg.partition(":")[0].split("."), "")
        if relative and not rest and (text := read_text(project.root, relative)):
            match = _SETTINGS.search(text)
            return relative, match[1] if match else ""
    return "", ""


def _is_nowhere(project: Project, dotted: str) -> bool:
    """Whether neither the checkout nor what it requires can have a module of that name."""
    top = dotted.partition(".")[0]
    if project.declared & {top.lower(), top.lower().replace("_", "-")}:
        return False
    path = dotted.replace(".", "/")
    ways = (f"{folders}{path}{end}" for folders in ("", "*/", "*/*/") for end in ("", ".py"))
    return not any(True for way in ways for _ in project.root.glob(way))


def _site(project: Project) -> Site | None:
    """The project at the root, else in the one folder that has one and states no requirements of
    its own."""
    if text := read_text(project.root, MANAGE):
        return _read(text, "")
    folders = sorted(path.parent.name for path in project.root.glob(f"*/{MANAGE}"))
    if len(folders) != 1 or "django" not in project.declared:
        return None
    (folder,) = folders
    if any(inside(project.root, f"{folder}/{name}") for name in (REQUIREMENTS, PYPROJECT)):
        return None
    return _read(read_text(project.root, f"{folder}/{MANAGE}") or "", folder)


def _read(text: str, folder: str) -> Site | None:
    match = _SETTINGS.search(text)
    if match is None and "execute_from_command_line" not in text:
        return None
    return Site(folder, match[1] if match else None)
