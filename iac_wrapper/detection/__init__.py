"""Finds the program of a checkout and says why. Pure over a directory: it never runs user code."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

from iac_wrapper.detection.candidate import Candidate
from iac_wrapper.detection.candidates import binary, ranked, scan
from iac_wrapper.detection.nothing import does_not_parse, nothing_to_run
from iac_wrapper.detection.override import overrides, resolve
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.python_project import declared_packages

__all__ = ["detect"]


def detect(
    root: Path,
    *,
    entrypoint: str | None = None,
    where: str = "",
    environment: str | None = None,
) -> Entrypoint:
    """The program to run in the checkout `root`.

    Args:
        root: the checkout's directory; only read.
        entrypoint: the value of ``entrypoint:`` in repos.yaml.
        where: ``file:line`` of the app in repos.yaml, for errors.
        environment: the value of ENTRYPOINT in the environment of the deploy.

    Raises:
        EntrypointError: nothing to run, or an override that names what is not there.
        SourceError: pyproject.toml is not TOML.
    """
    declared = declared_packages(root)
    wishes = list(overrides(root, entrypoint=entrypoint, where=where, environment=environment))
    candidates = list(ranked(root, declared))
    if wishes:
        chosen = resolve(root, wishes[0], declared)
        losers = [f"{w.reason} ({w.value}): {_comes_after(chosen)}" for w in wishes[1:]]
        return _with_losers(chosen, candidates, losers)
    return _detected(root, candidates, declared, where)


def _detected(
    root: Path, candidates: list[Candidate], declared: frozenset[str], where: str
) -> Entrypoint:
    if not any(c.entrypoint or c.fault for c in candidates):
        names = {c.name for c in candidates}
        candidates += [c for c in scan(root, declared) if c.name not in names]
    candidates.append(binary(root))
    for candidate in candidates:
        if candidate.fault:
            raise does_not_parse(candidate)
        if candidate.entrypoint:
            return _with_losers(candidate.entrypoint, candidates, [])
    raise nothing_to_run(root, where, candidates)


def _with_losers(chosen: Entrypoint, candidates: list[Candidate], losers: list[str]) -> Entrypoint:
    """`chosen` with the candidates that were there and lost, each with its reason."""
    for candidate in candidates:
        other = candidate.entrypoint
        if other and (other.target, other.function) == (chosen.target, chosen.function):
            continue
        if other:
            losers.append(f"{candidate.name}: {_comes_after(chosen)}")
        elif candidate.present:
            losers.append(f"{candidate.name}: {candidate.note}")
    return replace(chosen, rejected=tuple(chain(losers)))


def _comes_after(chosen: Entrypoint) -> str:
    return f"comes after {chosen.display}"
