"""Programs that come first by their place and give way to what serves."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from iac_wrapper.program.detection import reach
from iac_wrapper.program.detection.candidate import Candidate
from iac_wrapper.program.detection.candidates import is_helper_script
from iac_wrapper.program.detection.command_groups import group_file
from iac_wrapper.program.detection.framework_files import framework_files
from iac_wrapper.program.detection.given_commands import with_given_command
from iac_wrapper.program.detection.imports import all_imported_files
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.reloading import is_refused
from iac_wrapper.program.detection.rivals import standing
from iac_wrapper.program.detection.served_objects import own_programs, served_objects
from iac_wrapper.program.detection.talk import only_talks

_TALKS = "only prints and ends"


def unless_it_gives_way(project: Project, candidate: Candidate) -> Candidate:
    """What prints and ends, a group of commands without one, a script that is called like a
    helper (``init-db``), one that uvicorn refuses to serve (`reloading`), and a package that has
    nothing to do with what serves, are not the programs of a repository that has something to
    serve."""
    found = candidate.entrypoint
    refused = found and candidate.guarded and is_refused(project, candidate.name)
    if found is None or (found.run and not refused):
        return candidate
    instead = ""
    if group := group_file(project, found):
        if given := with_given_command(project, found):
            return replace(candidate, entrypoint=given)
        what = "prints its usage without a command"
        instead = _serving_file(project, group)
    elif is_helper_script(candidate) and reach.run(project, found) is None:
        what = "is called like a helper and does not serve"
    elif only_talks(project, found):
        what = _TALKS
    elif refused:
        what = "calls uvicorn.run() with an object and `reload` or `workers`, which uvicorn refuses"
    elif apart := _serves_apart(project, candidate):
        note = f"neither serves nor works without an end; {apart} serves, and it does not use that"
        return replace(candidate, entrypoint=None, note=note)
    else:
        return candidate
    stays = standing(project, candidate.name) if what == _TALKS else []
    other = f"{stays[0].name} does not" if stays else ""
    if served := web_object(project) or instead:
        other = f"{served} serves"
    return replace(candidate, entrypoint=None, note=f"{what}; {other}") if other else candidate


def _serves_apart(project: Project, candidate: Candidate) -> str:
    """What serves, and a package with another name than the project neither holds nor imports;
    empty: nothing, or it is no such package, or serves or works itself."""
    folder, _, file = candidate.name.rpartition("/")
    name = folder.rpartition("/")[2].lower()
    found = candidate.entrypoint
    if file != "__main__.py" or not found or name in project.names:
        return ""
    objects = (each.name for _, each in served_objects(project))
    files = (each.name for rank in framework_files(project, last=False) for each in rank)
    serving = next(chain(objects, files), "")
    if not serving or serving.startswith(f"{folder}/") or reach.run(project, found):
        return ""
    return "" if serving in all_imported_files(project, candidate.name) else serving


def _serving_file(project: Project, group: str) -> str:
    """One of its package that serves by itself; empty: none."""
    folder = group.rpartition("/")[0]
    serving = (file for file, run in own_programs(project) if run == "web")
    return next((file for file in serving if file.startswith(folder)), "")


def web_object(project: Project) -> str | None:
    """What `entrypoint:` would say to have the first web application served, if there is one."""
    return next((c.write for _, c in served_objects(project, any_server=True)), None)
