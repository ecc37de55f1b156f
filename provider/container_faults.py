"""docker_container: the engine's refusals as sentences that name the attribute and the way out."""

from __future__ import annotations

import re

from .engine import EngineRefusedError
from .problems import Path, ProviderError
from .values import Values


def explain(
    fault: EngineRefusedError, planned: Values, *, state: Values | None = None
) -> ProviderError:
    """The diagnostic of a failed create or start.

    Args:
        fault: what the engine said.
        planned: the container that was wanted.
        state: the container that exists all the same, if one does.
    """
    name, text = planned["name"], fault.message
    sentence, step, path = f"Docker cannot run container {name!r}: {text}.", "", ("name",)
    if fault.status == 409 and "is already in use" in text:
        sentence = f"A container named {name!r} exists already."
        step = f"Remove it (docker rm -f {name}), import it, or choose another name."
    elif match := _PORT.search(text):
        return _port_taken(match[1], planned, state)
    elif match := re.search(r"bind source path does not exist: (\S+)", text):
        sentence = f"The bind source {match[1]} of container {name!r} does not exist."
        step, path = "Create it on the engine's machine, or correct mounts.source.", ("mounts",)
    elif match := re.search(r"network (\S+) not found", text):
        sentence = f"Container {name!r} cannot join network {match[1]}: there is no such network."
        step, path = "Create it first (docker network ls).", ("networks_advanced",)
    elif "No such container" in text or "cannot join network of a non running container" in text:
        sentence = f"The container whose network {name!r} should share is not running: {text}."
        step, path = "Start that container first (docker ps -a).", ("network_mode",)
    elif match := re.search(r'exec: "([^"]+)": ([^:]+)', text):
        sentence = f"Container {name!r} cannot start its program {match[1]}: {match[2]}."
        step, path = "Correct command or entrypoint, or the image.", ("command",)
    elif "Memory limit" in text or "memory limit" in text:
        path = ("memory",)
    return ProviderError(sentence, step, path=path, state=state)


_PORT = re.compile(
    r"(?:Bind for|bind host port for|listen (?:tcp|udp)[46]?) \S*?:(\d+)\b.*(?:allocated|in use)"
)


def _port_taken(port: str, planned: Values, state: Values | None) -> ProviderError:
    blocks = planned["ports"] or []
    index = next((i for i, item in enumerate(blocks) if str(item["external"]) == port), 0)
    path: Path = ("ports", index, "external")
    return ProviderError(
        f"Port {port} of this machine, wanted by container {planned['name']!r}, is already taken.",
        f"Free it (docker ps --filter publish={port}; ss -ltnp) or change ports.{index}.external.",
        path=path,
        state=state,
    )
