"""From a checkout to something Docker can build: an image name and a directory.

`describe` only reads; `write` puts the directory there once. The tag is a hash of everything that
goes into the image, so equal inputs give an equal tag and a tag that exists needs no build.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.host import Host, PythonBase
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.files.public_tree import PLAIN
from iac_wrapper.model.app import DEFAULT_PORT, Checkout
from iac_wrapper.model.base_url import without_credentials
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.remote import Remote
from iac_wrapper.program import bytecode
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.detection import django
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.dockerfile import APT, DockerfileProps, render
from iac_wrapper.program.own_dockerfile import DockerfileBuild
from iac_wrapper.program.private_requirements import (
    FOLDER,
    private_repositories,
    write_repositories,
)
from iac_wrapper.program.python_version import PythonChoice, choose_python
from iac_wrapper.program.system_packages import SystemPackages, find_system_packages
from iac_wrapper.settings import Settings
from iac_wrapper.sources.source_copy import copy_source

KEPT_CONTEXTS = 3
"""Contexts of a service that stay: the current one, and two to go back to."""

_INLINE = ("pip", "install", "-r", "/deps/requirements.txt")


@dataclass(frozen=True)
class AppBuild:
    """An image to be: facts for the lock, and what `write` needs.

    `image` is ``iac/<project>-<service>:<12 hex>``; `base` the reference of the runtime base, whose
    tag is a hash of its content (its image id has the time of its build in it, and differs between
    machines); `python` its minor version (None for a program that is not Python); `context` the
    directory that Docker gets; `files` the texts in it beside the source, by name, and
    `repositories` what is fetched into it, by the URL that a requirement has; `compiled` says that
    bytecode is put beside the source. `notes` are
    sentences on what was ignored or replaced; `made_from` is one on what was read.
    """

    image: str
    entrypoint: Entrypoint
    dependencies: Dependencies
    python: str | None
    base: str
    source: Path
    context: Path
    files: Mapping[str, str]
    made_from: str = ""
    notes: tuple[str, ...] = ()
    repositories: Mapping[str, Remote] = field(default_factory=dict)
    compiled: bool = False


def describe(  # noqa: PLR0913 - one app and the four things that decide how it is built
    checkout: Checkout,
    entrypoint: Entrypoint,
    *,
    host: Host,
    layout: Layout,
    settings: Settings,
    project: str,
) -> AppBuild:
    """What building `checkout` would mean. Reads the checkout; writes nothing.

    Raises:
        SourceError: the dependencies cannot be installed, or need a Python that is not here.
        ConfigError: this machine has no base image.
    """
    dependencies = find_dependencies(checkout.path, entrypoint)
    chosen = _python(checkout, entrypoint, host, settings)
    python = chosen.version if chosen else None
    base = _base(host, python or settings.python_version)
    system = find_system_packages(
        checkout.path, dependencies, checkout.spec.options.packages, python=chosen is not None
    )
    repositories = private_repositories(system.git_urls, settings.hosts)
    props = replace(
        _props(checkout, entrypoint, base, dependencies, chosen),
        system=system,
        git=bool(repositories),
    )
    beside = {"requirements.txt": dependencies.inline} if dependencies.inline else {}
    parts = [checkout.tree, base.runtime_image, render(props), dependencies.inline]
    if system:
        beside[APT.name] = APT.read_text(encoding="utf-8")
        parts.append(beside[APT.name])
    key = _key(*parts)
    image = f"iac/{project}-{checkout.spec.name}:{key}"
    compiled = python == bytecode.PYTHON and not dependencies.late
    props = replace(props, key=key, labels=_labels(checkout), compiled=compiled)
    return AppBuild(
        image=image,
        entrypoint=entrypoint,
        dependencies=dependencies,
        python=python,
        base=base.runtime_image,
        source=checkout.path,
        context=layout.context(project, image),
        files={"Dockerfile": render(props), **beside},
        compiled=compiled,
        made_from=_made_from(chosen, dependencies, system, repositories),
        repositories=repositories,
        notes=(
            *(chosen.notes if chosen else ()),
            *dependencies.notes,
            *system.notes,
            *((django.SERVED_BY_US,) if props.static_files else ()),
        ),
    )


def _props(
    checkout: Checkout,
    entrypoint: Entrypoint,
    base: PythonBase,
    dependencies: Dependencies,
    python: PythonChoice | None,
) -> DockerfileProps:
    return DockerfileProps(
        runtime_image=base.runtime_image,
        entrypoint=entrypoint,
        port=checkout.spec.port or DEFAULT_PORT,
        python=python is not None,
        reason=dependencies.reason,
        files=dependencies.files,
        early=_INLINE if dependencies.inline else dependencies.early,
        late=dependencies.late,
        inline=bool(dependencies.inline),
        requires=python.check if python else "",
        static_files=django.static_files(Project(checkout.path)) if python else None,
    )


def _made_from(
    python: PythonChoice | None,
    dependencies: Dependencies,
    system: SystemPackages,
    repositories: Collection[str],
) -> str:
    version = f"python {python.version} ({python.reason}), " if python else ""
    fetched = f", fetched by this machine: {' '.join(repositories)}" if repositories else ""
    return f"{version}dependencies: {dependencies.reason}{system.words}{fetched}"


def write(build: AppBuild | DockerfileBuild) -> Path:
    """Put the context of `build` on disk, whole or not at all; one that is there is kept.

    Returns:
        The directory. Older contexts of the same service are removed, but for the latest few.
    """
    if build.context.is_dir():
        build.context.touch()
    else:
        build.context.parent.mkdir(parents=True, exist_ok=True)
        _write_new(build)
    _prune(build.context)
    return build.context


def _write_new(build: AppBuild | DockerfileBuild) -> None:
    parent = build.context.parent
    with tempfile.TemporaryDirectory(prefix=".new-", dir=parent) as temporary:
        draft = Path(temporary) / "context"
        copy_source(build.source, draft / "app")
        if isinstance(build, AppBuild) and build.compiled:
            bytecode.compile_source(draft / "app")
        if isinstance(build, AppBuild) and build.repositories:
            write_repositories(build.repositories, draft / FOLDER)
        for name, text in build.files.items():
            (draft / name).write_text(text, encoding="utf-8")
            (draft / name).chmod(PLAIN)
        try:
            draft.rename(build.context)
        except OSError:  # another deploy was faster; its context is the same by construction
            if not build.context.is_dir():
                raise


def _prune(context: Path) -> None:
    service = context.name.rpartition("-")[0]
    mine = re.compile(re.escape(service) + "-[0-9a-f]{12}")
    contexts = [p for p in context.parent.iterdir() if mine.fullmatch(p.name) and p != context]
    contexts.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in contexts[KEPT_CONTEXTS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _python(
    checkout: Checkout, entrypoint: Entrypoint, host: Host, settings: Settings
) -> PythonChoice | None:
    if entrypoint.kind == "binary":
        return None
    script = entrypoint.target if entrypoint.kind == "script" else None
    return choose_python(
        checkout.path, default=settings.python_version, available=host.bases, script=script
    )


def _base(host: Host, version: str) -> PythonBase:
    if version in host.bases:
        return host.bases[version]
    raise ConfigError(
        f"no base image for Python {version} on this machine",
        where="IAC_PYTHON_VERSION",
        found=", ".join(sorted(host.bases)) or "no base image at all",
        next_step=setup_command(),
    )


def _key(*parts: str) -> str:
    """12 hex digits over every input: 48 bits, for the few images one service ever has."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _labels(checkout: Checkout) -> dict[str, str]:
    """Labels that say where the source came from.

    They stay out of the key: a commit that leaves the tree as it was builds no new image, and the
    label then names the first commit that had this tree.
    """
    labels = {}
    if checkout.commit:
        labels["org.opencontainers.image.revision"] = checkout.commit
    if checkout.spec.slug.kind != "path":
        text = checkout.spec.slug.text
        labels["org.opencontainers.image.source"] = without_credentials(text)
    return labels
