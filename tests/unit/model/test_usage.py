"""A command line that got no arguments has done nothing, whatever its exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.model.diagnosis import DiagnosisFacts, diagnose
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.usage import may_be_usage, not_completed, usage_line
from tests.support.deployed import app

SCRIPT = Entrypoint(
    "module", "ledger.cli", "main", "[project.scripts] ledger is the first script in pyproject.toml"
)
OLDER = "console_scripts ledger is the first script in setup.py"
APP = replace(app("ledger"), entrypoint=SCRIPT, run=None)
ENDED = Health("ledger", "SERVING", "COMPLETED", exit_code=0)

ARGPARSE = ["usage: ledger [-h] {show,serve} ...", "", "options:", "  -h, --help  show this"]
CLICK = ["Usage: ledger [OPTIONS] COMMAND [ARGS]...", "", "  Keeps a ledger."]
RICH = ["", " Usage: ledger [OPTIONS] COMMAND [ARGS]...", "╭─ Options ─╮"]
DOCOPT = ["Ledger.", "", "Usage:", "  ledger serve"]


@pytest.mark.parametrize("lines", [ARGPARSE, CLICK, RICH, DOCOPT])
def test_usage_texts_are_known(lines: list[str]) -> None:
    assert "usage" in usage_line(["runner: started", *lines]).lower()


@pytest.mark.parametrize(
    "lines",
    [
        ["hello"],
        ["memory usage: 12 MiB"],
        [*map(str, range(20)), "usage: ledger"],
        ["usage:12"],
        ["usage: ledger", "Traceback (most recent call last):", "KeyError: 'LEDGER'"],
        [],
    ],
)
def test_other_output_is_no_usage_text(lines: list[str]) -> None:
    assert usage_line(lines) == ""


def test_the_missing_argument_is_the_better_evidence() -> None:
    said = [
        "usage: x [-h] --config FILE",
        "x: error: the following arguments are required: --config",
    ]

    assert usage_line(said) == said[1]


@pytest.mark.parametrize(
    ("entrypoint", "words"),
    [
        (SCRIPT, "`entrypoint: ledger serve --port $PORT`"),
        (Entrypoint("script", "tool.py", None, ""), "python tool.py serve"),
        (Entrypoint("module", "tool", None, ""), "python -m tool serve"),
        (replace(SCRIPT, reason=OLDER), "`entrypoint: ledger serve --port $PORT`"),
        (Entrypoint("module", "tool.cli", "main", ""), "`entrypoint: tool.cli:main serve"),
        (Entrypoint("script", "tool.py", "main", ""), "`entrypoint: tool.py:main serve"),
        (Entrypoint("binary", "/app/main", None, ""), "./main serve"),
        (Entrypoint("module", "x", None, "", command="python -m x"), "python -m x serve"),
        (replace(SCRIPT, web_object="ledger.api:app"), "`entrypoint: ledger.api:app`"),
    ],
)
@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_verdict_says_what_to_write(entrypoint: Entrypoint, words: str, code: int) -> None:
    health = replace(ENDED, exit_code=code)
    health = not_completed(health) if code == 0 else replace(health, phase="FAILED")
    health = replace(health, status="NOT_SERVING")
    facts = DiagnosisFacts(
        app=replace(APP, entrypoint=entrypoint),
        project="p",
        health=health,
        probe=Probe("ledger", True, ""),
        rotated=True,
        state="running",
        oom=False,
        waited=10,
        limit=60,
        memory_mb=512,
        lines=ARGPARSE,
    )

    finding = diagnose(facts).finding

    assert finding.code == "command-line"
    assert finding.cause == "a command-line program: it printed its usage and ended"
    assert finding.evidence == ARGPARSE[0]
    assert words in finding.next_step


def test_a_job_and_a_crash_are_something_else() -> None:
    assert may_be_usage(APP, ENDED)
    assert not may_be_usage(replace(APP, run="job"), ENDED)
    assert not may_be_usage(APP, replace(ENDED, exit_code=3))
    assert not may_be_usage(APP, replace(ENDED, exit_code=None))
