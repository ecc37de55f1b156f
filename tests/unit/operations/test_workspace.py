"""What every operation hands to Terraform."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_files
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.event import Event
from iac_wrapper.operations.workspace import Workspace
from tests.constructs.facts import host

EMPTY = '#!/bin/sh\necho "$1 ${TF_CLI_CONFIG_FILE-none}" >> calls\nmkdir -p .terraform\n'
"""A Terraform that writes down which configuration it was given."""


@pytest.fixture
def stack(workspace: Workspace) -> Path:
    """A synthesized stack, in a folder that bootstrap has been through."""
    root = workspace.layout.root
    terraform = workspace.settings.machine_home.terraform
    terraform.parent.mkdir(parents=True)
    terraform.write_text(EMPTY)
    terraform.chmod(0o755)
    vars(workspace)["host"] = host(provider="embedded")  # as `cached_property` keeps it
    (root / "stack").mkdir()
    (root / "stack" / "cdk.tf.json").write_text(json.dumps({"terraform": {}}))
    return root / "stack"


def init(workspace: Workspace, stack: Path, **environ: str) -> list[str]:
    """Initialise under `environ`; the calls of Terraform so far."""
    chosen = settings.load_settings(
        workspace.layout.root, {**workspace.settings.environment, **environ}
    )
    other = replace(workspace, settings=chosen)
    vars(other)["host"] = workspace.host
    other.terraform(stack).init()
    return (stack / "calls").read_text().splitlines()


def test_a_configuration_of_ones_own_wins_after_the_first_init(
    workspace: Workspace, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, changed, removed: each time the providers are set up anew, and once only."""
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    own = tmp_path / "own.tfrc"
    own.write_text("# one\n")
    assert len(init(workspace, stack)) == len(init(workspace, stack)) == 1
    named = os.path.relpath(own)
    assert init(workspace, stack, TF_CLI_CONFIG_FILE=named)[1:] == [f"init {own}"]
    assert len(init(workspace, stack, TF_CLI_CONFIG_FILE=named)) == 2
    own.write_text("# two\n")
    assert init(workspace, stack, TF_CLI_CONFIG_FILE=named)[2:] == [f"init {own}"]
    assert init(workspace, stack)[3:] == ["init none"]


def test_a_configuration_that_is_not_there_is_said_to_be_ignored(
    workspace: Workspace, stack: Path, events: list[Event]
) -> None:
    """One warning that names it; the set-up stays as it is."""
    assert len(init(workspace, stack)) == 1
    assert len(init(workspace, stack, TF_CLI_CONFIG_FILE="/nowhere/x.tfrc")) == 1
    (warning,) = events
    assert (warning.kind, warning.message) == (
        "warning",
        "TF_CLI_CONFIG_FILE names /nowhere/x.tfrc, which does not exist: it is ignored",
    )


def test_a_configuration_of_ones_own_may_bring_the_official_provider(
    workspace: Workspace, stack: Path, tmp_path: Path
) -> None:
    """Whose refresh would remove stopped containers: the recorded choice is not the last word."""
    own = tmp_path / "own.tfrc"
    assert (stack.exists(), workspace.has_embedded_provider) == (True, True)
    chosen = settings.load_settings(tmp_path, {"TF_CLI_CONFIG_FILE": str(own)})
    other = replace(workspace, settings=chosen)
    vars(other)["host"] = workspace.host
    assert other.has_embedded_provider
    own.touch()
    assert not other.has_embedded_provider


def test_a_terraform_that_was_removed_is_named_with_what_brings_it_back(
    workspace: Workspace, stack: Path
) -> None:
    """Not as a file that cannot be read: the set-up is what is missing."""
    removed = workspace.settings.machine_home.terraform
    removed.unlink()
    with pytest.raises(ConfigError, match="set-up of this machine is incomplete") as caught:
        workspace.terraform(stack)
    assert (caught.value.where, caught.value.next_step) == (str(removed), setup_command())


def test_what_stands_within_a_value_is_hidden_as_well(workspace: Workspace) -> None:
    """A program may print the password without the URL around it."""
    env = {"URL": "redis://:${PASSWORD}@cache/0"}
    given = {"PASSWORD": "sentinel-1 x"}
    layout = workspace.layout
    env_files.keep_parts(layout.env_parts("demo", "web"), env, given)
    env_files.write_values(
        layout.env_files("demo", "web"),
        env_files.resolve(env, given, where="web", env_file=Path(".env")),
    )

    hide = workspace.redactor()

    assert hide("as redis://:sentinel-1 x@cache/0 with sentinel-1 x.") == (
        "as [redacted] with [redacted]."
    )
    assert env_files.read_values(layout.env_files("demo", "web")).keys() == {"URL"}
