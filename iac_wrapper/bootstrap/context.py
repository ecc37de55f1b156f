"""What every step of the set-up needs: paths, settings, the machine, progress, logged commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import TAIL_LINES, Command, CommandResult
from iac_wrapper.bootstrap.console import Progress
from iac_wrapper.bootstrap.machine import Machine
from iac_wrapper.errors import CommandError
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model.redact import Redactor
from iac_wrapper.settings import Settings


@dataclass(frozen=True)
class BootstrapRun:
    """One run of the set-up.

    `home` gets what is found and made, `packages` is the folder that our packages are in. `python`
    is the interpreter that runs KarstKit, `uv` installs packages. `secrets` is the folder of the
    dev CA, None where no project folder is set up. `environ` is the environment of this process.
    """

    home: MachineHome
    packages: Path
    python: Path
    uv: Path
    secrets: Path | None
    settings: Settings
    environ: Mapping[str, str]
    machine: Machine
    progress: Progress

    @property
    def bin(self) -> Path:
        """Links to the chosen tools, and the executable that stands for Terraform."""
        return self.home.bin

    @property
    def data(self) -> Path:
        """The Dockerfiles and locks of the set-up."""
        return self.packages / "iac_wrapper" / "bootstrap"

    def log_file(self, name: str) -> Path:
        """``log/<name>.log`` in the machine's folder."""
        return self.home.log(name)

    def run_logged(
        self, name: str, command: Command, failure: str, *, next_step: str
    ) -> CommandResult:
        """Run a long command with all its output in a log file, for its owner's eyes.

        Secrets are masked in it all the same: argv may name a proxy with its password.

        Raises:
            CommandError: `failure`, with the last lines of the output and the log's path.
        """
        path = self.log_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        redact = Redactor(self.settings.secrets)
        hide = redact.lines()
        path.touch(0o600)
        path.chmod(0o600)
        with path.open("a", encoding="utf-8") as log:
            print("$", redact(" ".join(command.argv)), file=log)
            done = process.stream(command, lambda line: print(hide(line), file=log))
        if done.returncode:
            raise CommandError(
                failure,
                where=str(path),
                found=f"{command.name} exited with {done.returncode}",
                next_step=next_step,
                detail="\n".join(done.stdout.strip().splitlines()[-TAIL_LINES:]),
            )
        return done
