"""From a request to an `Intent`, within what its caller may name.

Callers over the network must not read the server's files, keys or variables through a deploy: their
local paths stay below IAC_ADMIN_PATHS, their ``${NAME}`` within IAC_ADMIN_ENV. Owners (see `Actor`)
may read all of that anyway. Checked in the request, and again by the worker: a link may have
changed in between.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from admin.jobs.job import JobRequest
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_files, repos_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.base_url import is_loopback
from iac_wrapper.model.intent import Intent
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations.intent import from_deployed
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import Settings, check_project

_SECRET_SETTINGS = {name for name, setting in Settings.by_name.items() if setting.secret}
_PLAIN_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_LOCALLY = "deploy it on the machine itself"


def check(request: JobRequest, settings: Settings, root: Path) -> None:
    """Refuse a request that makes no sense, or that its caller may not make.

    Whether `services` are deployed is not looked at: a queued request may follow the deploy that
    brings them.

    Raises:
        ConfigError: `where` points into the request, such as ``/apps/1``.
    """
    for spec in _specs(request, settings, root):
        _check_there(spec, root)


def intent(workspace: Workspace, request: JobRequest) -> Intent:
    """What a deploy or plan of `request` is about. Call it with the project held.

    Raises:
        ConfigError: as `check`, or `services` names what is not deployed.
    """
    specs = _specs(request, workspace.settings, workspace.layout.root)
    if request.services:
        return from_deployed(
            workspace, request.services, locked=request.locked, offline=request.offline
        )
    return Intent(
        specs=tuple(specs),
        lock_path=workspace.directory / "slugs.lock.json",
        additive=not request.prune,
        locked=request.locked,
        offline=request.offline,
        prune=request.prune,
    )


def _specs(request: JobRequest, settings: Settings, root: Path) -> list[AppSpec]:
    check_project(request.project, where="/project")
    _check_one_way(request)
    specs: list[AppSpec] = []
    if request.slugs:
        specs = repos_file.from_entries(request.slugs, at="/slugs", base_dir=root)
    elif request.apps:
        specs = repos_file.from_entries(request.apps, base_dir=root)
    if not request.owner:
        for spec in specs:
            _check_source(spec, settings, root)
            _check_certificates(spec, settings, root)
            _check_environment(spec, settings)
    return specs


def _check_one_way(request: JobRequest) -> None:
    given = [name for name in ("slugs", "apps", "services") if getattr(request, name)]
    if request.kind == "destroy":
        wrong, expected = bool(given), "only the project: destroy removes all of it"
    elif request.kind == "remove":
        wrong, expected = given != ["services"], "services"
    elif request.kind == "rollback":
        wrong, expected = given not in ([], ["services"]), "services, or none of them for all"
    else:
        wrong, expected = len(given) != 1, "one of slugs, apps, services"
    if wrong:
        found = ", ".join(given) or "none of them"
        raise ConfigError(
            "unclear what to deploy",
            where="/",
            found=found,
            expected=expected,
            next_step="send the request with only these members",
        )
    if request.prune and request.services:
        raise ConfigError(
            "prune needs the complete list of the services to keep",
            where="/prune",
            found="services",
            expected="slugs or apps",
            next_step="send all services to keep as slugs or apps, or leave prune out",
        )


def _check_source(spec: AppSpec, settings: Settings, root: Path) -> None:
    """A path or repository on this machine must lie in a folder that was opened for callers."""
    slug = spec.slug
    if slug.kind == "image":
        raise _refused(
            slug,
            spec.where,
            "an image could be one of this machine, or be got with its credentials",
            "a repository, also one with a Dockerfile: `build: dockerfile`",
        )
    if slug.kind == "path":
        _check_below(spec, [_path(slug, root)], settings.admin_paths, root)
    elif slug.kind == "git":
        parts = urlsplit(slug.location)
        if parts.scheme == "file":
            # Git decodes the path; should it once not, the other reading is closed as well.
            locations = [Path(unquote(parts.path)), Path(parts.path)]
            _check_below(spec, locations, settings.admin_paths, root)
        elif parts.scheme == "ssh":
            raise _refused(
                slug, spec.where, "git+ssh:// would use this machine's own keys", "git+https://…"
            )
        elif parts.scheme == "http" or _is_this_machine(parts.hostname or ""):
            raise _refused(
                slug,
                spec.where,
                "this is the address of a server on this machine itself",
                "another host, in plain letters and digits",
            )


def _check_certificates(spec: AppSpec, settings: Settings, root: Path) -> None:
    """A key of this machine that is named here would be served to the world."""
    named = [file for one in spec.options.expose for file in (one.cert, one.key) if file]
    if named:
        locations = [root / Path(file).expanduser() for file in named]
        _check_below(spec, locations, settings.admin_paths, root)


def _path(slug: Slug, root: Path) -> Path:
    return root / Path(slug.location).expanduser()


def _check_there(spec: AppSpec, root: Path) -> None:
    """A typing error should be the answer, not the end of a deployment that was accepted."""
    if spec.slug.kind == "path" and not _is_directory(_path(spec.slug, root)):
        raise ConfigError(
            "no such directory on the server",
            where=spec.where,
            found=spec.slug.text,
            expected="a directory; relative paths begin at the server's project folder",
            next_step="correct the path, or deploy a remote slug",
        )


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long, a folder that may not be entered
        return False


def _is_this_machine(host: str) -> bool:
    """By its address, however it is written; names of others are not looked up."""
    if not _PLAIN_HOST.fullmatch(host):
        return True  # git decodes and normalizes names: %31 and full-width digits, too
    host = host.rstrip(".")
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        try:
            found = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return is_loopback(host)
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified


def _check_below(
    spec: AppSpec, locations: Sequence[Path], folders: Sequence[Path], root: Path
) -> None:
    opened = [folder.resolve() for folder in folders]
    layout = Layout(root.resolve())
    own = (layout.secrets, layout.data, layout.root / ".env")
    ours = {*own, *(path.resolve() for path in own)}  # any of them may be a link
    for location in locations:
        if not any(_is_below(location, folder) for folder in opened):
            raise _refused(
                spec.slug,
                spec.where,
                "local paths of this machine are not open to API callers",
                "a path below " + ", ".join(map(str, folders)) if folders else "a remote slug",
                next_step="name its folder in IAC_ADMIN_PATHS, or deploy it on the machine itself",
            )
        real = location.resolve()
        if any(real.is_relative_to(path) or path.is_relative_to(real) for path in ours):
            raise _refused(
                spec.slug,
                spec.where,
                "the server's own keys and settings are here",
                "a folder that holds a program and nothing else",
            )


def _is_below(location: Path, folder: Path) -> bool:
    try:
        return location.resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
        return False


def _refused(
    slug: Slug, where: str, message: str, expected: str, *, next_step: str = _LOCALLY
) -> ConfigError:
    return ConfigError(
        message,
        where=where,
        found=slug.text,
        expected=expected,
        next_step=next_step,
    )


def _check_environment(spec: AppSpec, settings: Settings) -> None:
    referring = sorted(env_files.referring(spec.env).items())
    for variable, name in ((variable, name) for variable, names in referring for name in names):
        if name in _SECRET_SETTINGS or name not in settings.admin_env:
            raise ConfigError(
                f"env {variable} refers to ${{{name}}}, which is not open to API callers",
                where=spec.where,
                found=f"${{{name}}}",
                expected=", ".join(sorted({*settings.admin_env} - _SECRET_SETTINGS))
                or "no references",
                next_step="name it in IAC_ADMIN_ENV, or deploy on the machine itself",
            )
