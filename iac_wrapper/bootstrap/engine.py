"""The Docker engine: found, else installed and started where that is allowed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import apt
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.machine import Machine
from iac_wrapper.bootstrap.tools import on_path
from iac_wrapper.errors import EngineError
from iac_wrapper.files.machine_home import setup_command

START_TIMEOUT = 60.0
"""Seconds until a started engine must answer; the first start on a slow disk takes about ten."""

PACKAGES = ("docker.io", "iptables")
SPLIT_PACKAGES = ("docker-cli", "docker-buildx")
"""Part of docker.io up to Debian 12, packages of their own on later releases and on Ubuntu."""


PID_FILES = {
    "dockerd": Path("/var/run/docker.pid"),
    "containerd": Path("/var/run/docker/containerd/containerd.pid"),
}
"""dockerd's own pid file, and that of the containerd it starts."""


@dataclass(frozen=True)
class Situation:
    """What was seen of an engine that does not answer.

    `said` is the docker CLI's own complaint, empty when there is no CLI. `endpoint` is what the
    user chose (``DOCKER_HOST``), empty for the default one.
    """

    client: bool
    daemon: bool
    message: str
    endpoint: str


def ping(client: Path) -> process.CommandResult:
    """Ask the engine for its version through a docker CLI."""
    command = Command((str(client), "version", "--format", "{{.Server.Version}}"))
    return process.run(command, timeout=20)


def ensure(context: BootstrapRun) -> None:
    """Return once an engine answers.

    Raises:
        EngineError: none does, and this machine or user cannot change that by itself.
    """
    situation = _look(context)
    if situation is None:
        return
    machine = context.machine
    if must_install(situation, machine):
        apt.install(context, PACKAGES, optional=SPLIT_PACKAGES)
        situation = _look(context)
        if situation is None:
            return
    command = start_command(situation, machine, context.log_file("dockerd"))
    with context.progress.step(f"starting the Docker engine ({command.name})"):
        context.log_file("dockerd").parent.mkdir(parents=True, exist_ok=True)
        if command.name == "setsid":  # a service manager does this itself
            for program, pid_file in PID_FILES.items():
                remove_stale(pid_file, program)
        process.run(command, timeout=START_TIMEOUT)
        _wait(context)


def remove_stale(pid_file: Path, program: str, proc: Path = Path("/proc")) -> None:
    """Remove a pid file whose process is not `program`: dockerd refuses to start beside it.

    A machine that was switched off keeps the file where /run is on disk, and by now the number may
    belong to any process.
    """
    try:
        pid = pid_file.read_text(encoding="ascii", errors="replace").strip()
        running = (proc / pid / "comm").read_text(encoding="utf-8").strip() if pid else ""
    except FileNotFoundError:
        running = ""
    if running != program:
        pid_file.unlink(missing_ok=True)


def must_install(situation: Situation, machine: Machine) -> bool:
    """True when packages are missing and may be installed.

    Raises:
        EngineError: something is missing or wrong that only a person can put right.
    """
    if situation.endpoint:
        raise EngineError(
            "the chosen Docker engine does not answer",
            where="DOCKER_HOST",
            found=f"{situation.endpoint}: {situation.message}",
            next_step="start that engine, or unset DOCKER_HOST to use this machine's own",
        )
    if situation.client and "permission denied" in situation.message.lower():
        raise EngineError(
            "you are not allowed to use the Docker engine of this machine",
            found=situation.message,
            expected="root, or a member of the group docker",
            next_step=f'sudo usermod -aG docker "$USER", log in again, then {setup_command()}',
        )
    if situation.client and situation.daemon:
        return False
    if machine.can_apt:
        return True
    raise EngineError(
        "no Docker engine",
        found=(
            "no docker CLI on PATH" if not situation.client else f"no dockerd: {situation.message}"
        ),
        expected="a Docker engine 20.10 or newer",
        next_step=_by_hand(machine),
    )


def start_command(situation: Situation, machine: Machine, log: Path) -> Command:
    """The command that starts an installed engine.

    Without a service manager dockerd is started in a session of its own, so that it outlives
    make; its output goes to `log`.

    Raises:
        EngineError: only root can start it, or it is missing even after an installation.
    """
    if not situation.daemon:
        raise EngineError("no dockerd on PATH", next_step=_by_hand(machine))
    if not machine.root:
        raise EngineError(
            "the Docker engine is not running",
            found=situation.message,
            next_step=f"sudo systemctl start docker (or the like), then {setup_command()}",
        )
    if machine.init == "systemd":
        return Command(("systemctl", "start", "docker"))
    if machine.init == "sysv":
        return Command(("service", "docker", "start"))
    detached = 'exec dockerd >>"$0" 2>&1 </dev/null'
    return Command(("setsid", "--fork", "sh", "-c", detached, str(log)))


def clients(context: BootstrapRun) -> tuple[Path, ...]:
    """Every docker CLI on PATH, without our own link to one."""
    return on_path("docker", context.environ, exclude=context.bin)


def _look(context: BootstrapRun) -> Situation | None:
    """None when an engine answers one of the CLIs."""
    said = ""
    found = clients(context)
    for client in found:
        answer = ping(client)
        if answer.returncode == 0:
            return None
        said = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
    return Situation(
        client=bool(found),
        daemon=bool(on_path("dockerd", _with_sbin(context.environ), exclude=context.bin)),
        message=said,
        endpoint=context.environ.get("DOCKER_HOST", ""),
    )


def _wait(context: BootstrapRun) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while (situation := _look(context)) is not None:
        if time.monotonic() > deadline:
            log = context.log_file("dockerd")
            tail = log.read_text(errors="replace").splitlines()[-15:] if log.is_file() else []
            raise EngineError(
                f"the Docker engine did not start within {START_TIMEOUT:g} s",
                where=str(log),
                found=situation.message,
                next_step="read the log (with systemd: journalctl -u docker), then"
                f" {setup_command()}",
                detail="\n".join(tail),
            )
        time.sleep(0.2)


def _with_sbin(environ: Mapping[str, str]) -> dict[str, str]:
    """dockerd lies in sbin, which is not on every user's PATH."""
    return {"PATH": environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"}


def _by_hand(machine: Machine) -> str:
    if machine.distribution == "macos":
        return f"install and start Docker Desktop, then {setup_command()}"
    if machine.apt:
        return f"sudo apt-get install docker.io iptables, then {setup_command()}"
    how = "install Docker (docs.docker.com/engine/install), start it"
    return f"{how}, then {setup_command()}"
