"""From a checkout to something Docker can build: an image name, and what its directory will hold.

Only reads; `context_folder` writes. The tag is a hash of everything that goes into the image, so
equal inputs give an equal tag and a tag that exists needs no build.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from iac_wrapper.files.host import Host, PythonBase
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import DEFAULT_PORT, Checkout
from iac_wrapper.model.base_url import without_credentials
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.remote import Remote
from iac_wrapper.program import bytecode, own_data
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.dependency_plan import Beside
from iac_wrapper.program.detection import django, surroundings
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.dockerfile import APT, DockerfileProps, render
from iac_wrapper.program.private_requirements import private_repositories
from iac_wrapper.program.python_project import REQUIREMENTS
from iac_wrapper.program.python_version import PythonChoice, choose_python
from iac_wrapper.program.pythons import OnlyThose, Pythons
from iac_wrapper.program.setuptools_seed import setuptools_seed
from iac_wrapper.program.system_packages import SystemPackages, find_system_packages
from iac_wrapper.program.vcs_version import VcsVersion, vcs_version
from iac_wrapper.settings import Settings
from iac_wrapper.sources.description import describe as describe_commit


@dataclass(frozen=True)
class AppBuild:
    """An image to be: facts for the lock, and what `context_folder.write` needs.

    `image` is ``iac/<project>-<service>:<12 hex>``; `base` the reference of the runtime base, whose
    tag is a hash of its content (its image id has the time of its build in it, and differs between
    machines); `python` its minor version (None for a program that is not Python); `context` the
    directory that Docker gets, `tree` the hash of `source`; `files` the texts in it beside the
    source, by name; `beside` what of the source around it the installation needs; `repositories`
    what is fetched into it, by the URL that a requirement has; `compiled` says that bytecode is put
    beside the source. `notes` are sentences on what was ignored or replaced; `python_reason` is why
    that version, and `besides` what else the image is made from, both as fragments.
    """

    image: str
    entrypoint: Entrypoint
    dependencies: Dependencies
    python: str | None
    base: str
    source: Path
    tree: str
    context: Path
    files: Mapping[str, str]
    beside: Beside | None = None
    python_reason: str = ""
    besides: str = ""
    notes: tuple[str, ...] = ()
    repositories: Mapping[str, Remote] = field(default_factory=dict)
    compiled: bool = False

    @property
    def made_from(self) -> str:
        """What was read for it, as one fragment."""
        version = f"python {self.python} ({self.python_reason}), " if self.python else ""
        besides = f", {self.besides}" if self.besides else ""
        return f"{version}dependencies: {self.dependencies.reason}{besides}"


def describe(  # noqa: PLR0913 - one app and the four things that decide how it is built
    checkout: Checkout,
    entrypoint: Entrypoint,
    *,
    host: Host,
    layout: Layout,
    settings: Settings,
    project: str,
    code: Project | None = None,
    pythons: Pythons | None = None,
) -> AppBuild:
    """What building `checkout` would mean. Reads the checkout; writes nothing.

    Args:
        checkout: the source.
        entrypoint: what runs.
        host: this machine's record.
        layout: the project folder's paths.
        settings: of the project folder.
        project: its name.
        code: what detection has read of the checkout; None: it is read here.
        pythons: makes the base of a Python that `host` has none for; None: nobody does.

    Raises:
        SourceError: the dependencies cannot be installed, or need a Python that cannot be had.
        ConfigError: this machine has no base image.
        CommandError: a base image cannot be made.
    """
    pythons = pythons or OnlyThose(host.bases)
    code = code or Project(checkout.path)
    dependencies = find_dependencies(
        checkout.path,
        entrypoint,
        asked=checkout.spec.options.dependencies,
        source=checkout.source,
        code=code,
    )
    is_pinned = REQUIREMENTS in dependencies.files and not checkout.spec.options.packages
    chosen = _python(checkout, entrypoint, settings, pythons, pinned=is_pinned)
    python = chosen.version if chosen else None
    base = pythons.base(python or settings.python_version)
    version = VcsVersion()
    if dependencies.late:
        version = vcs_version(
            checkout.path, lambda: describe_commit(checkout, settings.hosts, layout.cache)
        )
    system = find_system_packages(
        checkout.path, dependencies, checkout.spec.options.packages, python=chosen is not None
    )
    repositories = private_repositories(system.git_urls, settings.hosts)
    props = replace(
        _props(checkout, entrypoint, base, dependencies, chosen),
        system=system,
        git=bool(repositories),
        variables=version.variables,
        pkg_info=version.pkg_info,
        seed=setuptools_seed(checkout.path, python) if python else None,
        django=chosen is not None and django.is_site(code),
        static_files=django.static_files(code) if chosen else None,
        links=surroundings.links(code) if chosen else (),
    )
    static = props.static_files
    is_picky = props.django and not django.allows_any_host(code)
    files = {f"deps/{name}": text for name, text in dependencies.written.items()}
    parts = [checkout.tree, base.runtime_image, render(props), *_installed_from(dependencies)]
    if system:
        files[APT.name] = APT.read_text(encoding="utf-8")
        parts.append(files[APT.name])
    key = _key(*parts)
    image = f"iac/{project}-{checkout.spec.name}:{key}"
    compiled = python == bytecode.PYTHON and not dependencies.late
    props = replace(props, key=key, labels=_labels(checkout), compiled=compiled)
    files["Dockerfile"] = render(props)
    return AppBuild(
        image=image,
        entrypoint=entrypoint,
        dependencies=dependencies,
        python=python,
        base=base.runtime_image,
        source=checkout.path,
        tree=checkout.tree,
        context=layout.context(project, image),
        files=files,
        beside=dependencies.beside,
        compiled=compiled,
        python_reason=chosen.reason if chosen else "",
        besides=_besides(system, repositories, version),
        repositories=repositories,
        notes=(
            *(chosen.notes if chosen else ()),
            *version.notes,
            *dependencies.notes,
            *system.notes,
            *((props.seed.note,) if props.seed else ()),
            *surroundings.linked(props.links),
            *((django.SERVED_BY_US,) if static and static.are_served else ()),
            *((django.OWN_NAME_ALLOWED,) if is_picky else ()),
            *own_data.notes(code, entrypoint, checkout.spec),
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
        early=dependencies.early,
        late=dependencies.late,
        written=tuple(dependencies.written),
        around=dependencies.beside.folder if dependencies.beside else "",
        early_folder=dependencies.early_folder,
        requires=python.check if python else "",
    )


def _installed_from(dependencies: Dependencies) -> tuple[str, ...]:
    """What goes into the image beside the source and the Dockerfile."""
    beside = (dependencies.beside.digest,) if dependencies.beside else ()
    written = "\n".join(f"{name}\n{text}" for name, text in dependencies.written.items())
    return (written, *beside)


def _besides(system: SystemPackages, repositories: Collection[str], version: VcsVersion) -> str:
    fetched = f"fetched by this machine: {' '.join(repositories)}" if repositories else ""
    return ", ".join(filter(None, (system.words, fetched, version.said)))


def _python(
    checkout: Checkout,
    entrypoint: Entrypoint,
    settings: Settings,
    pythons: Pythons,
    *,
    pinned: bool,
) -> PythonChoice | None:
    if entrypoint.kind == "binary":
        return None
    return choose_python(
        checkout.path,
        default=settings.python_version,
        available=pythons.here,
        script=entrypoint.target if entrypoint.kind == "script" else None,
        more=pythons.offered,
        pinned=pinned,
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
