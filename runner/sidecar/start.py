"""Everything in order."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from runner.listeners import MESH_PORTS
from runner.sidecar import (
    config,
    crowd,
    endpoint,
    environment,
    envoy,
    firewall,
    names,
    privileges,
    tcp_paths,
)
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.handover import Handover
from runner.sidecar.log import say
from runner.sidecar.refused import Refused
from runner.sidecar.supervise import EnvoySupervisor

READY = "iac-ready"
"""The line by which an operator's container says that its port answers."""

EX_CONFIG = 78  # sysexits.h: retrying without an edit cannot help


def main() -> int:
    """Become the supervisor of one Envoy; the exit status of the container."""
    try:
        wanted = environment.read_environment(os.environ)
        check_pid(os.getpid(), Path("/proc/1/comm").read_text().strip())
        documents = config.documents(config.load_envoy_config(wanted))
        firewall.establish(wanted)
        config.make_directory()
        privileges.drop(wanted.uid)
        path = _prepare(wanted, documents)
        operator = _operator(config.RUN) if wanted.role == "operator" else None
    except (Refused, OSError) as error:
        say(str(error))
        return EX_CONFIG
    # Blocks signals for the threads that follow as well.
    drain = _no_drain if operator else envoy.drain
    supervisor = EnvoySupervisor(envoy.command(path, wanted.role), drain)
    if operator:
        operator.follow()
        threading.Thread(target=_tell_when_ready, daemon=True).start()
    if wanted.role == "sidecar":
        endpoint.follow(wanted, config.RUN)
        names.start(wanted.project, tcp_paths.follow(wanted, documents, config.RUN))
        crowd.watch([MESH_PORTS["mtls"]])
    else:
        names.start(wanted.project)
    return supervisor.run()


def _prepare(wanted: SidecarEnvironment, documents: Mapping[str, str]) -> Path:
    path = config.write(documents, tcp_paths.first(wanted.offer.ports))
    if wanted.role in ("sidecar", "ingress"):
        config.check_key()
    return path


def _operator(directory: Path) -> Handover:
    handover = Handover(sys.stdin.fileno(), directory)
    handover.first()
    return handover


def _tell_when_ready() -> None:
    while "LIVE" not in envoy.ask("GET", "/ready"):
        time.sleep(0.05)
    print(READY, flush=True)


def _no_drain() -> None:
    """The one client has gone."""


def check_pid(pid: int, first: str) -> None:
    """Stop where this does not belong.

    Args:
        pid: our own.
        first: the name of PID 1 (its /proc/1/comm).

    Raises:
        Refused: we are not the first process of a container.
    """
    if pid == 1:
        return
    text = "not PID 1: outside a container this would replace the host's firewall"
    if first in ("docker-init", "tini", "catatonit"):
        # The engine's default: `init = false` is lost where a provider takes it for "not said".
        text = f'not PID 1, but {first} is: remove "init": true from the engine\'s daemon.json'
    raise Refused(text)
