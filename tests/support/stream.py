"""What `--json` prints of a verb that changes a project: each line held against its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

_SCHEMA = Path(__file__).parents[2] / "docs" / "output.schema.json"


def lines_of(stdout: str) -> list[dict[str, Any]]:
    """Every line; the last one alone is the result."""
    validator = jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text(encoding="utf-8")))
    lines: list[dict[str, Any]] = [json.loads(line) for line in stdout.splitlines()]
    for line in lines:
        validator.validate(line)
    assert [line["kind"] == "result" for line in lines] == [False] * (len(lines) - 1) + [True]
    return lines


def result_of(stdout: str) -> dict[str, Any]:
    """The result."""
    found: dict[str, Any] = lines_of(stdout)[-1]["result"]
    return found
