"""The ingress's files: listeners and routes as Envoy reads them, and the host's ports.

Terraform has them written in an apply (`ingress_files`); healing, renewals and challenges do it
without one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from constructs_lib import ingress_config
from iac_wrapper.adapters import host_ports
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.layout import Layout
from iac_wrapper.identity import public_certificates
from iac_wrapper.model import exposure
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.ingress import Ingress, ServedCertificate, Shown
from iac_wrapper.model.intent import Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.mesh import PUBLIC_DIRECTORY
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings.ingress import ingress_of, public_ports

_CHALLENGES = "challenges.json"


def urls(workspace: Workspace, lock: LockFile, app: ResolvedApp) -> tuple[str, ...]:
    """Where people reach a service; empty if it is not exposed."""
    ports = public_ports(workspace.settings, lock)
    return exposure.urls_of(app.name, app.options.expose, ports)


def local_address(workspace: Workspace) -> str:
    """Where this machine itself finds the public ports."""
    bound = workspace.settings.ingress_addresses[0]
    return "127.0.0.1" if bound == "0.0.0.0" else bound  # noqa: S104 - compared only


def write(layout: Layout, ingress: Ingress) -> bool:
    """Make the files of the ingress what they should be; whether any was not.

    Each appears by rename, which is what Envoy watches; routes come before the listeners that use
    them. What is right is not touched.
    """
    folder = layout.ingress(ingress.project)
    _open(folder)
    if ingress.has_tls:
        _open(layout.public_certificates(ingress.project))  # mounted, so it has to be there
    with file_lock.hold(os.open(folder, os.O_RDONLY | os.O_DIRECTORY)):
        return _write(layout, ingress)


def _open(folder: Path) -> None:
    """Make a folder that the ingress's Envoy, which has a uid of its own, can read."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def refresh(workspace: Workspace) -> bool:
    """`write` for what is deployed: after a certificate was renewed, or a file was lost."""
    ingress = _deployed(workspace)
    return ingress is not None and write(workspace.layout, ingress)


def is_stale(workspace: Workspace) -> bool:
    """Whether `refresh` would write something."""
    ingress = _deployed(workspace)
    return ingress is not None and bool(_wrong(workspace.layout, ingress))


def publish(workspace: Workspace, token: str, key_authorization: str) -> None:
    """Let every public host answer an HTTP-01 challenge (RFC 8555, 8.3) on the HTTP port."""
    _change_challenges(workspace, {token: key_authorization}, drop="")


def withdraw(workspace: Workspace, token: str) -> None:
    """Take the answer of `publish` back."""
    _change_challenges(workspace, {}, drop=token)


def check_ports(workspace: Workspace, selection: Selection) -> None:
    """Refuse before anything is changed if something else has a public port that is needed.

    Raises:
        ConfigError: names the port, for whom it is wanted, and who has it.
    """
    fresh = [(spec.name, spec.options.expose) for spec in selection.fresh]
    kept = [(app.name, app.options.expose) for app in selection.kept_apps]
    wanted = exposure.routes([*fresh, *kept])
    public = [route for route in wanted if not route.is_local]
    if not public or not workspace.engine_is_local:
        return
    settings = workspace.settings
    secure = [route for route in public if route.exposure.tls != "off"]
    own = workspace.engine.published_ports(workspace.project)
    for port, name, routes in (
        (settings.http_port, "IAC_HTTP_PORT", public),
        (settings.https_port, "IAC_HTTPS_PORT", secure),
    ):
        if not routes or port in own:
            continue
        for address in settings.ingress_addresses:
            if not host_ports.is_free(address, port):
                raise ConfigError(
                    f"port {port} of this machine is in use",
                    found=host_ports.owner(workspace.engine, port),
                    expected=f"a free one for {routes[0].address} ({routes[0].service})",
                    next_step=f"stop what has it, or set {name} or IAC_INGRESS_ADDRESS",
                )


def _deployed(workspace: Workspace) -> Ingress | None:
    lock = workspace.applied_lock()
    return ingress_of(workspace.settings, lock) if lock else None


def _write(layout: Layout, ingress: Ingress) -> bool:
    wrong = _wrong(layout, ingress)
    for path, text in wrong.items():
        if text is None:
            path.unlink()
        else:
            write_text(path, text)
    return bool(wrong)


def _wrong(layout: Layout, ingress: Ingress) -> dict[Path, str | None]:
    """What each file that is not right should hold; None: it should not be there."""
    folder = layout.ingress(ingress.project)
    wanted = ingress_config.files(ingress, _shown(layout, ingress))
    paths = {folder / name: text for name, text in wanted.items()}
    wrong: dict[Path, str | None] = {
        path: text for path, text in paths.items() if _read(path) != text
    }
    left = set(folder.glob("*.json")) - paths.keys() - {folder / _CHALLENGES}
    return wrong | dict.fromkeys(sorted(left))


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _shown(layout: Layout, ingress: Ingress) -> Shown:
    """Which certificates there are, and which challenges are to be answered."""
    hosts = {r.host for r in exposure.public(ingress.routes) if r.exposure.tls != "off"}
    root = layout.public_certificates(ingress.project)
    certificates = {
        host: ServedCertificate(*(f"{PUBLIC_DIRECTORY}/{p.relative_to(root)}" for p in found))
        for host in sorted(hosts)
        if (found := _certificate(layout, ingress.project, host))
    }
    return Shown(certificates, _challenges(layout, ingress.project))


def _certificate(layout: Layout, project: str, host: str) -> tuple[Path, Path] | None:
    found = public_certificates.current(layout, project, host)
    return (found.cert, found.key) if found else None


def _challenges(layout: Layout, project: str) -> dict[str, str]:
    text = _read(layout.ingress(project) / _CHALLENGES)
    found: dict[str, str] = json.loads(text) if text else {}
    return found


def _change_challenges(workspace: Workspace, more: Mapping[str, str], *, drop: str) -> None:
    layout, ingress = workspace.layout, _deployed(workspace)
    if ingress is None:
        raise ConfigError(
            f"project {workspace.project} has no ingress to answer a challenge",
            expected="a service with `expose: {host: …}`",
            next_step=f"iac deploy {workspace.list_arguments}",
        )
    folder = layout.ingress(ingress.project)
    with file_lock.hold(os.open(folder, os.O_RDONLY | os.O_DIRECTORY)):
        kept = {t: a for t, a in _challenges(layout, ingress.project).items() if t != drop}
        write_text(folder / _CHALLENGES, json.dumps({**kept, **more}, indent=1, sort_keys=True))
        _write(layout, ingress)
