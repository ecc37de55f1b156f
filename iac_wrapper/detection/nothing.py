"""The errors of detection: what was looked for, what was nearly right, what to write."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from iac_wrapper.detection.candidate import Candidate
from iac_wrapper.errors import EntrypointError

_WELL_KNOWN = ("__main__.py", "main.py", "app.py", "pyproject.toml")
_TO_WRITE = "entrypoint: package.module:function"
_MAX_NAMES = 12


def does_not_parse(candidate: Candidate) -> EntrypointError:
    """The best candidate is a file with a syntax error."""
    return EntrypointError(
        f"{candidate.name} cannot be read as Python",
        where=candidate.fault,
        found=candidate.note,
        expected="a file that Python can compile",
        next_step="correct that line; or, if it needs a newer Python than this command runs on, "
        f"write `entrypoint: {candidate.name}` below the app in repos.yaml",
    )


def nothing_to_run(root: Path, where: str, candidates: list[Candidate]) -> EntrypointError:
    """No candidate fits."""
    names = sorted(path.name for path in root.iterdir() if path.name != ".git")
    looked_for = [f"{c.name}: {c.note}" for c in candidates]
    looked_for.append("any other file with a __main__ guard or main(): none")
    return EntrypointError(
        "nothing to run in the checkout",
        where=where or None,
        found=_listing(names),
        expected="one of the files below, or an entrypoint: of your own",
        next_step=_hint(names),
        detail="looked for, in this order:\n" + "\n".join(looked_for),
    )


def _listing(names: list[str]) -> str:
    if not names:
        return "an empty directory"
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _hint(names: list[str]) -> str:
    write = f"write `{_TO_WRITE}` below the app in repos.yaml"
    for name in names:
        near = get_close_matches(name.lower(), _WELL_KNOWN, n=1, cutoff=0.8)
        if near and name not in _WELL_KNOWN:
            return f"rename {name} to {near[0]} if that is what it is meant to be; or {write}"
    return write
