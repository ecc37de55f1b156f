"""What containers take of the machine at the moment, and whose an address is."""

from __future__ import annotations

import time
from typing import Any

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels


def processes(engine: Engine, container: str) -> int:
    """How many processes and threads a container has; 0: it does not run, or nobody knows."""

    def ask(api: Any) -> int:
        found = api.stats(container, stream=False, one_shot=True)
        return int(found.get("pids_stats", {}).get("current") or 0)

    try:
        return engine.call(ask)
    except CommandError:
        return 0


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
