"""What containers take of the machine at the moment, and whose an address is."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels
from iac_wrapper.model.load import Load

LOAD_SECONDS = 0.5
"""How long processors are counted for one look."""

_WORKERS = 16


def processes(engine: Engine, container: str) -> int:
    """How many processes and threads a container has; 0: it does not run, or nobody knows."""

    def ask(api: Any) -> int:
        found = api.stats(container, stream=False, one_shot=True)
        return int(found.get("pids_stats", {}).get("current") or 0)

    try:
        return engine.call(ask)
    except CommandError:
        return 0


def loads(engine: Engine, containers: Collection[str]) -> dict[str, Load]:
    """What each container uses now, over `LOAD_SECONDS`; those that do not run are left out."""
    if not containers:
        return {}
    with ThreadPoolExecutor(_WORKERS) as pool:
        before = dict(zip(containers, pool.map(partial(_stats, engine), containers), strict=True))
        time.sleep(LOAD_SECONDS)
        after = dict(zip(containers, pool.map(partial(_stats, engine), containers), strict=True))
    found = {each: _load(before[each], after[each]) for each in containers}
    return {name: load for name, load in found.items() if load}


def _stats(engine: Engine, container: str) -> dict[str, Any]:
    """The engine's own numbers; empty: it does not run, or nobody knows."""
    try:
        return dict(engine.call(lambda api: api.stats(container, stream=False, one_shot=True)))
    except CommandError:
        return {}


def _load(before: dict[str, Any], after: dict[str, Any]) -> Load | None:
    """As `docker stats` counts: memory without files that were read and may be dropped."""
    try:
        memory, (old, new) = after["memory_stats"], (before["cpu_stats"], after["cpu_stats"])
        files = memory.get("stats", {})  # the first name is that of cgroup 1
        spare = files.get("total_inactive_file", files.get("inactive_file", 0))
        own = new["cpu_usage"]["total_usage"] - old["cpu_usage"]["total_usage"]
        whole = new["system_cpu_usage"] - old["system_cpu_usage"]
        share = own / whole if whole > 0 else 0.0
        return Load(share * new["online_cpus"], memory["usage"] - spare, memory["limit"])
    except KeyError:
        return None


def errors_since(engine: Engine, container: str, seconds: int, lines: int) -> str:
    """What a container wrote to its standard error in the last `seconds`, the last `lines` of it;
    empty if it is gone."""

    def ask(api: Any) -> str:
        text = api.logs(container, stdout=False, stderr=True, tail=lines, since=_ago(seconds))
        return bytes(text).decode(errors="replace")

    try:
        return engine.call(ask)
    except CommandError:
        return ""


def holder(engine: Engine, project: str, address: str) -> str:
    """The service, or the part of the project, that has an address on its network; empty: none."""

    def ask(api: Any) -> str:
        for each in api.containers(filters={"label": f"{labels.PROJECT}={project}"}):
            networks = each["NetworkSettings"]["Networks"].values()
            if any(network["IPAddress"] == address for network in networks):
                present = each["Labels"]
                return str(present.get(labels.SERVICE) or present.get(labels.ROLE, ""))
        return ""

    return engine.call(ask)


def _ago(seconds: int) -> int:
    return int(time.time()) - seconds
