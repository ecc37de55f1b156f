"""The set-up as a list of steps, and the record they leave in .iac/host.json."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper.bootstrap import base_image, docker_cli, engine, images, node, provider, terraform
from iac_wrapper.bootstrap.context import Context
from iac_wrapper.bootstrap.tools import show
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock, host
from iac_wrapper.files.host import Host, PythonBase
from iac_wrapper.model.provider import PROVIDER_VERSION
from iac_wrapper.program import index_settings


@dataclass(frozen=True)
class Report:
    """What was recorded, and rows (what, where, version) for a person."""

    host: Host
    rows: list[tuple[str, ...]]


def run(context: Context) -> Report:
    """Set this machine up; quick when nothing is to do.

    Raises:
        IacError: a step cannot be done here; its next_step says how a person can.
    """
    with _alone(context):
        previous = _previous(context.root)
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
            bases={**(previous.bases if previous else {}), python: made},
            loopback_v6=images.has_loopback_v6(cli.path, sidecar),
        )
        if record != previous:
            host.save(record, context.root)
    return Report(
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
        ],
    )


def _previous(root: Path) -> Host | None:
    try:
        return host.load(root, versions=(1, host.HOST_VERSION))
    except ConfigError:
        return None


def _choose_provider(context: Context, previous: Host | None, platform: str) -> str:
    recorded = previous.provider if previous else None

    def available() -> bool:
        return provider.is_installed(context.layout.data) or provider.can_download(platform)

    chosen = provider.choose(context.settings.provider, recorded, available)
    if (recorded, chosen, context.settings.provider) == ("registry", "embedded", "auto"):
        context.progress.note(
            "the Docker provider cannot be downloaded from here: the embedded one is used from now"
            " on (make bootstrap IAC_PROVIDER=registry undoes that)"
        )
    return chosen


def _write_secrets(context: Context) -> None:
    """CA and build secrets; the certificate library is loaded only now, it costs 0.1 s."""
    from iac_wrapper.identity import certificates  # noqa: PLC0415

    index_settings.write_build_secrets(
        context.layout, context.environ, ca_bundle=context.settings.ca_bundle
    )
    certificates.ensure_ca(context.layout.secrets)


@contextmanager
def _alone(context: Context) -> Iterator[None]:
    """One bootstrap at a time in a folder: a second one waits, and then finds all done."""
    path = context.layout.data / "bootstrap.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    waits = "waiting for another make bootstrap in this folder"
    with file_lock.hold(fd, lambda: context.progress.note(waits)):
        yield
