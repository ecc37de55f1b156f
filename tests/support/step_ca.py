"""smallstep's step-ca, a certificate authority with a network and rules of its own.

Go builds it once into `.iac/test-tools`, with its client.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from iac_wrapper.files import file_lock
from tests.support.pebble import free_port

VERSION = "v0.30.2"
TOOLS = Path(__file__).parents[2] / ".iac" / "test-tools" / f"step-{VERSION}"
MODULES = {
    "step-ca": "github.com/smallstep/certificates/cmd/step-ca",
    "step": "github.com/smallstep/cli/cmd/step",
}


@dataclass(frozen=True)
class StepCa:
    """A running server: its root, and the command that has a request signed."""

    root: Path
    command: str


def tools() -> Path:
    """The folder with the two programs. Where there is no Go, the tests that ask are skipped."""
    if shutil.which("go") is None:
        pytest.skip("Go is missing, which builds step-ca: it is not tested here")
    TOOLS.mkdir(parents=True, exist_ok=True)
    with file_lock.hold(os.open(TOOLS, os.O_RDONLY)):
        for name, module in MODULES.items():
            if not (TOOLS / name).exists():
                environ = {**os.environ, "GOBIN": str(TOOLS), "CGO_ENABLED": "0"}
                argv = ["go", "install", f"{module}@{VERSION}"]
                subprocess.run(argv, check=True, env=environ, timeout=1800)
    return TOOLS


@contextmanager
def step_ca(folder: Path) -> Iterator[StepCa]:
    """A server of its own, set up as docs/certificates.md says."""
    built, port, password = tools(), free_port(), folder / "password"
    password.write_text("just for this test\n")
    environ = {**os.environ, "STEPPATH": str(folder / "step")}
    options = f"--provisioner iac --password-file {password}"
    init = (
        f"{built}/step ca init --name Ours --dns localhost --address 127.0.0.1:{port} {options}"
        f" --deployment-type standalone --provisioner-password-file {password}"
    )
    log = folder / "step-ca.log"
    with log.open("wb") as file:
        subprocess.run(init.split(), check=True, env=environ, stdout=file, stderr=file)
        serve: list[str | Path] = [
            built / "step-ca",
            folder / "step/config/ca.json",
            "--password-file",
            password,
        ]
        server = subprocess.Popen(serve, env=environ, stdout=file, stderr=file)
        try:
            health: list[str | Path] = [built / "step", "ca", "health"]
            deadline = time.monotonic() + 20
            while subprocess.run(health, env=environ, capture_output=True, check=False).returncode:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            script = folder / "iac-issue"
            script.write_text(
                f"#!/bin/sh\nSTEPPATH={folder}/step exec {built}/step ca sign {options}"
                ' --not-after "${IAC_CERT_SECONDS}s" --force /dev/stdin /dev/stdout\n'
            )
            script.chmod(0o755)
            yield StepCa(folder / "step/certs/root_ca.crt", str(script))
        finally:
            server.kill()
            server.wait()
