"""Runs `volume_program` on volumes, in a container for a moment: root on the engine's machine.

It has no network, a read-only root, the named volumes and no capability but those of its task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from iac_wrapper.adapters import process, volume_program
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError
from iac_wrapper.model import labels

Task = Literal["own", "entries", "backup", "unpack", "swap", "discard"]

_WRITES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")
_CAPABILITIES: dict[Task, tuple[str, ...]] = {
    "own": ("CHOWN", "DAC_OVERRIDE"),
    "entries": ("DAC_READ_SEARCH",),
    "backup": ("DAC_READ_SEARCH",),
}
"""Files of a volume belong to others, who need not let anybody in. FSETID keeps setgid bits."""

_STEPS: dict[Task, str] = {
    "unpack": "take another backup: this one is cut off, damaged or no tar; the volume is as it was"
}
"""What to do when a task failed, where there is more to say than to mend what it names."""


class VolumeError(CommandError):
    """The helper could not do it; `found` is its own word."""


@dataclass(frozen=True)
class VolumeHelper:
    """Helpers of one project, by the CLI `docker`; `image` is the sidecar's, which has a Python."""

    docker: str
    image: str
    project: str

    def run(
        self,
        task: Task,
        volumes: Mapping[str, Mapping[str, Any]],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> Any:
        """Do `task` on `volumes` (name -> what the program is told of it), and return what the
        program says. They must be there: Docker would make those that are not.

        Raises:
            VolumeError: it failed.
        """
        done = process.pipe(self._command(task, volumes), stdin=stdin, stdout=stdout)
        *more, last = done.stderr.strip().splitlines() or [""]
        try:
            told = json.loads(last)
        except ValueError:
            told = {"error": last or f"exit code {done.returncode}"}
        if done.returncode or "said" not in told:
            raise VolumeError(
                f"cannot {_WORDS[task]} {', '.join(volumes)}",
                found=told.get("error", last),
                next_step=_STEPS.get(task, "mend what it names, then run the command again"),
                detail="\n".join(more),
            )
        return told["said"]

    def _command(self, task: Task, volumes: Mapping[str, Mapping[str, Any]]) -> Command:
        places = {name: f"/volumes/{number}" for number, name in enumerate(volumes)}
        told = [{"volume": places[name], **more} for name, more in volumes.items()]
        kept = _CAPABILITIES.get(task, _WRITES)
        readonly = ",readonly" if task in ("entries", "backup") else ""
        present = {labels.PROJECT: self.project, labels.SERVICE: "helper", labels.ROLE: "helper"}
        argv = process.argv(
            *(self.docker, "run", "--rm", "--interactive", "--pull=never", "--log-driver=none"),
            *("--network=none", "--read-only", "--user=0:0", "--cap-drop=ALL"),
            *(f"--cap-add={name}" for name in kept),
            *("--security-opt=no-new-privileges", "--memory=256m", "--pids-limit=32"),
            *(f"--label={name}={value}" for name, value in present.items()),
            *(
                f"--mount=type=volume,source={name},target={place},volume-nocopy{readonly}"
                for name, place in places.items()
            ),
            "--entrypoint=/opt/iac/python3",
            *(self.image, "-I", "-S", "-c"),
            Path(volume_program.__file__).read_text(encoding="utf-8"),
            *(task, json.dumps(told)),
        )
        return Command(argv)


_WORDS: dict[Task, str] = {
    "own": "give its owner",
    "entries": "look into",
    "backup": "back up",
    "unpack": "restore",
    "swap": "restore",
    "discard": "clean up",
}
