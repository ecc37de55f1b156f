"""Checks of what the set-up found or made: tools, provider, base images, and their record."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.adapters import process, terraform_config
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import node, provider, terraform
from iac_wrapper.bootstrap.doctor.machine import ThisMachine
from iac_wrapper.errors import CommandError
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.checkup import Check, Seen
from iac_wrapper.model.provider import PROVIDER_VERSION


def is_set_up(machine: ThisMachine) -> Seen:
    """This machine was set up, by the files of the version that runs."""
    pythons = ", ".join(sorted(machine.record.bases))
    return Seen(f"{machine.settings.machine_home.record} (Python {pythons})")


def terraform_runs(machine: ThisMachine) -> Seen:
    """What stands for Terraform starts one that is new enough."""
    path = machine.settings.machine_home.terraform
    found = terraform.inspect_terraform((str(path),))
    if found is None or found.version < terraform.OLDEST:
        raise CommandError(
            "no usable Terraform",
            where=str(path),
            found=str(found.version) if found else "it does not run",
            expected=f"Terraform {terraform.OLDEST} or newer",
            next_step=setup_command(),
        )
    return Seen(f"{found.version} by {path}")


def provider_is_there(machine: ThisMachine) -> Seen:
    """Terraform gets the Docker provider that was chosen."""
    home, chosen = machine.settings.machine_home, machine.record.provider
    named = terraform_config.configured_file(machine.settings.environment)
    if named and not terraform_config.own(machine.settings.environment):
        return Seen(
            f"TF_CLI_CONFIG_FILE names {named}, which does not exist: it is ignored",
            "unset TF_CLI_CONFIG_FILE, or name a file that exists",
        )
    if named:
        return Seen(f"whichever {named} names (TF_CLI_CONFIG_FILE)")
    if chosen == "embedded":
        launch = home.mirror / "launch"
        process.run(Command((str(launch), "--check"))).check(
            "the embedded Docker provider cannot start", next_step=setup_command()
        )
        return Seen(f"embedded {PROVIDER_VERSION}, in {home.mirror}")
    if not provider.is_installed(home.data):
        here = terraform.inspect_terraform((str(home.terraform),))
        if here is None or not provider.can_download(here.platform):
            raise CommandError(
                "Terraform's registry does not answer, and no provider was downloaded before",
                next_step=f"{setup_command(IAC_PROVIDER='embedded')} takes the embedded one",
            )
    return Seen(f"of the registry, {PROVIDER_VERSION}")


def node_runs(machine: ThisMachine) -> Seen:
    """There is a Node.js for cdktf that is new enough."""
    path, npm = Path(machine.record.node), machine.settings.machine_home.bin / "npm"
    found = node.inspect_node(path, npm)
    if found is None:
        raise CommandError(
            "no usable Node.js",
            where=str(path),
            expected=f"Node.js {node.OLDEST} or newer, with npm",
            next_step=setup_command(),
        )
    return Seen(f"{found.version} at {path}")


def images_are_there(machine: ThisMachine) -> Seen:
    """The engine has the images that services are made from."""
    record = machine.record
    bases = [name for base in record.bases.values() for name in (base.image, base.runtime_image)]
    wanted = [record.sidecar_image, *bases]
    missing = [name for name in wanted if not machine.engine.has_image(name)]
    if missing:
        raise CommandError(
            "the engine lacks base images",
            found=f"no {', '.join(missing)}",
            expected="those that the set-up recorded",
            next_step=f"{setup_command()} (makes them again)",
        )
    return Seen(f"{len(wanted)} are there, with {record.sidecar_image}")


_NEEDS = ("settings", "set-up")

CHECKS = (
    Check("set-up", is_set_up, after=("settings",)),
    Check("Terraform", terraform_runs, after=_NEEDS),
    Check("provider", provider_is_there, after=_NEEDS),
    Check("Node.js", node_runs, after=_NEEDS),
    Check("base images", images_are_there, after=("engine", *_NEEDS)),
)
