"""Everything in order."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from runner.sidecar import (
    config,
    control,
    crowd,
    egress,
    endpoint,
    environment,
    envoy,
    firewall,
    names,
    policy_files,
    privileges,
    refused_packets,
    tcp_files,
    tcp_paths,
    watchdog,
)
from runner.sidecar.drain import ProgramRequests
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.handover import Handover
from runner.sidecar.log import say
from runner.sidecar.outside_names import OutsideNames, RefusedAttempts
from runner.sidecar.pair import Pair
from runner.sidecar.policy_files import Admission
from runner.sidecar.policy_keeper import PolicyKeeper
from runner.sidecar.policy_store import PolicyStore
from runner.sidecar.refused import Refused
from runner.sidecar.supervise import EnvoySupervisor

HOSTS_FILE = Path("/etc/hosts")
"""Docker's, which the program's container shares."""

READY = "iac-ready"
"""The line by which an operator's container says that its port answers."""

EX_CONFIG = 78  # sysexits.h: retrying without an edit cannot help


def main() -> int:
    """Become the supervisor of one Envoy; the exit status of the container."""
    try:
        wanted = environment.read_environment(os.environ)
        check_pid(os.getpid(), Path("/proc/1/comm").read_text().strip())
        documents = config.documents(config.load_envoy_config(wanted))
        wanted = _with_hosts_file(wanted)
        firewall.establish(wanted)
        kernel = refused_packets.listen() if wanted.egress else None
        config.make_directory()
        store = PolicyStore(wanted.policy)
        store.prepare()
        privileges.drop(wanted.uid)
        admission = Admission(wanted.service, wanted.trust_domain, store.load())
        path = _prepare(wanted, documents, admission)
        operator = _operator(config.RUN) if wanted.role == "operator" else None
    except (Refused, OSError) as error:
        say(str(error))
        return EX_CONFIG
    # Blocks signals for the threads that follow as well.
    supervisor = EnvoySupervisor(envoy.command(path, wanted.role))
    watchdog.follow(lambda: supervisor.pid)
    if operator:
        operator.follow()
        threading.Thread(target=_tell_when_ready, daemon=True).start()
    if wanted.role == "sidecar":
        follower = endpoint.follow(wanted, config.RUN)
        requests = ProgramRequests(follower, wanted.stop_grace)
        leave = _pair(wanted, requests)
        paths = tcp_paths.follow(wanted, documents, config.RUN, admission)
        keeper = PolicyKeeper(admission, documents, store, config.RUN, paths)
        control.start(wanted, keeper, follower.look, requests, config.RUN)
        names.start(wanted.project, paths.names, _outside(wanted, kernel))
        crowd.watch()
    else:
        leave = _no_drain if operator else envoy.drain
        if not operator:
            control.serve(config.RUN / control.SOCKET, {})  # to be alive is to answer
        names.start(wanted.project)
    return supervisor.run(leave)


def _with_hosts_file(wanted: SidecarEnvironment) -> SidecarEnvironment:
    if wanted.egress is None:
        return wanted
    known = egress.known(HOSTS_FILE.read_text(encoding="utf-8"))
    return replace(wanted, egress=wanted.egress.with_known(known))


def _outside(wanted: SidecarEnvironment, kernel: socket.socket | None) -> OutsideNames | None:
    if wanted.egress is None:
        return None
    refused = RefusedAttempts(wanted.service)
    if kernel:
        refused_packets.follow(kernel, refused)
    return OutsideNames(wanted.egress, refused)


def _pair(wanted: SidecarEnvironment, requests: ProgramRequests) -> Callable[[], None]:
    """Listen to the program's runner, if it has one; what to do in the end."""
    if not wanted.runner_uid:
        return requests.drain
    pair = Pair(wanted.runner_uid, requests)
    pair.serve()
    return pair.leave


def _prepare(
    wanted: SidecarEnvironment, documents: Mapping[str, str], admission: Admission
) -> Path:
    path = config.write(documents, first_files(wanted, documents, admission))
    if wanted.role in ("sidecar", "ingress"):
        config.check_key()
    return path


def first_files(
    wanted: SidecarEnvironment, documents: Mapping[str, str], admission: Admission
) -> dict[str, str]:
    """What the policy and the TCP ports fill in before Envoy starts."""
    if wanted.role != "sidecar":
        return {}
    hosts = wanted.egress.hosts if wanted.egress else ()
    first = tcp_paths.first(wanted.offer.ports, admission, hosts=hosts)
    tcp = tcp_files.fill(documents, first)
    return {**tcp, policy_files.ROUTES: admission.routes(documents)}


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
