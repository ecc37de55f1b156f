"""Programs at the root that certainly serve or work, beside one of which that is not certain."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.detection import reach
from iac_wrapper.program.detection.candidate import Candidate, judge
from iac_wrapper.program.detection.imports import all_imported_files
from iac_wrapper.program.detection.named_programs import named_of
from iac_wrapper.program.detection.project import Project
from iac_wrapper.program.detection.ranking import is_named
from iac_wrapper.program.python_project import read_text


def rivals(project: Project, chosen: Candidate) -> list[Candidate]:
    """Files at the root, called like programs, that certainly serve or work, where the script
    `chosen` there does not certainly do either, and the author's commands do not name it alone.

    Those that it imports or names, or that import it, are of one program with it.
    """
    if not _is_uncertain_script(project, chosen.entrypoint):
        return []
    found = standing(project, chosen.name)
    return [] if named_of(project, [chosen, *found]) == [chosen] else found


def standing(project: Project, besides: str) -> list[Candidate]:
    """The same beside the script `besides`, whatever that is."""
    text = read_text(project.root, besides) or ""
    linked = all_imported_files(project, besides)
    names = sorted(path.name for path in project.root.glob("*.py") if is_named(project, path.name))
    found = []
    for name in names:
        stem = Path(name).stem
        if name == besides or name in linked or f"{stem}.py" in text:
            continue
        candidate = judge(project, name, module=None)
        stands = candidate.entrypoint and _stands(project, candidate.entrypoint)
        if stands and besides not in all_imported_files(project, name):
            found.append(candidate)
    return found


def _is_uncertain_script(project: Project, found: Entrypoint | None) -> bool:
    is_at_root = found and found.kind == "script" and "/" not in found.target
    return bool(found and is_at_root and not _stands(project, found))


def _stands(project: Project, program: Entrypoint) -> bool:
    """Whether it certainly serves, or works without an end."""
    return bool(program.run or reach.run(project, program))
