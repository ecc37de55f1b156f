"""What `make reliability` has to show, and the document that says what was seen.

Results lie in docs/reliability.json, one for each test, and stay until the test runs again;
docs/reliability.md is made of them.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import docker

from iac_wrapper.files.atomic import write_bytes
from tests.support import machine

DATA = machine.ROOT / "docs" / "reliability.json"
PAGE = DATA.with_suffix(".md")


@dataclass(frozen=True)
class Row:
    """One promise: what is done, and the number that is asked for."""

    test: str
    asked: str


ROWS: Mapping[int, Row] = {
    1: Row(
        "20 leaf rotations under load, kept and fresh connections",
        "0 failed; new serial within 1 s; no key-mismatch counter moves",
    ),
    2: Row(
        "a bad pair put there by hand, recovery, then a change of the authorities alone",
        "0 lost; the removed authority refused",
    ),
    3: Row(
        "another authority under load with fresh handshakes, one service stopped meanwhile",
        "0 failed; a client of the old one refused; the stopped one joins",
    ),
    4: Row("who has no right certificate, or is not allowed", "all refused on a completed call"),
    5: Row("cold start whose first act is an outbound call", "20 of 20"),
    6: Row(
        "8 calls of 2 s in flight at stop, code, env and port change, with and without a handler"
        " for SIGTERM",
        "8 of 8 each; longest gap of a 20 ms probe at most 0.25 s",
    ),
    7: Row(
        "kill -9 and SIGSTOP of Envoy, program, runner, either PID 1, both, gateway, ingress,"
        " under load",
        "only calls in flight fail; back within 15 s, without a command",
    ),
    8: Row(
        "engine killed with -9 and started with 10 services, with and without the keeper",
        "10 of 10 within 60 s",
    ),
    9: Row("keeper, admin service and gateway stopped", "0 failed"),
    10: Row(
        "`iac`, Terraform or the provider killed with -9 at 20 random points",
        "ledger, state and engine agree after the next deploy; no orphans; authority unchanged;"
        " 0 failed",
    ),
    11: Row(
        "a foreign container and an app look for ports, admin, keys, files of others, ptrace",
        "0 reachable",
    ),
    12: Row("the addresses of two services swapped", "0 answered by the wrong identity"),
    13: Row(
        "connections, header floods, slow handshakes, a fork bomb and endless logs in one service",
        "neighbours: 0 failed within 10 s each; who it is, is limited and named",
    ),
    14: Row("keys and secrets in JSON, state, plan, images, logs, process lists", "0 found"),
    15: Row("a new version of `iac` deploys what the version before deployed", "0 failed"),
    16: Row(
        "a week in fast motion: 60 operations on 5 services",
        "the disk grows by no more than the releases that are kept",
    ),
    17: Row("rollback of a service under 200 requests/s", "0 failed; proven within 3 s"),
}


@dataclass(frozen=True)
class Outcome:
    """The last run of one test: what it did, how many, and the number seen or why it failed."""

    row: int
    date: str
    version: str
    passed: bool
    done: str
    count: str
    seen: str


def load() -> dict[str, Outcome]:
    """What is known, by the name of the test."""
    if not DATA.exists():
        return {}
    found = json.loads(DATA.read_text("utf-8"))["results"]
    return {name: Outcome(**values) for name, values in found.items()}


def about() -> dict[str, str]:
    """Machine and versions of the last run."""
    found: dict[str, str] = json.loads(DATA.read_text("utf-8"))["about"]
    return found


def save(outcomes: Mapping[str, Outcome]) -> None:
    """Write the results and the page."""
    facts = _about()
    results = {name: asdict(outcomes[name]) for name in sorted(outcomes)}
    text = json.dumps({"about": facts, "results": results}, indent=1, ensure_ascii=False) + "\n"
    write_bytes(DATA, text.encode(), mode=0o644)
    write_bytes(PAGE, page(facts, outcomes).encode(), mode=0o644)


def page(about: Mapping[str, str], outcomes: Mapping[str, Outcome]) -> str:
    """docs/reliability.md."""
    facts = "".join(f"| {name} | {value} |\n" for name, value in about.items())
    return _HEAD.format(facts=facts) + "".join(
        _section(number, row, outcomes) for number, row in ROWS.items()
    )


_HEAD = """\
# Reliability, measured

`make reliability` breaks real projects on the real engine, under load, and writes this page. A row
keeps its last result, with its date, until it runs again. A failed call is one that a program or a
person saw fail, with a time-out of 10 s.

| last run | |
|---|---|
{facts}"""


def _section(number: int, row: Row, outcomes: Mapping[str, Outcome]) -> str:
    lines = "".join(
        f"| {_cell(each.done)} | {_cell(each.count)} | {_cell(_seen(each))} |"
        f" {each.date}, {each.version} |\n"
        for _, each in sorted(outcomes.items())
        if each.row == number
    )
    table = f"| what was done | count | seen | when |\n|---|---|---|---|\n{lines}"
    return (
        f"\n## {number}. {row.test[0].upper()}{row.test[1:]}\n\n"
        f"Asked for: {row.asked}.\n\n{table if lines else 'Not run.'}" + "\n" * (not lines)
    )


def _seen(outcome: Outcome) -> str:
    return outcome.seen if outcome.passed else f"**failed**: {outcome.seen}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def why(error: BaseException) -> str:
    """One line on a failure, without paths of this machine."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return re.sub(r"/(?:tmp|root|home|work|var)/\S*", "…", first)[:200]


def version() -> str:
    """Which source ran; ``+``: it was edited."""
    argv = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(argv, cwd=machine.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "no git"


def _about() -> dict[str, str]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    envoy = machine.record().sidecar_image.rpartition(":")[2].partition("-")[0]
    return {
        "machine": f"{os.cpu_count()} processors, {memory:.0f} GB of memory",
        "kernel": platform.release().partition("-")[0],
        "engine": str(docker.from_env().version()["Version"]),
        "Envoy": envoy,
        "Python": platform.python_version(),
    }
