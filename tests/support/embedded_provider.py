"""Terraform projects in a temporary folder that use the embedded Docker provider."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider import mirror, schema
from provider.planning import plan_create

VERSION = mirror.VERSION


def make_mirror(folder: Path) -> Path:
    """A filesystem mirror with this checkout's provider, and the CLI configuration naming it."""
    mirror.write(folder / "mirror", repair="run the tests again")
    configuration = folder / "terraformrc"
    configuration.write_text(mirror.cli_configuration(folder / "mirror"))
    return configuration


def planned(kind: str, **config: Any) -> dict[str, Any]:
    """The planned values of a new resource with this configuration."""
    return plan_create(schema.load_schemas().resources[kind].block, config).planned


@dataclass(frozen=True)
class Project:
    """A folder with `main.tf.json`."""

    folder: Path
    cli_configuration: Path

    @property
    def environment(self) -> dict[str, str]:
        """What Terraform runs with."""
        shared = ("TF_WORKSPACE", "TF_DATA_DIR", "TF_PLUGIN_CACHE_DIR")
        return {
            **{name: value for name, value in os.environ.items() if name not in shared},
            "DOCKER_BUILDKIT": "1",
            "TF_CLI_CONFIG_FILE": str(self.cli_configuration),
            "CHECKPOINT_DISABLE": "1",
            "KARSTKIT_LOG_DIR": str(self.folder / "logs"),
        }

    def write(self, configuration: dict[str, Any]) -> None:
        """Write the configuration and initialise."""
        self.folder.mkdir(parents=True, exist_ok=True)
        required = {"docker": {"source": "kreuzwerker/docker", "version": VERSION}}
        whole = {"terraform": {"required_providers": required}, **configuration}
        (self.folder / "main.tf.json").write_text(json.dumps(whole))
        done = self.run("init")
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform; output without colours and without line wrapping marks."""
        return subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def apply(self) -> subprocess.CompletedProcess[str]:
        """Apply without questions."""
        return self.run("apply", "-auto-approve")

    def changes(self) -> str:
        """The plan's text, or "" if it is empty."""
        done = self.run("plan", "-detailed-exitcode")
        assert done.returncode in {0, 2}, done.stdout + done.stderr
        return done.stdout if done.returncode == 2 else ""

    def state(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Each resource's first instance by type and name."""
        data = json.loads((self.folder / "terraform.tfstate").read_text())
        return {(r["type"], r["name"]): r["instances"][0] for r in data["resources"]}
