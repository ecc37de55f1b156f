"""The facts of one project, as `repos.lock.json` and the state hold them. Values, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from iac_wrapper.model import exposure
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.exposure import Route


@dataclass(frozen=True)
class LockFile:
    """Everything `main.py` needs to know about one project.

    `subnet` is an IPv4 network in CIDR form; `gateway_port` the one published loopback port.
    `apps` is sorted by name. `environment` is the one of the repos file that the project is;
    `ingress_port` the loopback port of services with ``expose: true``, None without any. `parked`
    services, sorted too, were stopped by a person: they are not in the stack, and start again as
    they are here.
    """

    project: str
    network: str
    subnet: str
    gateway_port: int
    apps: tuple[ResolvedApp, ...]
    environment: str | None = None
    ingress_port: int | None = None
    parked: tuple[ResolvedApp, ...] = ()

    @property
    def all_apps(self) -> tuple[ResolvedApp, ...]:
        """What the project has data, keys and images of, sorted: the `parked` services as well."""
        return tuple(sorted((*self.apps, *self.parked), key=lambda app: app.name))

    @property
    def trust_domain(self) -> str:
        """The SPIFFE trust domain of the project: its network's name."""
        return self.network

    @property
    def routes(self) -> tuple[Route, ...]:
        """The addresses under which people reach services, sorted; without any, no ingress."""
        return exposure.routes((app.name, app.options.expose) for app in self.apps)

    @property
    def keeps_ingress_port(self) -> bool:
        """Whether a service has an address on it, or will have again when it is started."""
        exposed = exposure.routes((app.name, app.options.expose) for app in self.all_apps)
        return any(route.is_local for route in exposed)

    def with_apps(self, apps: Iterable[ResolvedApp]) -> LockFile:
        """The same with other versions of some apps."""
        others = {app.name: app for app in apps}
        return replace(self, apps=tuple(others.get(app.name, app) for app in self.apps))

    def parking(self, names: Collection[str]) -> LockFile:
        """The same, in which exactly the services `names` are parked."""
        apps = self.all_apps
        return replace(
            self,
            apps=tuple(app for app in apps if app.name not in names),
            parked=tuple(app for app in apps if app.name in names),
        )

    def without(self, names: Collection[str]) -> LockFile:
        """The same without the services `names`."""
        return replace(
            self,
            apps=tuple(app for app in self.apps if app.name not in names),
            parked=tuple(app for app in self.parked if app.name not in names),
        )
