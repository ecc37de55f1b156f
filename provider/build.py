"""Image builds by a docker CLI with BuildKit: its log streams to a file, and a stop kills it.

The CLI rather than the API: BuildKit's secrets and cache mounts need a session that only it and
buildx can hold. It must not know Terraform's states.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from . import redact
from .problems import ProviderError
from .values import Values

TAIL_LINES = 40
"""How much of a failed build's log the diagnostic carries."""

REFUSED: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        (
            "auth_config",
            "build_id",
            "cgroup_parent",
            "cpu_period",
            "cpu_quota",
            "cpu_set_cpus",
            "cpu_set_mems",
            "cpu_shares",
            "force_remove",
            "isolation",
            "memory",
            "memory_swap",
            "remote_context",
            "security_opt",
            "session_id",
            "shm_size",
            "squash",
            "suppress_output",
            "ulimit",
        ),
        (),
    ),
    "builder": ("default",),
    "remove": (True,),
    "version": ("2",),
}
"""Attributes of the classic builder that BuildKit has no use for, with values it can live with."""


@dataclass(frozen=True)
class BuildCommand:
    """A build command, and where its output goes."""

    argv: tuple[str, ...]
    log: Path


def command(cli: str, image: str, build: Values) -> tuple[str, ...]:
    """The argv that builds `image` from a ``build`` block. Pure."""
    context = build["context"]
    dockerfile = str(Path(context) / (build["dockerfile"] or "Dockerfile"))
    argv = [cli, "build", "--progress=plain", "--tag", image, "--file", dockerfile]
    for tag in build["tag"]:
        argv += ["--tag", tag]
    for secret in build["secrets"]:
        source = f"src={secret['src']}" if secret["src"] else f"env={secret['env']}"
        argv += ["--secret", f"id={secret['id']},{source}"]
    argv += _pairs("--build-arg", build["build_args"])
    argv += _pairs("--label", {**build["labels"], **build["label"]})
    for flag, name in (
        ("--target", "target"),
        ("--network", "network_mode"),
        ("--platform", "platform"),
    ):
        if build[name]:
            argv += [flag, build[name]]
    for flag, name in (("--add-host", "extra_hosts"), ("--cache-from", "cache_from")):
        for value in build[name]:
            argv += [flag, value]
    argv += [
        flag
        for flag, name in (("--no-cache", "no_cache"), ("--pull", "pull_parent"))
        if build[name]
    ]
    return (*argv, context)


def _pairs(flag: str, values: Mapping[str, str]) -> list[str]:
    return [part for key, value in sorted(values.items()) for part in (flag, f"{key}={value}")]


def log_file(image: str, build: Values, directory: Path) -> Path:
    """Where the build's log goes: the block's own ``build_log_file``, else `directory`."""
    if build["build_log_file"]:
        return Path(build["build_log_file"])
    return directory / (re.sub(r"[^A-Za-z0-9.-]+", "_", image) + ".log")


def run(
    build: BuildCommand,
    environment: Mapping[str, str],
    stop: threading.Event,
    *,
    timeout: float | None = None,
) -> None:
    """Run a build to its end.

    Args:
        build: what to run.
        environment: the CLI's whole environment.
        stop: set by Terraform's interrupt; the build is then killed.
        timeout: seconds.

    Raises:
        ProviderError: the build failed, was stopped or took too long.
    """
    build.log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with build.log.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            build.argv,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches it through StopProvider, once
        )
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for above
        reader = threading.Thread(target=_copy, args=(process.stdout, log, tail), daemon=True)
        reader.start()
        ended = _wait(process, reader, stop, timeout)
        reader.join()
    if ended and process.returncode == 0:
        return
    summary = f"The image build failed with exit code {process.returncode}."
    if stop.is_set():
        summary = "The image build was stopped."
    elif not ended:
        summary = f"The image build did not end within {timeout:g} s."
    detail = "\n".join(tail)
    raise ProviderError(
        summary, f"Full log: {build.log}\n\nIts last lines:\n{detail}", path=("build",)
    )


def _copy(source: IO[str], log: IO[str], tail: deque[str]) -> None:
    hide = redact.lines()
    for line in source:
        shown = hide(line.rstrip("\n"))
        print(shown, file=log, flush=True)
        tail.append(shown)


def _wait(
    process: subprocess.Popen[str],
    reader: threading.Thread,
    stop: threading.Event,
    timeout: float | None,
) -> bool:
    """True if the process ended by itself; else it is killed."""
    deadline = time.monotonic() + (timeout or float("inf"))
    while reader.is_alive():
        if stop.is_set() or time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
        reader.join(0.05)
    process.wait()
    return True


@cache
def find_cli(candidates: Sequence[str]) -> str:
    """The first candidate that can build with BuildKit.

    A CLI of 23 or later without the buildx plugin cannot: asked for help on `build`, it fails.

    Raises:
        ProviderError: none can.
    """
    for candidate in candidates:
        path = shutil.which(candidate)
        if path and _has_buildkit(path):
            return path
    raise ProviderError(
        f"No docker CLI that can build with BuildKit: tried {', '.join(candidates)}.",
        "Install docker-buildx, or name another CLI in KARSTKIT_DOCKER_CLI.",
        path=("build",),
    )


def _has_buildkit(path: str) -> bool:
    done = subprocess.run(
        [path, "build", "--help"],
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and "--secret" in done.stdout
