"""Finds the program of a checkout and says why. Pure over a directory: it never runs user code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import procfile, reach
from iac_wrapper.program.detection.candidate import Candidate
from iac_wrapper.program.detection.candidates import (
    beside,
    later,
    ranked,
)
from iac_wrapper.program.detection.django import missing_settings
from iac_wrapper.program.detection.folders import Folder, below, label, started_in
from iac_wrapper.program.detection.giving_way import web_object
from iac_wrapper.program.detection.markers import language_marker, requirements
from iac_wrapper.program.detection.named_programs import by_author
from iac_wrapper.program.detection.needed_files import written_for_python_2
from iac_wrapper.program.detection.override import Override, overrides, resolve
from iac_wrapper.program.detection.own_folder import in_own_folder
from iac_wrapper.program.detection.places import by_rules
from iac_wrapper.program.detection.processes import process_program
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.refusals import (
    nothing_to_run,
    of_a_template,
    several_folders,
)
from iac_wrapper.program.detection.required_arguments import required_arguments
from iac_wrapper.program.detection.served_objects import (
    guard_left_out,
)
from iac_wrapper.program.detection.surroundings import (
    drawn_for_visitors,
    kept_in_memory,
    with_surroundings,
)
from iac_wrapper.program.detection.work_beside import work_beside

__all__ = ["Detection", "detect", "process_program"]


@dataclass(frozen=True)
class Detection:
    """The program, and sentences on what the repository says and is not done.

    `folder` is the one of the checkout that is to be built, as if the slug named it; empty: all.
    `project` is what was read of it.
    """

    entrypoint: Entrypoint
    project: Project = field(repr=False, compare=False)
    notes: tuple[str, ...] = ()
    folder: str = ""


def detect(  # noqa: PLR0913 - the checkout and all that is said of what to run
    root: Path,
    *,
    entrypoint: str | None = None,
    where: str = "",
    slug: str = "",
    environment: str | None = None,
    declared: Collection[str] = (),
) -> Detection:
    """The program to run in the checkout `root`.

    Args:
        root: the checkout's directory; only read.
        entrypoint: the value of ``entrypoint:`` in repos.yaml.
        where: ``file:line`` of the app in repos.yaml, for errors.
        slug: what repos.yaml calls the repository, for errors.
        environment: the value of ENTRYPOINT in the environment of the deploy.
        declared: names of the entry's `processes:`, which run as services of their own.

    Raises:
        EntrypointError: nothing to run, several programs of equal right, or an override or a
            Procfile that names what is not there.
        SourceError: pyproject.toml is not TOML.
    """
    wishes = [*overrides(root, entrypoint=entrypoint, where=where, environment=environment)]
    project = Project(root, label(slug))
    found = _found(project, wishes, where, slug, declared)
    if isinstance(found, Detection):
        if not wishes and (old := written_for_python_2(found.project, found.entrypoint)):
            raise old
        is_said = wishes or declared or procfile.read_procfile(found.project.root)
        more = () if is_said else work_beside(found.project, found.entrypoint)
        return replace(found, notes=(*found.notes, *more))
    raise nothing_to_run(project, where, found)


def _found(
    project: Project,
    wishes: list[Override],
    where: str,
    slug: str,
    declared: Collection[str] = (),
) -> Detection | list[Candidate]:
    """The program, or all that was looked for in vain."""
    processes = procfile.read_procfile(project.root)
    losers = [f"{w.reason} ({w.value}): comes after" for w in wishes[1:]]
    if wishes:
        chosen = resolve(project, wishes[0])
        losers += [f"{p.label}: comes after" for p in processes if p.name == "web"]
        notes = procfile.left_out(processes, None, declared)
    elif process := (
        procfile.main_process(processes, declared) or procfile.platform_process(project)
    ):
        chosen = procfile.entrypoint(project, process)
        notes = procfile.left_out(processes, process, declared)
    else:
        notes = procfile.left_out(processes, None, declared)
        open_question = [p.name for p in procfile.undecided(processes, declared)]
        return _detected(project, where, slug, notes, open_question)
    ranks = [*ranked(project), *later(project)]
    return _finished(project, chosen, [c for rank in ranks for c in rank], losers, notes)


def _detected(
    project: Project, where: str, slug: str, notes: list[str], processes: list[str]
) -> Detection | list[Candidate]:
    """By the files; `processes` are names of the Procfile, none better than another."""
    if template := of_a_template(project.root, where):
        raise template
    seen: list[Candidate] = []
    try:
        chosen = by_rules(project, where, slug, processes, seen)
    except EntrypointError:
        if (chosen := by_author(project, None)) is None:
            raise
    chosen = by_author(project, chosen) or chosen
    errors = [candidate.error for candidate in seen if candidate.error]
    if errors and not (chosen and (chosen.run or reach.run(project, chosen))):
        raise errors[0]
    if chosen is None:
        return _in_a_folder(project, where, slug, notes) or seen
    names = {c.name for c in seen}
    seen += [c for c in beside(project) if c.name not in names]
    said = [f"{each.name} is not run: it {each.note}" for each in seen if each.error]
    found = _finished(project, chosen, seen, [], [*notes, *said])
    if moved := in_own_folder(project, found.entrypoint):
        return replace(found, entrypoint=moved[0], notes=(*found.notes, moved[1]))
    return found


def _in_a_folder(project: Project, where: str, slug: str, notes: list[str]) -> Detection | None:
    """What the only folder with a program runs; None if no folder has one.

    Raises:
        EntrypointError: several have, or one beside a project of another language; or what the only
            one has cannot be run.
    """
    found: dict[Folder, Detection | EntrypointError] = {}
    for folder in project.folders:
        if folder.is_python:
            try:
                if inner := _of_folder(project, folder, where, below(slug, folder.path)):
                    found[folder] = inner
            except EntrypointError as error:
                found[folder] = error
    others = [each for each in project.folders if not (each.is_python or each.is_image)]
    if found and (len(found) > 1 or others or language_marker(project.root)):
        programs = {f: d.entrypoint for f, d in found.items() if isinstance(d, Detection)}
        raise several_folders(project, where, slug, programs)
    for folder, detection in found.items():
        if isinstance(detection, EntrypointError):
            if detection.where and detection.where != where:
                detection.where = f"{folder.path}/{detection.where}"
            raise detection
        return replace(detection, notes=(*notes, *detection.notes))
    return None


def _of_folder(project: Project, folder: Folder, where: str, slug: str) -> Detection | None:
    """What the folder runs by itself; started from the root if only that has requirements, which
    are installed for what is built there."""
    root = project.root / folder.path
    needs_root = requirements(project.root) and not requirements(root)
    inner = Project(root, label(slug), project.root if needs_root else None)
    wishes = overrides(root, entrypoint=None, where=where, environment=None)
    found = _found(inner, list(wishes), where, slug)
    if not isinstance(found, Detection):
        return None
    if needs_root:
        note = f"the program of {folder.path}/ is started there, with what the root requires"
        return replace(
            found,
            entrypoint=started_in(root, folder.path, found.entrypoint),
            project=project,
            notes=(*found.notes, note),
        )
    path = f"{folder.path}/{found.folder}".rstrip("/")
    note = f"no program at the root: {folder.path}/ is built, as for the slug {slug}"
    return replace(found, folder=path, notes=(note, *found.notes))


def _finished(
    project: Project,
    chosen: Entrypoint,
    candidates: list[Candidate],
    losers: list[str],
    notes: list[str],
) -> Detection:
    """`chosen` with the candidates that were there and lost, each with its reason."""
    after = f"comes after {chosen.display}"
    losers = [f"{loser} {chosen.display}" for loser in losers]
    for candidate in candidates:
        other = candidate.entrypoint
        if other and other.display == chosen.display:
            notes = [*notes, *guard_left_out(project, candidate)]
            continue
        if other:
            losers.append(f"{candidate.name}: {after}")
        elif candidate.present:
            losers.append(f"{candidate.name}: {candidate.note}")
    if chosen.run is None:
        chosen = replace(chosen, run=reach.run(project, chosen))
    if chosen.run is None and chosen.kind != "binary":
        chosen = replace(chosen, web_object=web_object(project))
    chosen = with_surroundings(project, replace(chosen, rejected=tuple(losers)))
    said = [*notes, *_supply(chosen), *kept_in_memory(chosen), *missing_settings(project, chosen)]
    said += [*required_arguments(project, chosen), *drawn_for_visitors(chosen)]
    return Detection(chosen, project, tuple(said))


def _supply(chosen: Entrypoint) -> Iterator[str]:
    if chosen.supplied:
        served = next(arg for arg in chosen.args if ":" in arg)
        yield (f"{chosen.supplied} is supplied to serve {served}: the requirements name no server")
