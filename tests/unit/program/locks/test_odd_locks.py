"""Whatever a lock holds, it is installed or refused with a sentence."""

from __future__ import annotations

import contextlib
import random
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.program.locks import pdm, pipfile, poetry, pylock, uv
from iac_wrapper.program.locks.pins import Locked
from iac_wrapper.program.locks.selection import Selection
from tests.support import locks

ODD: tuple[Any, ...] = (None, 5, True, "", "x", "a; b", [], [[]], ["x"], {}, {"x": {}}, [{"x": 1}])
ROOT = Path("/nowhere")
CHOSEN = Selection(("dev",), ("web",))


def altered(value: Any, dice: random.Random) -> Any:
    """The same with something else in a place or two."""
    if dice.random() < 0.06:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {key: altered(one, dice) for key, one in value.items()}
    if isinstance(value, list):
        return [altered(one, dice) for one in value]
    return value


def is_table(value: Any) -> bool:
    return isinstance(value, dict)


def readings(dice: random.Random) -> Iterator[Locked]:
    poetry_project, pdm_project = (
        altered(tomllib.loads(text), dice) for text in (locks.POETRY_PROJECT, locks.PDM_PROJECT)
    )
    poetry_lock, pdm_lock, pylock_lock = (
        altered(tomllib.loads(text), dice) for text in (locks.POETRY, locks.PDM, locks.PYLOCK)
    )
    pipfile_project = altered(tomllib.loads(locks.PIPFILE), dice)
    for project in filter(is_table, (poetry_project, pdm_project, pipfile_project)):
        for lock in filter(is_table, (poetry_lock, pdm_lock, pylock_lock)):
            uv.stale(project, lock)
            with contextlib.suppress(SourceError):
                yield poetry.read(ROOT, project, lock, CHOSEN)
            with contextlib.suppress(SourceError):
                yield pdm.read(project, lock, CHOSEN)
            with contextlib.suppress(SourceError):
                yield pylock.read(lock, CHOSEN)
            with contextlib.suppress(SourceError):
                yield pipfile.read(project, lock, CHOSEN)


def test_no_lock_ends_in_a_traceback() -> None:
    """Every other error is one of ours, which names the lock."""
    lines = 0
    for seed in range(40):
        for found in readings(random.Random(seed)):  # noqa: S311 - no secret
            with contextlib.suppress(SourceError):
                lines += len(found.requirements("a lock").splitlines())
    assert lines > 100
