"""Drives the Terraform executable and reads its JSON stream. Knows nothing of services.

The stream's messages are Terraform's machine-readable UI: one JSON object a line, documented at
developer.hashicorp.com/terraform/internals/machine-readable-ui.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import BusyError, CommandError
from iac_wrapper.files import log_file
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.plan import Action, TerraformChange, TerraformPlan
from iac_wrapper.model.redact import Redactor

_ACTIONS: dict[str, Action] = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "delete": "delete",
    "remove": "delete",
}


@dataclass(frozen=True)
class Sentence:
    """What Terraform says, for people; `words` is what it does to the resource `address`, empty for
    what is about none, or is a warning."""

    text: str
    address: str = ""
    words: str = ""


Say = Callable[[Sentence], None]


@dataclass(frozen=True)
class Terraform:
    """Terraform in one configuration directory.

    Args:
        executable: the Terraform executable.
        directory: where ``cdk.tf.json`` lies.
        log: file that gets everything Terraform says, appended.
        redact: for what goes into the log.
        identity: what the initialised directory depends on beside its configuration (the provider
            and where it comes from); when it changes, plugins and dependency lock are set up anew,
            because the lock holds the provider's hash.
        environment: additions to the environment.
    """

    executable: Path
    directory: Path
    log: Path
    identity: str
    redact: Redactor
    environment: Mapping[str, str | None] = field(default_factory=dict)

    def init(self) -> None:
        """Install providers and configure the backend, unless that was done for this very set-up.

        Raises:
            CommandError: Terraform refused, for instance because no provider can be had.
        """
        stamp = self.directory / ".terraform" / ".iac-init"
        wanted = self._init_key()
        if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
            return
        shutil.rmtree(self.directory / ".terraform", ignore_errors=True)
        (self.directory / ".terraform.lock.hcl").unlink(missing_ok=True)
        done = process.run(self._command("init", "-input=false", "-no-color", "-reconfigure"))
        self._write_log(done.stdout + done.stderr)
        done.check(
            "terraform init failed",
            next_step=f"{setup_command()} (it chooses and installs the Docker provider)",
        )
        write_text(stamp, wanted)

    def plan(
        self, out: Path, say: Say, *, refresh: bool = True, replaced: Iterable[str] = ()
    ) -> TerraformPlan:
        """Write a plan to `out` and return what it would do.

        Args:
            out: the plan file.
            say: gets sentences worth showing.
            refresh: False compares with the state as it is, without asking the provider.
            replaced: addresses of resources to make anew though nothing about them changes.

        Raises:
            CommandError: the configuration is refused or the state cannot be read.
            BusyError: the state is locked by another Terraform.
        """
        command = self._command(
            *("plan", "-json", "-input=false", f"-out={out}"),
            *(f"-refresh={str(refresh).lower()}", *(f"-replace={each}" for each in replaced)),
        )
        return self._run(command, say).plan()

    def show(self, plan: Path) -> dict[str, Any]:
        """A saved plan with every attribute, as Terraform's JSON.

        Raises:
            CommandError: the plan cannot be read.
        """
        shown: dict[str, Any] = json.loads(self._show("-json", str(plan)))
        return shown

    def show_text(self, plan: Path) -> str:
        """A saved plan in Terraform's own words.

        Raises:
            CommandError: the plan cannot be read.
        """
        return self.redact(self._show("-no-color", str(plan))).strip()

    def _show(self, *arguments: str) -> str:
        done = process.run(self._command("show", *arguments))
        done.check("terraform show failed", next_step=f"read {self.log}")
        return done.stdout

    def apply(self, plan: Path, say: Say) -> None:
        """Apply the saved plan, exactly that.

        Raises:
            CommandError: with one sentence per failed resource.
        """
        self._run(self._command("apply", "-json", "-input=false", str(plan)), say)

    def destroy(self, say: Say) -> None:
        """Destroy everything in the state.

        Raises:
            CommandError: with one sentence per failed resource.
        """
        self._run(self._command("apply", "-destroy", "-json", "-input=false", "-auto-approve"), say)

    def _command(self, *arguments: str) -> Command:
        # The last three would move the state, or change what the arguments below mean.
        env: dict[str, str | None] = {
            "TF_IN_AUTOMATION": "1",
            "TF_CLI_ARGS": None,
            "TF_WORKSPACE": None,
            "TF_DATA_DIR": None,
        }
        return Command(
            process.argv(self.executable, arguments),
            cwd=self.directory,
            env={**env, **self.environment},
        )

    def _run(self, command: Command, say: Say) -> _Messages:
        messages = _Messages()

        def handle(line: str) -> None:
            self._write_log(line + "\n")
            for sentence in messages.add(line):
                say(sentence)

        done = process.stream(command, handle)
        if done.returncode != 0:
            raise messages.error(f"terraform {command.argv[1]} failed", self.log)
        return messages

    def _write_log(self, text: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        log_file.append(self.log, self.redact(text))

    def _init_key(self) -> str:
        config = json.loads((self.directory / "cdk.tf.json").read_text(encoding="utf-8"))
        terraform = json.dumps(config.get("terraform", {}), sort_keys=True)
        return hashlib.sha256(f"{self.identity}\n{terraform}".encode()).hexdigest()


class _Messages:
    """Collects the messages of one Terraform run."""

    def __init__(self) -> None:
        self._changes: list[TerraformChange] = []
        self._drift: list[str] = []
        self._errors: list[dict[str, Any]] = []
        self._noise: list[str] = []
        self._outputs_change = False

    def add(self, line: str) -> list[Sentence]:
        """Take one output line; return sentences worth showing to a person."""
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._noise.append(line)
            return []
        handler = getattr(self, f"_on_{message.get('type')}", None)
        return handler(message) if handler else []

    def plan(self) -> TerraformPlan:
        return TerraformPlan(tuple(self._changes), tuple(self._drift), self._outputs_change)

    def error(self, message: str, log: Path) -> CommandError | BusyError:
        """The run's diagnostics as one error: a sentence per failed resource."""
        if any(map(_is_locked, self._errors)):
            return BusyError(
                "the project's Terraform state is locked",
                found="another terraform, cdktf or iac process is using it",
                next_step="wait for it to end, then run the command again",
                retryable=True,
            )
        text = "\n".join(_sentence(d) for d in self._errors) or "\n".join(self._noise[-20:])
        return CommandError(message, detail=text, next_step=f"read {log}")

    def _on_planned_change(self, message: dict[str, Any]) -> list[Sentence]:
        change = message["change"]
        action = _ACTIONS.get(change["action"])
        if action:
            address = change["resource"]["addr"]
            self._changes.append(TerraformChange(address, action, change.get("reason")))
        return []

    def _on_resource_drift(self, message: dict[str, Any]) -> list[Sentence]:
        change = message["change"]
        self._drift.append(f"{change['resource']['addr']} ({change['action']})")
        return []

    def _on_outputs(self, message: dict[str, Any]) -> list[Sentence]:
        actions = {output.get("action", "noop") for output in message["outputs"].values()}
        self._outputs_change = bool(actions - {"noop"})
        return []

    def _on_diagnostic(self, message: dict[str, Any]) -> list[Sentence]:
        diagnostic = message["diagnostic"]
        if diagnostic.get("severity") == "error":
            self._errors.append(diagnostic)
            return []
        return [Sentence(f"warning: {_sentence(diagnostic)}")]

    def _on_apply_start(self, message: dict[str, Any]) -> list[Sentence]:
        hook = message["hook"]
        return _about(hook, _VERBS.get(hook["action"], hook["action"]))

    def _on_apply_progress(self, message: dict[str, Any]) -> list[Sentence]:
        hook = message["hook"]
        return _about(hook, f"not done after {hook['elapsed_seconds']} s")

    def _on_apply_complete(self, message: dict[str, Any]) -> list[Sentence]:
        hook = message["hook"]
        return _about(hook, f"done in {hook.get('elapsed_seconds', 0):g} s")

    def _on_apply_errored(self, message: dict[str, Any]) -> list[Sentence]:
        return _about(message["hook"], "failed")


_VERBS = {"create": "creating", "update": "updating", "delete": "deleting", "replace": "replacing"}


def _about(hook: Mapping[str, Any], words: str) -> list[Sentence]:
    address = hook["resource"]["addr"]
    return [Sentence(f"{address}: {words}", address, words)]


def _is_locked(diagnostic: Mapping[str, Any]) -> bool:
    """Whether another process has the state; a lock that a full disk did not take is no such."""
    unlocked = "Error acquiring the state lock" in diagnostic.get("summary", "")
    return unlocked and "no space left on device" not in diagnostic.get("detail", "")


def _sentence(diagnostic: Mapping[str, Any]) -> str:
    """``address: summary: detail`` without Terraform's line wrapping of paragraphs."""
    address = diagnostic.get("address")
    detail = str(diagnostic.get("detail") or "")
    parts = [address, diagnostic.get("summary"), detail if "\n" in detail else _unwrap(detail)]
    return ": ".join(str(part) for part in parts if part)


def _unwrap(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
