"""The layouts of `layouts/*.yaml`: what each expects, and what detection makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from iac_wrapper.errors import SourceError
from iac_wrapper.program.dependencies import Dependencies, find_dependencies
from iac_wrapper.program.detection import Detection, detect
from iac_wrapper.program.python_version import PythonChoice, choose_python
from iac_wrapper.program.system_packages import SystemPackages, find_system_packages

HERE = Path(__file__).parent
BASES = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Versions for which a base image is taken to be there."""

Outcome = Literal["right", "refused", "wrong"]
"""``refused``: no plan where one is expected, but an error that says what to do."""

_CATCH_ALL = "nothing to run"
"""The error that knows of no program at all is no way out of a layout that has one."""


@dataclass(frozen=True)
class Layout:
    """One invented repository, of the file `group`, with its expectation."""

    group: str
    name: str
    files: Mapping[str, str]
    entrypoint: str | None
    expect: Mapping[str, Any] | None
    refused: tuple[str, ...]

    def write(self, root: Path) -> None:
        for name, text in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())


@dataclass(frozen=True)
class Plan:
    """All that is decided of a checkout before it is built."""

    detection: Detection
    python: PythonChoice
    dependencies: Dependencies
    system: SystemPackages

    @property
    def notes(self) -> tuple[str, ...]:
        own = (*self.detection.notes, *self.python.notes)
        return (*own, *self.dependencies.notes, *self.system.notes)


def read_layouts() -> tuple[Layout, ...]:
    return tuple(
        Layout(
            group=path.stem.removeprefix("like_"),
            name=entry["name"],
            files=entry["files"],
            entrypoint=entry.get("entrypoint"),
            expect=entry.get("expect"),
            refused=tuple(entry.get("refused", ())),
        )
        for path in sorted((HERE / "layouts").glob("*.yaml"))
        for entry in yaml.load(path.read_bytes(), yaml.CSafeLoader)
    )


def plan(layout: Layout, root: Path) -> Plan:
    """What is decided for the files of `layout`, written to `root`."""
    detection = detect(root, entrypoint=layout.entrypoint, where="repos.yaml:1", slug="gh:acme/x")
    program = detection.entrypoint
    script = program.target if program.kind == "script" else None
    source = root / detection.folder
    python = choose_python(source, default="3.11", available=BASES, script=script, pinned=True)
    dependencies = find_dependencies(source, program, source=root if detection.folder else None)
    is_python = program.kind != "binary"
    system = find_system_packages(source, dependencies, (), python=is_python)
    return Plan(detection, python, dependencies, system)


def judge(layout: Layout, root: Path) -> tuple[Outcome, list[str]]:
    """How the decision compares, and a line for each difference. Writes the files to `root`."""
    layout.write(root)
    try:
        found = plan(layout, root)
    except SourceError as error:
        return _refusal(layout, error)
    if layout.expect is None:
        return "wrong", [f"not refused: {found.detection.entrypoint.display}"]
    differences = list(_differences(layout.expect, found))
    return ("wrong" if differences else "right"), differences


def _refusal(layout: Layout, error: SourceError) -> tuple[Outcome, list[str]]:
    text = error.render()
    missing = [word for word in layout.refused if word.lower() not in text.lower()]
    if layout.expect is None:
        lines = [f"the error does not say {word!r}:\n{text}" for word in missing]
        return ("wrong" if missing else "right"), lines
    is_clear = bool(error.next_step) and not error.message.startswith(_CATCH_ALL)
    return ("refused" if is_clear else "wrong"), [text]


def _differences(expect: Mapping[str, Any], found: Plan) -> Iterator[str]:
    program = found.detection.entrypoint
    for key, wanted in expect.items():
        actual = _actual(key, found)
        if not _fits(key, wanted, actual):
            yield f"{key}: {actual!r}, expected {wanted!r} ({program.display}: {program.reason})"


def _actual(key: str, found: Plan) -> Any:
    program = found.detection.entrypoint
    values: dict[str, Any] = {
        "program": program.display,
        "python": found.python.version,
        "dependencies": found.dependencies.reason,
        "packages": found.system.final,
        "notes": found.notes,
        "variables": dict(getattr(program, "variables", ())),
    }
    return values[key] if key in values else getattr(program, key, None)


def _fits(key: str, wanted: Any, actual: Any) -> bool:
    if key == "program":
        words = [wanted] if isinstance(wanted, str) else wanted
        return any(f"{actual} ".startswith(f"{start} ") for start in words)
    if key == "dependencies":
        return wanted in actual and actual.startswith("none") == wanted.startswith("none")
    if key == "packages":
        return bool(actual) == bool(wanted) and set(wanted) <= set(actual)
    if key in ("notes", "rejected"):
        return all(_is_in_one(words, actual) for words in wanted)
    if key == "variables":
        return all(value in actual.get(name, "") for name, value in wanted.items())
    return bool(wanted == actual)


def _is_in_one(words: str, sentences: Iterable[str]) -> bool:
    return any(words.lower() in sentence.lower() for sentence in sentences)
