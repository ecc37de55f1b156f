"""Everything in order."""

from __future__ import annotations

import os
from pathlib import Path

from runner.sidecar import config, endpoint, environment, envoy, firewall, names, privileges
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.log import say
from runner.sidecar.refused import Refused
from runner.sidecar.supervise import EnvoySupervisor

EX_CONFIG = 78  # sysexits.h: retrying without an edit cannot help


def main() -> int:
    """Become the supervisor of one Envoy; the exit status of the container."""
    try:
        wanted = environment.read_environment(os.environ)
        check_pid(os.getpid(), Path("/proc/1/comm").read_text().strip())
        text = config.load_envoy_config(wanted)
        firewall.establish(wanted)
        config.make_directory()
        privileges.drop(wanted.uid)
        path = _prepare(wanted, text)
    except (Refused, OSError) as error:
        say(str(error))
        return EX_CONFIG
    # Blocks signals for the threads that follow as well.
    supervisor = EnvoySupervisor(envoy.command(path, wanted.role), envoy.drain)
    names.start(wanted.project, tell=wanted.role == "sidecar")
    if wanted.role == "sidecar":
        endpoint.follow(wanted, config.RUN)
    return supervisor.run()


def _prepare(wanted: SidecarEnvironment, text: str) -> Path:
    path = config.write(text)
    if wanted.role != "gateway":
        config.check_key()
    return path


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
