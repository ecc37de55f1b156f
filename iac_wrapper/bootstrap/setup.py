"""The set-up as a list of steps, and the record they leave in host.json."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from uv import find_uv_bin

from iac_wrapper import __version__
from iac_wrapper.bootstrap import (
    base_image,
    docker_cli,
    engine,
    images,
    machine,
    node,
    provider,
    terraform,
)
from iac_wrapper.bootstrap.console import Progress
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.tools import show
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock, host, machine_home
from iac_wrapper.files.host import Host, PythonBase
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model.provider import PROVIDER_VERSION
from iac_wrapper.program import index_settings
from iac_wrapper.settings import Settings


@dataclass(frozen=True)
class BootstrapReport:
    """What was recorded, and rows (what, where, version) for a person."""

    host: Host
    rows: list[tuple[str, ...]]


def context(settings: Settings, project: Path | None, write: Callable[[str], None]) -> BootstrapRun:
    """What `run` needs on this machine.

    Args:
        settings: of the project folder, or of the environment alone.
        project: the project folder whose CA is made as well, if there is one.
        write: gets each line of progress.
    """
    return BootstrapRun(
        home=settings.machine_home,
        packages=machine_home.PACKAGES,
        python=Path(sys.executable),
        uv=Path(find_uv_bin()),
        secrets=Layout(project).secrets if project else None,
        settings=settings,
        environ=settings.environment,
        machine=machine.inspect_machine(),
        progress=Progress(write),
    )


def run(context: BootstrapRun) -> BootstrapReport:
    """Set this machine up; quick when nothing is to do.

    Raises:
        IacError: a step cannot be done here; its next_step says how a person can.
    """
    with _alone(context):
        previous = _previous(context)
        python = context.settings.python_version
        tf = terraform.ensure(context)
        chosen = _choose_provider(context, previous, tf.platform)
        if chosen == "embedded":
            provider.install(context, tf.platform)
        executable = terraform.write_executable(context, tf, embedded=chosen == "embedded")
        nodejs = node.ensure(context)
        engine.ensure(context)
        cli = docker_cli.ensure(context)
        images.warn_of_disk(context, cli.path)
        _write_secrets(context)
        recorded = previous.bases.get(python) if previous else None
        base = base_image.ensure(context, cli.path, python, recorded.image if recorded else None)
        runtime = images.ensure_runtime(context, cli.path, python, base)
        sidecar = images.ensure_sidecar(context, cli.path, base)
        made = PythonBase(base.reference, runtime.reference)
        record = Host(
            docker=str(cli.path),
            terraform=str(executable),
            node=str(nodejs.node),
            provider=chosen,
            sidecar_image=sidecar.reference,
            bases={**_kept_bases(context, previous), python: made},
            loopback_v6=images.has_loopback_v6(cli.path, sidecar),
        )
        host.save_host(record, context.home)
    return BootstrapReport(
        record,
        [
            ("terraform", tf.origin, show(tf.version)),
            ("docker provider", chosen, PROVIDER_VERSION),
            ("node", str(nodejs.node), show(nodejs.version)),
            ("docker CLI", str(cli.path), show(cli.client)),
            ("docker engine", context.environ.get("DOCKER_HOST") or "default", show(cli.server)),
            ("python base", base.reference, python),
            ("runtime base", runtime.reference, python),
            ("sidecar", sidecar.reference, images.ENVOY_VERSION),
            ("machine folder", str(context.home.data), __version__),
            *_units(),
        ],
    )


def add_python(context: BootstrapRun, python: str) -> PythonBase:
    """The base of one more Python on a machine that is set up; made unless it is recorded.

    Raises:
        IacError: it cannot be made here; its next_step says how a person can.
    """
    with _alone(context):
        record = host.load_host(context.home)
        if python not in record.bases:
            docker = Path(record.docker)
            images.warn_of_disk(context, docker)
            index_settings.write_build_secrets(
                context.home.build_secrets, context.environ, ca_bundle=context.settings.ca_bundle
            )
            base = base_image.ensure(context, docker, python, None)
            runtime = images.ensure_runtime(context, docker, python, base)
            made = PythonBase(base.reference, runtime.reference)
            record = replace(record, bases={**record.bases, python: made})
            host.save_host(record, context.home)
    return record.bases[python]


def _units() -> list[tuple[str, ...]]:
    """Where the wheel put the systemd units, if it did."""
    folder = Path(sysconfig.get_path("data")) / "share" / "karstkit" / "systemd"
    return [("systemd units", str(folder), __version__)] if folder.is_dir() else []


def _previous(context: BootstrapRun) -> Host | None:
    try:
        return host.read_host(context.home, versions=(1, host.HOST_VERSION))
    except ConfigError:
        return None


def _kept_bases(context: BootstrapRun, previous: Host | None) -> dict[str, PythonBase]:
    """What other Pythons have: nothing after a change of the files that all are made from."""
    return dict(previous.bases) if previous and host.is_current(context.home) else {}


def _choose_provider(context: BootstrapRun, previous: Host | None, platform: str) -> str:
    recorded = previous.provider if previous else None

    def available() -> bool:
        return provider.is_installed(context.home.data) or provider.can_download(platform)

    chosen = provider.choose(context.settings.provider, recorded, available)
    if (recorded, chosen, context.settings.provider) == ("registry", "embedded", "auto"):
        context.progress.note(
            "the Docker provider cannot be downloaded from here: the embedded one is used from now"
            f" on ({setup_command(IAC_PROVIDER='registry')} undoes that)"
        )
    return chosen


def _write_secrets(context: BootstrapRun) -> None:
    """CA and build secrets; the certificate library is loaded only now, it costs 0.1 s."""
    from iac_wrapper.identity import issuers  # noqa: PLC0415

    index_settings.write_build_secrets(
        context.home.build_secrets, context.environ, ca_bundle=context.settings.ca_bundle
    )
    if context.secrets and not context.settings.cert_command:
        issuers.ensure_issuer(context.secrets)


@contextmanager
def _alone(context: BootstrapRun) -> Iterator[None]:
    """One set-up at a time in a folder: a second one waits, and then finds all done."""
    path = context.home.data / "bootstrap.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    waits = f"waiting for another {setup_command()} in this folder"
    with file_lock.hold(fd, lambda: context.progress.note(waits)):
        yield
