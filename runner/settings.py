"""What the runner is told by its container's environment. Only this module reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunnerSettings:
    """Times are seconds.

    `address` is where gRPC is served; `port` the one user code is expected on, `port_declared`
    whether repos.yaml names it. `stop_grace` must stay below what Docker waits (10 s unless said).
    `tcp` are the ports for other protocols than HTTP: nothing is asked there, and no requests go
    there, unless `port` is one of them.
    `run` is what the program is for: ``web``, ``worker``, ``job``; empty: what it does tells.
    `probation` is how long a program must live before it counts as SERVING if it was restarted, or
    if nothing but being alive speaks for it: the 10 s after which Docker takes a container as
    started (its documentation, "Start containers automatically"). `settle` is how long a listener
    elsewhere is waited for to be joined by the right one. `first_uid` begins the service's block of
    uids: the program's, its Envoy's, the runner's; 0: all have ours, and there is no Envoy.
    """

    service: str = ""
    address: str = "127.0.0.1:15020"
    port: int = 50051
    port_declared: bool = False
    tcp: tuple[int, ...] = ()
    run: str = ""
    stop_grace: float = 8.0
    probation: float = 10.0
    settle: float = 3.0
    first_uid: int = 0

    @property
    def may_serve(self) -> bool:
        """Whether a port that the program opens is for requests."""
        return self.run not in ("worker", "job")

    @property
    def must_serve(self) -> bool:
        """Whether the program is known to be a server before it listens."""
        return self.may_serve and (self.run == "web" or self.port_declared)

    @property
    def program_uid(self) -> int | None:
        """The uid of the program; None: it is our own."""
        return self.first_uid or None

    @property
    def runner_uid(self) -> int | None:
        """Our uid; None: it stays as it is."""
        return self.first_uid + 2 if self.first_uid else None

    @property
    def envoy_uid(self) -> int:
        """The uid of PID 1 of the Envoy container; 0: there is none."""
        return self.first_uid and self.first_uid + 1

    @property
    def own_port(self) -> int:
        """The port number in `address`."""
        return int(self.address.rpartition(":")[2])


def load_runner_settings(environ: Mapping[str, str] | None = None) -> RunnerSettings:
    """Read the environment; an empty value counts as not set.

    Raises:
        ValueError: a number is not one.
    """
    given = {k: v for k, v in (os.environ if environ is None else environ).items() if v}
    default = RunnerSettings()
    return RunnerSettings(
        service=given.get("IAC_SERVICE", default.service),
        address=given.get("IAC_RUNNER_ADDRESS", default.address),
        port=int(given.get("PORT", default.port)),
        port_declared=given.get("IAC_PORT_DECLARED") == "1",
        tcp=tuple(map(int, given.get("IAC_TCP", "").split(","))) if "IAC_TCP" in given else (),
        run=given.get("IAC_RUN", default.run),
        stop_grace=float(given.get("IAC_STOP_GRACE", default.stop_grace)),
        probation=float(given.get("IAC_PROBATION", default.probation)),
        settle=float(given.get("IAC_SETTLE", default.settle)),
        first_uid=int(given.get("IAC_FIRST_UID", default.first_uid)),
    )


ENV_FILES = Path("/run/iac/env")
"""Where secret values of `env:` lie, a file each, named like the variable: Terraform never sees
them, and `docker inspect` does not show them. A value is bytes, to the last carriage return."""


def child_environment(
    environ: Mapping[str, str] | None = None, *, files: Path = ENV_FILES
) -> dict[str, str]:
    """The environment for user code: ours without the path to our own packages, and the files'.

    The program must never import the runner's packages by accident; its own PYTHONPATH stays.
    """
    own = str(Path(__file__).resolve().parents[1])
    child = dict(os.environ if environ is None else environ)
    child.pop("IAC_FIRST_UID", None)  # the runner's business
    kept = [p for p in child.pop("PYTHONPATH", "").split(os.pathsep) if p and p != own]
    if kept:
        child["PYTHONPATH"] = os.pathsep.join(kept)
    if files.is_dir():
        child |= {f.name: os.fsdecode(f.read_bytes()) for f in files.iterdir() if f.is_file()}
    return child
