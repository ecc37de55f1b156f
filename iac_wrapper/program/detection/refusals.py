"""The errors of detection: what was looked for, what was nearly right, what to write."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from iac_wrapper.errors import EntrypointError
from iac_wrapper.program.detection.candidate import MISSING, Candidate

_WELL_KNOWN = ("__main__.py", "main.py", "app.py", "pyproject.toml", "Procfile")
_TO_WRITE = "entrypoint: package.module:function"
_MAX_NAMES = 12

PROCFILE, APP, BINARY = "Procfile", "app.py", "/app/main"
"""Places in the order of what was looked for."""


def does_not_parse(candidate: Candidate) -> EntrypointError:
    """The best candidate is a file with a syntax error."""
    return EntrypointError(
        f"{candidate.name} cannot be read as Python",
        where=candidate.fault,
        found=candidate.note,
        expected="a file that Python can compile",
        next_step="correct that line; or, if it needs a newer Python than this command runs on, "
        f"write `entrypoint: {candidate.name}` in its entry of repos.yaml",
    )


def several(where: str, slug: str, candidates: list[Candidate]) -> EntrypointError:
    """More than one candidate of equal right: which one is meant is not ours to guess."""
    entries = [f"- slug: {slug}\n  entrypoint: {c.write}    # {c.note}" for c in candidates]
    return EntrypointError(
        "several programs could be meant, and nothing in the repository says which",
        where=where or None,
        found=_listing([c.write for c in candidates]),
        expected="one program, or a Procfile with a `web:` line",
        next_step="make its entry in repos.yaml one of these",
        detail="\n".join(entries),
    )


def nothing_to_run(root: Path, where: str, candidates: list[Candidate]) -> EntrypointError:
    """No candidate fits."""
    names = sorted(path.name for path in root.iterdir() if path.name != ".git")
    procfile = "no web: or worker: line" if (root / PROCFILE).is_file() else MISSING
    lines = [
        "an override (entrypoint:, ENTRYPOINT, LABEL ENTRYPOINT in the Dockerfile): none",
        f"{PROCFILE}: {procfile}",
        *(f"{c.name}: {c.note}" for c in candidates),
    ]
    _insert(lines, APP, "a web application for which the requirements name a server: none")
    _insert(lines, BINARY, "any other file with a __main__ guard or main(): none")
    return EntrypointError(
        "nothing to run in the checkout",
        where=where or None,
        found=_listing(names),
        expected="one of the files below, or an entrypoint: of your own",
        next_step=_hint(root, names),
        detail="looked for, in this order:\n" + "\n".join(lines),
    )


def _insert(lines: list[str], place: str, line: str) -> None:
    """Put what is no file of its own before the line of `place`, where its turn is."""
    at = (i for i, known in enumerate(lines) if known.startswith(f"{place}: "))
    lines.insert(next(at, len(lines)), line)


def _listing(names: list[str]) -> str:
    if not names:
        return "an empty directory"
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _hint(root: Path, names: list[str]) -> str:
    programs = [name for name in names if name.endswith(".py")]
    to_write = f"entrypoint: {programs[0]}" if len(programs) == 1 else _TO_WRITE
    write = f"write `{to_write}` in its entry of repos.yaml"
    for name in names:
        near = get_close_matches(name.lower(), _WELL_KNOWN, n=1, cutoff=0.8)
        if near and name not in _WELL_KNOWN:
            return f"rename {name} to {near[0]} if that is what it is meant to be; or {write}"
    for name in names:
        if any((root / name / file).is_file() for file in ("manage.py", "main.py", "Procfile")):
            return f"add the folder to the slug, …#:{name}, if the program lies there; or {write}"
    return write
