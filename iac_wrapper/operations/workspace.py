"""What every operation works on: one project in one project folder, and where events go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from iac_wrapper.adapters import docker_endpoint, state, terraform_config, workspace_lock
from iac_wrapper.adapters.engine import Engine
from iac_wrapper.adapters.terraform import Terraform
from iac_wrapper.adapters.workspace_lock import Lock
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_files, host, stored_values
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.event import Emit, Event, Stage
from iac_wrapper.model.ledger import Caller
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.redact import Redactor
from iac_wrapper.operations import secrets_command
from iac_wrapper.program.pythons import Pythons
from iac_wrapper.settings import Settings


@dataclass(frozen=True)
class Workspace:
    """A project, its folder, its settings and a sink for events.

    `held` is the project's lock if this process was given it for its whole life. `environment` is
    the one of a repos file that was named. `pythons` makes bases that this machine does not have
    yet; None: nobody does. `caller` is who acts, for the ledger.
    `outbox` are the projects in which this process has noted what is to be told to others; copies
    of the workspace share it.
    """

    layout: Layout
    settings: Settings
    project: str
    emit: Emit
    held_lock: Lock | None = None
    environment: str | None = None
    pythons: Pythons | None = None
    caller: Caller = field(default_factory=Caller)
    outbox: set[str] = field(default_factory=set, compare=False)

    @cached_property
    def engine(self) -> Engine:
        """The Docker engine, the one that the docker CLI uses."""
        return Engine(self._endpoint)

    @cached_property
    def host(self) -> Host:
        """This machine's record.

        Raises:
            ConfigError: this machine is not set up, or by another version.
        """
        return host.load_host(self.settings.machine_home)

    def variables(self, names: Iterable[str]) -> dict[str, str]:
        """What ``${NAME}`` stands for in `env:`: the environment, `.env`, else what is stored, else
        what the command for secrets prints, which is run if one of `names` is nowhere else.

        Raises:
            ConfigError: the stored values cannot be read.
            CommandError: the command fails.
        """
        known = self.known_variables()
        if self.settings.secrets_command and set(names) - known.keys():
            return {**self._printed_values, **known}
        return known

    def known_variables(self) -> dict[str, str]:
        """`variables` without the command."""
        stored = stored_values.load(self.layout.stored_values(self.project))
        said = self.settings.environment
        return {**said, **{name: value for name, value in stored.items() if not said.get(name)}}

    @cached_property
    def _printed_values(self) -> dict[str, str]:
        environ = {**self.settings.environment, "IAC_PROJECT": self.project}
        return secrets_command.values(self.settings.secrets_command, self.layout.root, environ)

    def redactor(self) -> Redactor:
        """A redactor that knows the settings' secrets and every secret value of `env:`."""
        values = env_files.values(self.layout.project_env_files(self.project))
        return Redactor([*self.settings.secrets, *values])

    @property
    def directory(self) -> Path:
        """Folder of the project's state and logs."""
        return self.layout.project(self.project)

    def hold(self, command: str) -> AbstractContextManager[object]:
        """Keep other mutating commands out of the project while a block runs.

        Raises:
            BusyError: on entry, if one is at work; says who, what and since when.
        """
        if self.held_lock and self.held_lock.directory == self.directory:
            return nullcontext()
        return workspace_lock.hold(self.directory, command)

    def applied_lock(self) -> LockFile | None:
        """The lock of the last finished apply, None if nothing is deployed."""
        return state.applied_lock(self.layout.state(self.project))

    def deployed_lock(self) -> LockFile:
        """The lock of the last apply.

        Raises:
            ConfigError: nothing is deployed under this project.
        """
        lock = self.applied_lock()
        if lock is None:
            projects = self.engine.projects()
            if self.project in projects:
                raise ConfigError(
                    f"project {self.project} has containers, but no record of a finished deploy",
                    where=str(self.layout.state(self.project)),
                    next_step="iac deploy finishes it, iac destroy removes it",
                )
            others = ", ".join(projects)
            raise ConfigError(
                f"nothing is deployed in project {self.project}",
                found=f"other projects on this engine: {others}" if others else None,
                next_step=f"iac deploy {self.list_arguments}, or name another --project",
            )
        return lock

    @property
    def list_arguments(self) -> str:
        """What a command must say to name the list of this project, as far as that is known."""
        applied = None if self.environment else self.applied_lock()
        environment = self.environment or (applied and applied.environment)
        return "--file repos.yaml" + (f" --env {environment}" if environment else "")

    def terraform(self, directory: Path) -> Terraform:
        """Terraform in `directory`, with this project's log, engine and provider.

        A CLI configuration of the person's own decides; one that is not there is said to be
        ignored.
        """
        endpoint = self._endpoint
        own = terraform_config.own(self.settings.environment)
        named = terraform_config.configured_file(self.settings.environment)
        if named and not own:
            self.warn(f"TF_CLI_CONFIG_FILE names {named}, which does not exist: it is ignored")
        return Terraform(
            executable=self.settings.machine_home.terraform,
            directory=directory,
            log=self.directory / "log" / "terraform.log",
            identity=self._provider_identity(own),
            redact=self.redactor(),
            environment={
                "KARSTKIT_LOG_DIR": str(self.directory / "log"),
                **({"DOCKER_HOST": endpoint} if endpoint else {}),
                **({terraform_config.VARIABLE: str(own)} if own else {}),
            },
        )

    @property
    def has_embedded_provider(self) -> bool:
        """True if Terraform gets the embedded provider for certain.

        With a CLI configuration of the person's own it may be the official one.
        """
        own = terraform_config.own(self.settings.environment)
        return self.host.provider == "embedded" and own is None

    def step(self, message: str, stage: Stage | None = None) -> None:
        """Say that a part of the operation begins; `stage`: what it does to the project."""
        self.emit(Event("step", message, stage=stage))

    def progress(self, message: str, service: str = "", stage: Stage | None = None) -> None:
        """Say what happens inside it; with a `stage`, what is true for the moment only."""
        self.emit(Event("progress", message, service, stage))

    def stage(self, service: str, stage: Stage, message: str) -> None:
        """Say what is being done to a service, for those who show that while it lasts."""
        self.emit(Event("stage", message, service, stage))

    def warn(self, message: str) -> None:
        """Say what the person should know though the operation goes on."""
        self.emit(Event("warning", message))

    @property
    def engine_is_local(self) -> bool:
        """Whether the engine answers on a socket of this machine."""
        return docker_endpoint.is_local(self._endpoint)

    @property
    def _endpoint(self) -> str | None:
        return docker_endpoint.endpoint(self.settings.environment)

    def _provider_identity(self, own: Path | None) -> str:
        """Which provider, from where: its dependency lock and links hold for nothing else.

        Raises:
            ConfigError: Terraform, or the provider, was removed.
        """
        home = self.settings.machine_home
        mirror = sorted(p for p in home.mirror.rglob("*") if p.is_file())
        digest = hashlib.sha256(f"{self.layout.root}\n{home.data}".encode())
        for path in (home.terraform, *mirror):
            try:
                digest.update(path.read_bytes())
            except FileNotFoundError:
                raise ConfigError(
                    "the set-up of this machine is incomplete",
                    where=str(path),
                    found="no such file",
                    next_step=setup_command(),
                ) from None
        if own:
            digest.update(terraform_config.digest(own).encode())
        return f"{self.host.provider} {digest.hexdigest()}"
