"""The environment of an app's container. Pure; secret values never pass through here.

A value with references ``${NAME}``: the command side writes what it stands for into a file below
`ENV_DIRECTORY`, and the runner turns that file into a variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from constructs_lib.text import literal
from iac_wrapper.model import references
from iac_wrapper.model.app import DEFAULT_PROBATION
from iac_wrapper.model.app_rules import check_env_name
from iac_wrapper.model.options import Run
from iac_wrapper.model.users import NAME

ENV_DIRECTORY = "/run/iac/env"
"""Where the files with referenced values lie in the container; a file's name is the variable's."""

_RUNNER_PATH = "/opt/iac/lib"  # PYTHONPATH of the runtime image


@dataclass(frozen=True)
class AppEnvironment:
    """What an app's environment is made of; raises ConfigError for a variable that is not allowed.

    `port` is where user code listens, `declared` whether repos.yaml or the image says so; `tcp` are
    the ports for other protocols than HTTP; `wanted`
    holds the values of repos.yaml; `run` is what the program is for, None if nothing tells;
    `stop_grace` is how long it may take to end, seconds, None for the runner's own; `probation` is
    how long it must stay alive if it answers no requests, seconds;
    `first_uid` begins the service's block of uids;
    `otlp_endpoint` is empty when spans are sent nowhere.
    """

    service: str
    port: int
    declared: bool
    wanted: Mapping[str, str]
    otlp_endpoint: str = ""
    stop_grace: int | None = None
    run: Run | None = None
    probation: int = DEFAULT_PROBATION
    tcp: tuple[int, ...] = ()
    first_uid: int = 0

    def __post_init__(self) -> None:
        for name in sorted(self.wanted):
            check_env_name(name)

    @property
    def has_references(self) -> bool:
        """Whether the container needs the directory of value files."""
        return any(map(references.names, self.wanted.values()))

    def entries(self) -> list[str]:
        """``NAME=value`` lines for Terraform, sorted: no references, nothing to interpolate."""
        values = {
            "HOME": "/tmp",  # noqa: S108 - the one writable place in a read-only root
            "OTEL_SERVICE_NAME": self.service,
            "PYTHONUNBUFFERED": "1",
            "USER": NAME,
        }
        if self.otlp_endpoint:
            values["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.otlp_endpoint
        plain = {k: v for k, v in self.wanted.items() if not references.names(v)}
        values |= {name: references.fill(value, {}) for name, value in plain.items()}
        if "PYTHONPATH" in values:
            # The image's own value would be lost, and with it the runner; it hides it from the app.
            values["PYTHONPATH"] = f"{_RUNNER_PATH}:{values['PYTHONPATH']}"
        values |= {
            "IAC_FIRST_UID": str(self.first_uid),
            "IAC_SERVICE": self.service,
            "IAC_PORT_DECLARED": "1" if self.declared else "0",
            "PORT": str(self.port),
        }
        if self.stop_grace is not None:
            values["IAC_STOP_GRACE"] = str(self.stop_grace)
        if self.probation != DEFAULT_PROBATION:
            values["IAC_PROBATION"] = str(self.probation)
        if self.tcp:
            values["IAC_TCP"] = ",".join(map(str, self.tcp))
        if self.run:
            values["IAC_RUN"] = self.run
        return [f"{name}={literal(value)}" for name, value in sorted(values.items())]
