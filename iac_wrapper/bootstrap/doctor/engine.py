"""Checks of the Docker engine: does it answer, can it do what is asked of it, is there room."""

from __future__ import annotations

import socket
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from packaging.version import Version

from iac_wrapper.adapters import capacity, process
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import docker_cli
from iac_wrapper.bootstrap.doctor.machine import ThisMachine
from iac_wrapper.bootstrap.images import IMAGES_MB
from iac_wrapper.bootstrap.machine import init_system
from iac_wrapper.bootstrap.tools import parse_version
from iac_wrapper.errors import CommandError, EngineError
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.identity.unsigned import CLOCK_SKEW
from iac_wrapper.model.checkup import Check, Seen
from iac_wrapper.operations.doctor.room import room
from iac_wrapper.program import index_settings

OLDEST = Version("20.10")
"""Older engines are not tested."""

_SOCKET = Path("/var/run/docker.sock")
_LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes", "CpuCfsQuota": "processors"}
_SLOW_CLOCK = timedelta(seconds=5)
_ASK = "import socket, sys; socket.getaddrinfo(sys.argv[1], 443)"
_ASK_SECONDS = 30.0
"""A resolver gives up after 10 s for each of its servers (resolv.conf(5): 5 s, twice)."""


def engine_answers(machine: ThisMachine) -> Seen:
    """An engine of a version that will do answers."""
    begin = time.monotonic()
    text = machine.engine.ping()
    took = f"{(time.monotonic() - begin) * 1000:.0f} ms"
    version = parse_version(text)
    if version is None or version < OLDEST:
        raise EngineError(
            "the Docker engine is too old",
            found=text,
            expected=f"{OLDEST} or newer",
            next_step=f"install a newer Docker, then {setup_command()}",
        )
    return Seen(f"{text} at {machine.endpoint or 'the default socket'}, in {took}")


def socket_is_closed(machine: ThisMachine) -> Seen:
    """Nobody but root and the group may use the engine's socket: who may is root."""
    if not machine.has_the_engine:
        return Seen(f"the engine is at {machine.endpoint}")
    path = Path((machine.endpoint or str(_SOCKET)).removeprefix("unix://"))
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IWOTH:
        every = f"{path} has mode {mode:04o}: every user of this machine can be root by it"
        return Seen(every, f"sudo chmod o-rwx {path}")
    return Seen(f"{path}, mode {mode:04o}")


def limits_hold(machine: ThisMachine) -> Seen:
    """The engine can hold a container to its memory, processes and processors."""
    missing = [word for key, word in _LIMITS.items() if machine.info.get(key) is False]
    if missing:
        text = f"the engine cannot limit a container's {', '.join(missing)}"
        step = "enable these cgroup controllers (`docker info` names them), then " + _restart()
        return Seen(f"{text}: one service can take all", step)
    kind = "all containers are one user's" if machine.shares_users else "of each container"
    version = machine.info.get("CgroupVersion", "1")
    return Seen(f"memory, processes, processors ({kind}, cgroup {version})")


def clocks_agree(machine: ThisMachine) -> Seen:
    """Engine and certificates have the time that this machine has."""
    text = str(machine.info.get("SystemTime") or "")
    if not text:
        return Seen("the engine says no time")
    off = abs(datetime.fromisoformat(text) - datetime.now(UTC))
    seen = f"{off.total_seconds():.1f} s between this machine and the engine"
    if off >= CLOCK_SKEW:
        raise EngineError(
            "the engine's clock is wrong, or this machine's",
            found=seen,
            expected=f"less than {CLOCK_SKEW.total_seconds():.0f} s: new certificates are not valid"
            " there yet, or have ended",
            next_step="set both by NTP (`timedatectl set-ntp true`)",
        )
    record = machine.settings.machine_home.record
    if record.is_file() and record.stat().st_mtime > time.time() + CLOCK_SKEW.total_seconds():
        return Seen(
            f"this machine's clock went back: {record} is of the future",
            "set it by NTP (`timedatectl set-ntp true`)",
        )
    return Seen(seen, "set both by NTP (`timedatectl set-ntp true`)" if off > _SLOW_CLOCK else "")


def has_disk(machine: ThisMachine) -> Seen:
    """There is room for images where the engine keeps them."""
    if not machine.has_the_engine:
        return Seen(f"the engine's disks are at {machine.endpoint}")
    root = str(machine.info.get("DockerRootDir", ""))
    left = capacity.disk_left(Path(root))
    if left is None:
        return Seen(f"{root} cannot be seen by this user")
    return room(left, IMAGES_MB, root, "docker builder prune, docker image prune")


def builds_images(machine: ThisMachine) -> Seen:
    """The docker CLI of the set-up can build with BuildKit."""
    cli = docker_cli.inspect_cli(Path(machine.record.docker))
    if not cli.can_build:
        raise EngineError(
            "the docker CLI cannot build images with BuildKit",
            found=cli.describe(),
            expected="the buildx plugin, or a CLI from 18.09 to 22",
            next_step=setup_command(),
        )
    how = "buildx" if cli.buildx else "its own BuildKit"
    return Seen(f"docker CLI {cli.client} at {cli.path}, with {how}")


def names_resolve(machine: ThisMachine) -> Seen:
    """A container on the engine's default network, as builds are, finds the package index."""
    host = _index_host(machine)
    if not host:
        return Seen("packages come from an address, which needs no name")
    record = machine.record
    options = ("--rm", "--entrypoint", "/opt/iac/python3", record.sidecar_image)
    command = Command((record.docker, "run", *options, "-c", _ASK, host))
    done = process.run(command, timeout=_ASK_SECONDS)
    if done.returncode == 0:
        return Seen(f"containers resolve {host}")
    said = (done.stderr.strip().splitlines() or ["no answer"])[0]
    if done.returncode == 125:  # of `docker run`: the container was not started
        raise CommandError(
            "the engine cannot start a container on its default network",
            found=said,
            next_step=f"{_restart()} (makes the network anew)",
        )
    if _resolves_here(host):
        raise CommandError(
            f"containers cannot resolve {host}, and this machine can",
            expected="the engine's DNS: the servers of /etc/resolv.conf, if they are not loopback"
            " addresses, through a firewall that lets containers reach port 53",
            next_step='write {"dns": ["ADDRESS"]} of your DNS server to /etc/docker/daemon.json,'
            f" then {_restart()}",
        )
    return Seen(
        f"neither containers nor this machine resolve {host}: builds get no packages",
        "name a package index that can be reached (docs/machine.md, offline and air-gapped)",
    )


def _index_host(machine: ThisMachine) -> str:
    """The host that builds ask first: a proxy, else the package index; empty: an address."""
    variables = index_settings.build_variables(machine.settings.environment)
    names = ("HTTPS_PROXY", "https_proxy", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    url = next((variables[name] for name in names if variables.get(name)), "https://pypi.org")
    host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    return "" if ":" in host or host.replace(".", "").isdigit() else host


def _restart() -> str:
    """What starts this machine's engine anew."""
    words = {"systemd": "sudo systemctl restart docker", "sysv": "sudo service docker restart"}
    return words.get(init_system(Path("/")), f"end dockerd, then {setup_command()}")


def _resolves_here(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


CHECKS = (
    Check("engine", engine_answers),
    Check("engine socket", socket_is_closed, after=("engine",)),
    Check("limits", limits_hold, after=("engine",)),
    Check("clock", clocks_agree, after=("engine", "settings")),
    Check("engine disk", has_disk, after=("engine",)),
)

_NEEDS = ("settings", "set-up")

AFTER_SETUP = (
    Check("BuildKit", builds_images, after=("engine", *_NEEDS)),
    Check("DNS", names_resolve, after=("engine", *_NEEDS)),
)
"""Those that need what the set-up found or made."""
