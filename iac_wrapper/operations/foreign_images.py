"""Facts of services whose image is not ours: an `image:` entry, or a repository's own Dockerfile.

An image tells who it runs as, what it starts and where it keeps data; so it has to be on the engine
before a plan can be made. Pulls and builds fill the engine's store, as sources fill the cache.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from iac_wrapper.adapters import foreign_images
from iac_wrapper.adapters.foreign_images import ImageFacts
from iac_wrapper.errors import CommandError, ConfigError, IacError, SourceError
from iac_wrapper.model.app import DEFAULT_PORT, AppSpec, Checkout, ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.foreign_image import ForeignImage, UserFrom, needs_shell, values_by_shell
from iac_wrapper.model.image_reference import is_pinned, repository
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations.image_builds import build_images
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program import context_folder
from iac_wrapper.program.index_settings import write_build_secrets
from iac_wrapper.program.own_dockerfile import DockerfileBuild, describe


@dataclass(frozen=True)
class ForeignFacts:
    """The facts of services whose image is not ours, and by service what a Dockerfile builds."""

    apps: Sequence[ResolvedApp]
    builds: Mapping[str, DockerfileBuild]


def find(
    workspace: Workspace,
    checkouts: Sequence[Checkout],
    images: Sequence[AppSpec],
    locked: LockFile | None,
) -> ForeignFacts:
    """Those of `images`, and of `checkouts` that have a Dockerfile of their own to be built by.

    Raises:
        SourceError, ConfigError, CommandError: see `of_image` and `of_dockerfile`.
    """
    apps, builds = [of_image(workspace, spec, locked) for spec in images], {}
    for checkout in checkouts:
        if dockerfile := checkout.spec.dockerfile:
            build = describe(checkout, dockerfile, workspace.layout, workspace.project)
            builds[checkout.spec.name] = build
            apps.append(of_dockerfile(workspace, checkout, build))
    return ForeignFacts(apps, builds)


def of_image(workspace: Workspace, spec: AppSpec, locked: LockFile | None) -> ResolvedApp:
    """The facts of an `image:` entry; an image that is `locked` stays the same.

    Raises:
        SourceError: there is no such image.
        ConfigError: it cannot run as the entry says.
    """
    found, pinned = _found(workspace, spec, locked)
    tree = pinned.rpartition("@")[2]
    image = f"iac/{workspace.project}/{spec.name}:{tree.removeprefix('sha256:')[:12]}"
    workspace.progress(f"{spec.name}: {spec.slug.location} is {pinned}", spec.name, "resolve")
    app = _resolved(workspace, spec, found, ForeignImage(pinned, 0, 0, "root"))
    return replace(app, image=image, tree=tree)


def of_dockerfile(workspace: Workspace, checkout: Checkout, build: DockerfileBuild) -> ResolvedApp:
    """The facts of a repository whose own Dockerfile makes the image; it is built if need be.

    Raises:
        CommandError: the build failed.
        ConfigError: the image cannot run as the entry says.
    """
    spec = checkout.spec
    if not workspace.engine.has_image(build.image):
        _build(workspace, checkout, build)
    found = foreign_images.inspect(workspace.engine, build.image)
    if found is None:
        raise CommandError(
            f"the image {build.image} is gone, right after its build",
            next_step="run the command again; another one may clean up images of this engine",
        )
    foreign = ForeignImage("", 0, 0, "root", dockerfile=build.dockerfile)
    app = _resolved(workspace, spec, found, foreign)
    notes = (*spec.notes, *checkout.notes, *app.notes)
    return replace(app, image=build.image, commit=checkout.commit, tree=checkout.tree, notes=notes)


def ensure_named(workspace: Workspace, apps: Iterable[ResolvedApp]) -> None:
    """Give the images of `apps` the names that containers are made from; pull what is gone.

    Raises:
        CommandError: one can neither be found nor pulled.
    """
    for app in apps:
        pinned = app.foreign.pinned if app.foreign else ""
        if not pinned:
            continue
        known, named = (foreign_images.inspect(workspace.engine, n) for n in (pinned, app.image))
        if named and (known is None or known.id == named.id):
            continue
        if known is None:
            foreign_images.pull(workspace.engine, pinned)
        foreign_images.name(workspace.engine, pinned, app.image)


def _found(workspace: Workspace, spec: AppSpec, locked: LockFile | None) -> tuple[ImageFacts, str]:
    """The image of an entry, and what pins it."""
    engine, reference = workspace.engine, spec.slug.location
    old = next((app for app in locked.all_apps if app.name == spec.name), None) if locked else None
    if old and old.slug == spec.slug.text and old.foreign:
        return _pulled(workspace, spec, old.foreign.pinned), old.foreign.pinned
    known = foreign_images.inspect(engine, reference)
    if known and (is_pinned(reference) or not known.digests):
        return known, _pin(reference, known)
    try:
        found = _pulled(workspace, spec, reference, anew=True)
    except SourceError as error:
        if known is None:
            raise
        workspace.warn(
            f"{spec.name}: {reference} was not pulled, the image of that name on this engine is"
            f" taken ({error.found})"
        )
        found = known
    return found, _pin(reference, found)


def _pulled(
    workspace: Workspace, spec: AppSpec, reference: str, *, anew: bool = False
) -> ImageFacts:
    engine = workspace.engine
    found = None if anew else foreign_images.inspect(engine, reference)
    if found is None and not reference.startswith("sha256:"):
        workspace.progress(f"{spec.name}: pulling {reference}", spec.name, "fetch")
        try:
            foreign_images.pull(engine, reference)
        except CommandError as error:
            raise _missing(spec, reference, error.found or error.message) from None
        found = foreign_images.inspect(engine, reference)
    if found is None:
        raise _missing(spec, reference, "it is not on this engine, and was in no registry")
    return found


def _pin(reference: str, found: ImageFacts) -> str:
    """By the digest that the registry has it under, else by its id."""
    name = repository(reference)
    names = {name, name.removeprefix("docker.io/").removeprefix("library/")}
    own = [digest for digest in found.digests if digest.partition("@")[0] in names]
    return (own or [found.id])[0]


def _missing(spec: AppSpec, reference: str, reason: str) -> SourceError:
    return SourceError(
        f"the image {reference} is not on this engine, and cannot be pulled",
        where=spec.where or None,
        found=reason,
        expected="an image that the engine can pull, or one that is on it",
        next_step=f"`docker pull {reference}` shows the engine's own words; log in with `docker"
        f" login` for a private one; build one of your own with `docker build -t {reference} DIR`",
    )


def _resolved(
    workspace: Workspace, spec: AppSpec, found: ImageFacts, foreign: ForeignImage
) -> ResolvedApp:
    """The entry's facts, but for where they come from; errors name the entry."""
    try:
        files = foreign_images.look_into(workspace.engine, found.id)
        wanted = spec.options.user or found.user
        uid, gid = files.users.resolve(wanted) if wanted else (0, 0)
        said: UserFrom = "repos-file" if spec.options.user else "image"
        foreign = replace(
            foreign,
            uid=uid,
            gid=gid,
            user_from=said if uid or spec.options.user else "root",
            volumes=found.volumes,
            has_shell=files.has_shell,
        )
        _check_shell(spec, foreign)
        entrypoint = _entrypoint(spec, found)
    except ConfigError as error:
        error.where = f"{spec.where}: {spec.name}" if spec.where else spec.name
        raise
    notes = (
        *foreign.privileges(spec.options.capabilities),
        *foreign.lost_data(spec.options.mounted),
    )
    workspace.progress(
        f"{spec.name}: runs {entrypoint.display} ({entrypoint.reason})", spec.name, "detect"
    )
    for note in notes:
        workspace.warn(f"{spec.name}: {note}")
    serves = spec.port is not None or spec.options.health
    return ResolvedApp(
        name=spec.name,
        slug=spec.slug.text,
        commit=None,
        tree="",
        entrypoint=entrypoint,
        port=spec.port or DEFAULT_PORT,
        port_declared=spec.port is not None,
        env=dict(spec.env),
        python=None,
        base="",
        image="",
        run=spec.options.run or ("web" if serves else None),
        options=spec.options,
        notes=notes,
        foreign=foreign,
    )


def _entrypoint(spec: AppSpec, found: ImageFacts) -> Entrypoint:
    """What starts: its ENTRYPOINT and CMD, or what the entry says in their place.

    Raises:
        ConfigError: nothing says what starts.
    """
    said, command = spec.entrypoint, spec.options.command
    target = _words(spec, said) if said else found.entrypoint
    # As with Docker: the CMD of an image means nothing to another entrypoint.
    args = shlex.split(command) if command else () if said else found.command
    words = (*target, *args)
    if not words:
        raise ConfigError(
            "the image does not say what it starts",
            found="neither ENTRYPOINT nor CMD",
            next_step="write `command:` in its entry",
        )
    keys = [key for key, value in (("entrypoint", said), ("command", command)) if value]
    reason = f"{' and '.join(keys)}: in repos.yaml" if keys else "the image's own"
    first = len(target) or 1
    return Entrypoint(
        "image",
        shlex.join(words[:first]),
        None,
        reason,
        args=words[first:],
        source="repos-file" if said else "repository",
    )


def _words(spec: AppSpec, text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(
            "bad value of entrypoint",
            found=f"{text!r}: {error}",
            expected="a command line with quotes as a shell reads them",
            next_step=f"correct `entrypoint:` of {spec.name}",
        ) from None


def _check_shell(spec: AppSpec, foreign: ForeignImage) -> None:
    if foreign.has_shell or not needs_shell(spec.env, spec.options.command):
        return
    if names := sorted(values_by_shell(spec.env)):
        raise ConfigError(
            f"the image has no shell that could set {', '.join(names)} to a secret value",
            found="an image without /bin/sh and cat",
            expected=f"a variable that names a file, such as {names[0]}_FILE: ${{…}}",
            next_step=f"write {names[0]}_FILE if the program knows that, or put a shell into the"
            " image",
        )
    raise ConfigError(
        "the image has no shell that could pass an empty word of `command:` on",
        found=spec.options.command,
        expected="words that are not empty, which is all that Terraform can pass on",
        next_step="write it without the empty word, or put a shell into the image",
    )


def _build(workspace: Workspace, checkout: Checkout, build: DockerfileBuild) -> None:
    layout, name = workspace.layout, checkout.spec.name
    write_build_secrets(
        layout.build_secrets,
        workspace.settings.environment,
        ca_bundle=workspace.settings.ca_bundle,
    )
    context_folder.write(build)
    workspace.progress(f"{name}: building {build.image} by its {build.dockerfile}", name, "build")
    block = build.block(workspace.project, name, checkout.tree, layout.build_secrets)
    try:
        build_images(workspace, [{"name": build.image, "build": block}])
    except IacError as error:
        error.next_step = f"fix {build.dockerfile} of {name}, then run the command again"
        raise
