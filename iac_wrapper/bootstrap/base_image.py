"""The slim Python base of app images: pulled by digest, or built from Debian once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from iac_wrapper.adapters import process
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import apt, debian, docker_images
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.docker_images import BASE_LABEL, EngineImage
from iac_wrapper.bootstrap.machine import Machine
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.program import apt_settings

PULL_TIMEOUT = 600.0
"""Seconds; an engine without a registry says so by itself, after 15 s in the worst case."""


def ensure(context: BootstrapRun, docker: Path, python: str, recorded: str | None) -> EngineImage:
    """The base for a Python version.

    Args:
        context: this run; its setting IAC_BASE_IMAGES is auto, registry or debian.
        docker: the docker CLI.
        python: ``3.11`` and so on.
        recorded: the reference an earlier run chose; kept while the engine has it.

    Raises:
        ConfigError: neither way is open here.
        CommandError: the way that is open failed.
    """
    mode = context.settings.base_images
    if recorded and is_current(recorded, mode, python):
        image = docker_images.inspect_image(docker, recorded)
        if image is not None and _own_is_current(image, python):
            return image
    if mode != "debian":
        pulled = _pull(context, docker, python)
        if pulled is not None:
            return pulled
        if mode == "registry":
            raise ConfigError(
                f"cannot pull python:{python}-slim",
                where="IAC_BASE_IMAGES",
                found="no image registry answers the Docker engine",
                next_step="set IAC_BASE_IMAGES=auto, or docker login / configure a mirror",
            )
    return _build(context, docker, python)


def is_current(recorded: str, mode: str, python: str) -> bool:
    """True if a recorded reference is what the setting asks for."""
    own = recorded == own_reference(python)
    return mode == "auto" or (mode == "debian") == own


def own_reference(python: str) -> str:
    """The tag of a base built here."""
    return f"iac/python:{python}-slim"


def _own_is_current(image: EngineImage, python: str) -> bool:
    """A pulled image is pinned by digest; one built here must be of today's recipe."""
    if image.reference != own_reference(python):
        return True
    return image.labels.get(BASE_LABEL) == debian.recipe_hash(python)


def _pull(context: BootstrapRun, docker: Path, python: str) -> EngineImage | None:
    """The official image, pulled by the engine, so that its mirrors and proxies count.

    One that was loaded from a file serves as well where nothing can be pulled.
    """
    reference = f"python:{python}-slim"
    with context.progress.step(f"looking for {reference} in the engine's image registry"):
        done = process.run(
            Command((str(docker), "pull", "--quiet", reference)), timeout=PULL_TIMEOUT
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        context.progress.note(f"not pulled: {reason}")
    image = docker_images.inspect_image(docker, reference)
    if image is None or not image.digests:
        return image
    return (
        docker_images.inspect_image(docker, pinned_reference(reference, image.digests[0])) or image
    )


def pinned_reference(reference: str, digest: str) -> str:
    """``python:3.11-slim`` and ``python@sha256:…`` as ``python:3.11-slim@sha256:…``."""
    return f"{reference}@{digest.rpartition('@')[2]}"


def _build(context: BootstrapRun, docker: Path, python: str) -> EngineImage:
    reference = own_reference(python)
    known = docker_images.inspect_image(docker, reference)
    if known is not None and _own_is_current(known, python):
        return known
    debian.suite(python)  # before anything is installed
    if not shutil.which("mmdebstrap"):
        _install_mmdebstrap(context)
    with (
        context.progress.step(f"building {reference} from Debian packages"),
        tempfile.TemporaryDirectory(prefix="iac-base-") as folder,
    ):
        archive = Path(folder) / "root.tar"
        Path(folder).chmod(0o755)  # mmdebstrap drops to the user _apt inside
        command = debian.bootstrap_command(
            python,
            archive,
            sources=sources(context.machine, python),
            apt_options=apt_settings.apt_options(),
        )
        log = docker_images.log_name(reference)
        context.run_logged(
            log,
            command,
            "mmdebstrap failed",
            next_step=f"fix what the log says, then {setup_command()}",
        )
        imported = debian.import_command(python, archive, docker, reference)
        context.run_logged(log, imported, "docker import failed", next_step=setup_command())
    image = docker_images.inspect_image(docker, reference)
    assert image is not None  # noqa: S101 - it was imported just now
    return image


def _install_mmdebstrap(context: BootstrapRun) -> None:
    if not context.machine.can_apt:
        raise ConfigError(
            "no base image for apps",
            found="no image registry answers, and there is no mmdebstrap to build one from Debian",
            expected="an image registry the Docker engine can pull from, or mmdebstrap",
            next_step=(
                f"sudo apt-get install mmdebstrap, then {setup_command()}"
                if context.machine.apt
                else "configure a registry mirror for the engine, or docker load python:X.Y-slim"
                " from a file and set IAC_BASE_IMAGES=registry"
            ),
        )
    apt.install(context, ("mmdebstrap", "debian-archive-keyring"))


def sources(machine: Machine, python: str) -> list[str]:
    """This machine's own Debian mirrors; none on another distribution."""
    if machine.distribution != "debian" or not machine.codename:
        return []
    texts = apt_settings.source_texts()
    return apt_settings.host_sources(texts, machine.codename, debian.suite(python))
