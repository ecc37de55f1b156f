"""What a mesh is made of, and where a cdktf app reads it. It must not import cdktf."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import host as host_record
from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import DEFAULT_PROBATION, ResolvedApp
from iac_wrapper.model.certificate import INGRESS
from iac_wrapper.model.ingress import Ingress
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.users import GATEWAY, Users
from iac_wrapper.settings import Settings
from iac_wrapper.settings.ingress import ingress_of

OUTDIR = "CDKTF_OUTDIR"
"""cdktf's own variable for the folder that it writes to."""


@dataclass(frozen=True)
class MeshProps:
    """Facts of one project and one machine; raises ConfigError if they cannot be.

    `users` holds the uids of every service and of the gateway; `layout` says where files lie on
    the host; `outdir` is where cdktf writes, because the path of Terraform's state is relative to
    it; `memory_mb` limits each app's container, MiB; `max_headers` and `max_headers_kb` (KiB)
    bound the headers of a request or response; `probation` is how long a program that answers no
    requests must stay alive, seconds. `ingress` is what people reach, None if nothing is;
    `lock_path` and `python` are for the command that writes its files.
    """

    lock: LockFile
    host: Host
    users: Mapping[str, Users]
    layout: Layout
    outdir: Path
    memory_mb: int
    max_headers: int = 100
    max_headers_kb: int = 60
    probation: int = DEFAULT_PROBATION
    otlp_endpoint: str = ""
    ingress: Ingress | None = None
    lock_path: Path = Path("repos.lock.json")
    python: str = sys.executable

    def __post_init__(self) -> None:
        names = [app.name for app in self.lock.apps]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise self.bad("two apps have one name", ", ".join(twice), "every name once")
        shared = {GATEWAY, INGRESS} if self.lock.routes else {GATEWAY}
        if without := sorted({*names, *shared} - self.users.keys()):
            raise self.bad("services without uids", ", ".join(without), "uids for every service")
        if not 1 <= self.lock.gateway_port <= 65535:
            raise self.bad("bad gateway port", self.lock.gateway_port, "1 to 65535")
        try:
            subnet = ipaddress.IPv4Network(self.lock.subnet)
        except ValueError as error:
            raise self.bad("bad subnet", str(error), "an IPv4 network in CIDR form") from None
        # The network's own address, its gateway, the broadcast address and the mesh's gateway.
        needed = len(names) + 3 + len(shared)
        if subnet.num_addresses < needed:
            raise self.bad("the subnet is too small", subnet, f"room for {needed} addresses")

    def app(self, service: str) -> ResolvedApp:
        """The locked facts of a service.

        Raises:
            ConfigError: the lock has no such service; names those that it has.
        """
        apps = {app.name: app for app in self.lock.apps}
        if service not in apps:
            raise self.bad(
                f"no service {service!r}",
                f"the services {', '.join(apps)}" if apps else "no services",
                "a service of the lock file",
                next_step="add it to repos.yaml, then `iac lock --file repos.yaml`, or take it"
                " out of main.py",
            )
        return apps[service]

    def bad(
        self,
        message: str,
        found: object,
        expected: str,
        *,
        next_step: str = "iac lock --file repos.yaml",
    ) -> ConfigError:
        """An error about the lock file."""
        return ConfigError(
            message,
            where=f"lock file of {self.lock.project}",
            found=str(found),
            expected=expected,
            next_step=next_step,
        )


def project_name(folder: Path | None = None) -> str:
    """The project that is synthesized: the name of the stack that `Mesh` is made in.

    Args:
        folder: the project folder; default: the current one.

    Raises:
        ConfigError: there is no lock file, or it cannot be read.
    """
    folder = folder or Path.cwd()
    return _lock(folder, settings.load_settings(folder)).project


def _lock(folder: Path, chosen: Settings) -> LockFile:
    return lock_file.load_lock(_lock_path(folder, chosen))


def _lock_path(folder: Path, chosen: Settings) -> Path:
    return folder / (chosen.lock_file or "repos.lock.json")


def read_props(folder: Path) -> MeshProps:
    """The facts of the project in `folder`: its lock, users and settings, and the host record.

    `iac` names the lock, the users and the folder to write to in the environment.

    Raises:
        ConfigError: one is missing or wrong.
    """
    chosen, layout = settings.load_settings(folder), Layout(folder)
    lock = _lock(folder, chosen)
    host = host_record.load_host(chosen.machine_home)
    users, outdir = os.environ.get(users_file.VARIABLE), os.environ.get(OUTDIR)
    return MeshProps(
        lock=lock,
        host=host,
        users=users_file.load_users(Path(users) if users else layout.users(lock.project)),
        layout=layout,
        outdir=(Path(outdir) if outdir else layout.outdir(lock.project)).absolute(),
        memory_mb=chosen.memory_mb,
        max_headers=chosen.max_headers,
        max_headers_kb=chosen.max_headers_kb,
        probation=chosen.probation,
        otlp_endpoint=chosen.otlp_endpoint,
        ingress=ingress_of(chosen, lock),
        lock_path=_lock_path(folder, chosen).absolute(),
    )
