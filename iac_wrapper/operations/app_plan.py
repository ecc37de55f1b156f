"""What a checkout runs and how its image is made: `iac detect` shows it, `iac deploy` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from iac_wrapper.errors import IacError
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import Checkout
from iac_wrapper.operations import volumes
from iac_wrapper.program import build_context
from iac_wrapper.program.build_context import AppBuild
from iac_wrapper.program.detection import detect
from iac_wrapper.program.detection.procfile import RELEASE
from iac_wrapper.program.pythons import Pythons
from iac_wrapper.settings import Settings
from iac_wrapper.sources.resolve import narrowed


def plan_app(  # noqa: PLR0913 - one app and the things that decide how it is built
    checkout: Checkout,
    *,
    host: Host,
    layout: Layout,
    settings: Settings,
    project: str,
    declared: Sequence[str] = (),
    pythons: Pythons | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AppBuild:
    """Detect what to run and how to build it; errors name the service. Only reads.

    Args:
        checkout: the source, and the entry that it is for.
        host: the machine's record.
        layout: where a build context would lie.
        settings: defaults, and the ENTRYPOINT of the environment.
        project: part of the image's name.
        declared: names of the entry's `processes:`, which run as services of their own.
        pythons: makes the base of a Python that `host` has none for; None: nobody does.
        say: gets a sentence for each fact, as soon as it is known.

    Raises:
        EntrypointError, SourceError, ConfigError: see `detect` and `build_context.describe`.
    """
    spec = checkout.spec
    try:
        detected = detect(
            checkout.path,
            entrypoint=spec.entrypoint,
            where=spec.where,
            slug=spec.slug.text,
            environment=settings.entrypoint or None,
            declared=(*declared, *((RELEASE,) if spec.options.release else ())),
        )
        entrypoint, source = detected.entrypoint, narrowed(checkout, detected.folder)
        say(f"{spec.name}: runs {entrypoint.display} ({entrypoint.reason})")
        build = build_context.describe(
            source,
            entrypoint,
            host=host,
            layout=layout,
            settings=settings,
            project=project,
            code=detected.project,
            pythons=pythons,
        )
    except IacError as error:
        own = f"{spec.where}: {spec.name}" if spec.where else spec.name
        if not (error.where or "").startswith(spec.where or spec.name):
            error.where = f"{own}: {error.where}" if error.where else own
        raise
    say(f"{spec.name}: {build.made_from}")
    left_out = [note for note in source.notes if note not in checkout.notes]
    notes = (*detected.notes, *left_out, *build.notes, *volumes.hidden(source))
    return replace(build, notes=notes)
