"""Detect: what a deploy would run and build, and why. Needs neither an engine nor a project.

Nothing is decided here: the source comes as for a deploy, and `plan_app` is what a deploy calls.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files import host, repos_file
from iac_wrapper.files.host import Host, PythonBase
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.repos_entry import default_name
from iac_wrapper.model.app import DEFAULT_PORT, AppSpec, Checkout
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.model.pythons import SUPPORTED
from iac_wrapper.model.repos_keys import IDLE
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations import intent
from iac_wrapper.operations.app_plan import plan_app
from iac_wrapper.operations.process_apps import wanted_run
from iac_wrapper.program import own_dockerfile
from iac_wrapper.program.build_context import AppBuild
from iac_wrapper.program.detection import dockerfile_text, process_program
from iac_wrapper.program.pythons import Pythons
from iac_wrapper.settings import Settings
from iac_wrapper.sources.resolve import resolve

_PROJECT = "detect"


@dataclass(frozen=True)
class Fact:
    """One thing that was decided: its value (None: nothing), why, and what lost, each with why."""

    value: str | Sequence[str] | Mapping[str, str] | None
    reason: str = ""
    rejected: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        value = self.value
        if isinstance(value, Mapping):
            value = dict(value)
        elif value is not None and not isinstance(value, str):
            value = list(value)
        return {"value": value, "reason": self.reason, "rejected": list(self.rejected)}


@dataclass(frozen=True)
class Detected:
    """What a deploy would make of one entry.

    `facts` are by name, in the order in which they are shown; `notes` are sentences on what is
    ignored, replaced or dropped; `dockerfile` is the text that would be built.
    """

    checkout: Checkout
    facts: Mapping[str, Fact]
    notes: tuple[str, ...]
    dockerfile: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, without the Dockerfile."""
        checkout = self.checkout
        return {
            "name": checkout.spec.name,
            "slug": checkout.spec.slug.text,
            "commit": checkout.commit,
            "tree": checkout.tree,
            **{name: fact.to_dict() for name, fact in self.facts.items()},
            "notes": list(self.notes),
        }


def entry_of_text(text: str, cwd: Path) -> list[AppSpec]:
    """The entry that a slug or a folder alone would be.

    Raises:
        ConfigError: it is neither.
    """
    if (cwd / Path(text).expanduser()).is_dir():
        slug = Slug(text, "path", text)
        return [AppSpec(default_name(slug, cwd), slug, base=cwd)]
    return repos_file.from_slugs([text], base_dir=cwd)


def entry_of_files(
    text: str | None, files: Sequence[Path], environment: str | None
) -> list[AppSpec]:
    """The entry of repos files that `text` (a name or a slug) means, with its processes.

    Without a `text`, the only one.

    Raises:
        ConfigError: a file is bad, there is no such entry, or `text` is needed to tell which.
    """
    found = intent.from_files(*files, environment=environment, chosen=[text] if text else [])
    specs = list(found.chosen_specs or found.specs)
    groups = dict.fromkeys(spec.group for spec in specs)
    if len(groups) > 1:
        raise ConfigError(
            "several services are listed, and one is looked at at a time",
            where=str(files[0]),
            found=", ".join(groups),
            next_step=f"iac detect {next(iter(groups))} --file {files[0]}",
        )
    return specs


def detect(
    specs: Sequence[AppSpec],
    settings: Settings,
    *,
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
    pythons: Pythons | None = None,
) -> Detected:
    """Fetch the source of an entry, and look at it.

    Args:
        specs: the entry, and its processes.
        settings: as for a deploy.
        cache: the source cache, which is filled.
        progress: gets what is said while the source is fetched.
        pythons: those that a deploy could have; none of them is made.

    Raises:
        SourceError, EntrypointError, ConfigError: those that a deploy would end with.
    """
    spec = next(each for each in specs if each.process_of is None)
    if spec.is_image:
        raise ConfigError(
            "an image has no source to look at",
            where=spec.where or None,
            found=spec.slug.text,
            expected="a slug of a repository, or a folder",
            next_step=f"docker image inspect {spec.slug.location}",
        )
    (checkout,) = resolve([spec], settings, cache=cache, progress=progress)
    layout = Layout(cache)  # of paths that nothing is written to
    if spec.dockerfile:
        return _by_dockerfile(checkout, spec.dockerfile, layout)
    here, assumed = _host(settings)
    unmade = _Unmade(here.bases, pythons) if pythons and not assumed else None
    others = [each for each in specs if each.process_of]
    build = plan_app(
        checkout,
        host=here,
        layout=layout,
        settings=settings,
        project=_PROJECT,
        declared=[each.process for each in others],
        pythons=unmade,
    )
    checkout = replace(checkout, path=build.source, tree=build.tree)
    processes = {each.name: _process(each, checkout) for each in others}
    notes = (*spec.notes, *checkout.notes, *build.notes, *assumed)
    return Detected(
        checkout, {**_facts(spec, build), **processes}, notes, build.files["Dockerfile"]
    )


@dataclass(frozen=True)
class _Unmade:
    """The Pythons that a deploy would choose from, by name only: see `program.pythons.Pythons`."""

    bases: Mapping[str, PythonBase]
    machine: Pythons

    @property
    def here(self) -> Collection[str]:
        return self.bases.keys()

    def offered(self) -> Iterable[str]:
        with suppress(IacError):  # no engine is running: then what is here
            return self.machine.offered()
        return ()

    def base(self, version: str) -> PythonBase:
        return self.bases.get(version) or _base(version)


def _base(version: str) -> PythonBase:
    return PythonBase(f"python:{version}-slim", f"iac/runtime:{version}")


def _host(settings: Settings) -> tuple[Host, tuple[str, ...]]:
    """The machine's record, else one that is assumed, and a sentence on that."""
    try:
        return host.load_host(settings.machine_home), ()
    except ConfigError as error:
        bases = {version: _base(version) for version in SUPPORTED}
        said = (
            f"{error.message}: Python {SUPPORTED[-1]} to {SUPPORTED[0]} are assumed to be"
            f" available, as in a registry; `{error.next_step}` finds out"
        )
        return Host("docker", "terraform", "node", "embedded", "", bases), (said,)


def _by_dockerfile(checkout: Checkout, dockerfile: str, layout: Layout) -> Detected:
    """An entry with `build:`: its image alone says what it starts, which takes an engine."""
    dockerfile = own_dockerfile.describe(checkout, dockerfile, layout, _PROJECT).dockerfile
    text = (checkout.path / dockerfile).read_text(encoding="utf-8", errors="replace")
    command, by = dockerfile_text.started(text)
    if by:
        program = Fact(command, f"{by} of {dockerfile}: `build:` in repos.yaml")
    else:
        program = Fact(
            None, f"the image that {dockerfile} is built on says it; `build:` in repos.yaml"
        )
    facts = {"program": program, "port": _port(checkout.spec, None)}
    return Detected(checkout, facts, (*checkout.spec.notes, *checkout.notes), text)


def _facts(spec: AppSpec, build: AppBuild) -> dict[str, Fact]:
    program = build.entrypoint
    run = wanted_run(spec, program)
    return {
        "program": Fact(program.display, program.reason, program.rejected),
        "purpose": _purpose(spec, program, run),
        "port": _port(spec, run),
        "supplied": Fact(program.supplied),
        "variables": Fact(
            dict(program.variables), "of its framework; further ones: `env:` of its entry"
        ),
        "python": Fact(build.python, build.python_reason),
        "dependencies": Fact(build.dependencies.reason),
        "besides": Fact(build.besides),
    }


def _purpose(spec: AppSpec, program: Entrypoint, run: Run | None) -> Fact:
    if spec.options.run:
        reason = "`run:` in its entry"
    elif run and (spec.port is not None or spec.options.health):
        reason = "`port:` or `health:` in its entry"
    elif run:
        reason = f"read from what is run: {program.display}"
    else:
        reason = "neither its entry nor its code tells: what it does when it runs decides"
    return Fact(run or "unknown", reason)


def _port(spec: AppSpec, run: Run | None) -> Fact:
    if spec.port is not None:
        return Fact(str(spec.port), "`port:` in its entry")
    if spec.options.tcp and run != "web":
        return Fact(str(spec.options.tcp[0]), "`tcp:` in its entry")
    if run in IDLE:
        return Fact(None, f"a {run} gets no requests")
    reason = "$PORT, if the program listens there, else the only port that it listens on"
    return Fact(str(DEFAULT_PORT), reason)


def _process(spec: AppSpec, checkout: Checkout) -> Fact:
    found = process_program(checkout.path, spec.process, spec.entrypoint, spec.where)
    run = wanted_run(spec, found) or "unknown"
    return Fact(found.display, f"a service of its own, in the same image; purpose: {run}")
