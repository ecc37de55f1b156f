"""Programs for whose imports nothing is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from iac_wrapper.errors import SourceError
from iac_wrapper.program.dependency_plan import Dependencies
from iac_wrapper.program.dependency_project import Project
from iac_wrapper.program.detection.project import Project as Code
from iac_wrapper.program.detection.requirements_below import requirements_below
from iac_wrapper.program.imported_packages import imported_packages
from iac_wrapper.program.python_project import PYPROJECT, inside

_MAX_NAMES = 5


def undeclared(project: Project, found: Dependencies) -> Iterator[str]:
    """What the program imports where nothing is installed.

    Raises:
        SourceError: it is sure to end at such an import, and nobody but the repository said what to
            run and to install.
    """
    if found.early or found.late or project.entrypoint.kind == "binary":
        return
    own = (project.code or Code(project.root)).own
    imported = imported_packages(own, project.entrypoint)
    names = list(dict.fromkeys(name.partition(".")[0] for name in imported))
    if not names:
        return
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    said = ", ".join(names[:_MAX_NAMES]) + more
    is_found = project.entrypoint.source == "repository" and not project.is_asked
    if is_found and not all(_may_be_own(project.root, name) for name in names):
        raise _nothing_installed(project.root, said, next(iter(imported.values())))
    yield (
        f"nothing says to install {said}, which the program"
        " imports: add a requirements.txt with what it needs"
    )


def _may_be_own(root: Path, name: str) -> bool:
    """Whether a file or folder anywhere has that name: its place may be added to the path."""
    ends = (f"{name}.py", name)
    return any(True for end in ends for _ in root.rglob(end))


def _nothing_installed(root: Path, names: str, file: str) -> SourceError:
    steps = [f"write `dependencies: {name}` in its entry" for name in requirements_below(root)[:1]]
    steps.append("add a requirements.txt with what it needs to the repository")
    if inside(root, "Dockerfile"):
        steps.append("write `build: dockerfile` in its entry: the Dockerfile installs by itself")
    return SourceError(
        "nothing says to install what the program imports",
        where=file,
        found=names,
        expected=f"a requirements.txt or {PYPROJECT} that names them",
        next_step="; or ".join(steps),
    )
