"""One service: an app and the Envoy that speaks mTLS for it. Composes; decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from constructs import Construct

from constructs_lib import foreign_container
from constructs_lib.app_environment import ENV_DIRECTORY, AppEnvironment
from constructs_lib.app_image import AppImage, AppImageProps
from constructs_lib.cdk import Image
from constructs_lib.certificate_files import CertificateFiles
from constructs_lib.envoy_sidecar import STOP_GRACE, EnvoySidecar, EnvoySidecarProps, ForeignWatch
from constructs_lib.hardened_container import (
    Attachment,
    HardenedContainer,
    HardenedContainerProps,
    Mount,
)
from constructs_lib.labels import labels
from constructs_lib.mesh import Mesh
from constructs_lib.policies import RUNNER_CAPABILITIES
from constructs_lib.volume import Volume
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import container_name
from iac_wrapper.model import references
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.app_rules import check_name, check_port
from iac_wrapper.model.labels import FOREIGN
from iac_wrapper.model.options import MIN_MEMORY_MB
from iac_wrapper.model.policy import policies
from iac_wrapper.model.tcp import ALIAS
from iac_wrapper.model.users import GROUP, Users

STOP_MARGIN = 5
"""Seconds that Docker waits beyond the program's: calls in flight may have used up its own, and it
has 3 s all the same; then for the runner to reap and to leave."""

TMPFS = {"/tmp": 64}  # noqa: S108 - inside the container
"""Writable memory of every app: path -> MiB. It counts as memory of the container."""

_FOLDER_MB = 64
"""The same for each folder that a framework writes to."""


@dataclass(frozen=True)
class AppWithEnvoyProps:
    """A service of the mesh's lock; raises ConfigError if its facts cannot be.

    What is given here adds to repos.yaml: `env` are further variables (no ``${NAME}``), and
    `memory_mb` (MiB) and `cpus` (processors) win over its limits.
    """

    mesh: Mesh
    service: str
    env: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int | None = None
    cpus: float | None = None

    def __post_init__(self) -> None:
        app, project = self.app, self.mesh.props.lock.project
        # Anything but a DNS label would also lose characters in its id: cdktf silently makes
        # ``x.y`` and ``xy`` one resource.
        check_name(app.name)
        check_port(str(app.port))
        if self.memory < MIN_MEMORY_MB:
            raise self._bad("memory", self.memory, f"at least {MIN_MEMORY_MB} MiB")
        pulled = app.foreign is not None and app.foreign.pinned
        prefix = f"iac/{project}/{app.name}:" if pulled else f"iac/{project}-{app.group}:"
        if not app.image.startswith(prefix):
            raise self._bad("image", app.image, f"{prefix}<hash>")
        envoy = self.mesh.props.users[app.name].envoy
        if app.foreign and app.foreign.uid == envoy:
            # It would get around the redirection of what it sends.
            step = f"write `user: {envoy + 1}` in its entry, or another uid"
            raise self._bad("user", envoy, "another uid than its Envoy's", step)
        self._check_own()

    @property
    def app(self) -> ResolvedApp:
        """The locked facts of the service."""
        return self.mesh.props.app(self.service)

    @property
    def memory(self) -> int:
        """The limit of the app's container, MiB."""
        for wanted in (self.memory_mb, self.app.options.memory_mb):
            if wanted is not None:
                return wanted
        return self.mesh.props.memory_mb

    def _check_own(self) -> None:
        if twice := sorted(self.env.keys() & self.app.env.keys()):
            raise self._bad("env", ", ".join(twice), "variables that repos.yaml does not set", _OWN)
        for name, value in self.env.items():
            if references.WHOLE.fullmatch(value):
                raise self._bad("env", f"{name}: {value}", "it in `env:` of repos.yaml", _OWN)
        if self.cpus is not None and not self.cpus > 0:
            raise self._bad("cpus", self.cpus, "more than 0", _OWN)

    def _bad(
        self,
        what: str,
        found: object,
        expected: str,
        next_step: str = "run `iac lock` after you changed repos.yaml or the settings",
    ) -> ConfigError:
        return ConfigError(
            f"bad {what}",
            where=self.service,
            found=repr(found),
            expected=expected,
            next_step=next_step,
        )


_OWN = "correct AppWithEnvoyProps in main.py, or write it in repos.yaml and run `iac lock`"


class AppWithEnvoy(Construct):
    """A service. Ids are a contract: its own is its name; its children are image, certificate,
    envoy, app, and volume-NAME for each volume. Another id would be another container of the same
    name. A process of another service has no image of its own while both run the same version.

    Raises:
        ConfigError: the id is another one, or the service is in the stack already.
    """

    def __init__(self, scope: Construct, id_: str, props: AppWithEnvoyProps) -> None:
        if id_ != props.service:
            raise ConfigError(
                "an AppWithEnvoy has its service's name as id",
                where=f"service {props.service}",
                found=repr(id_),
                expected=f'AppWithEnvoy(scope, "{props.service}", …)',
                next_step="correct it in main.py",
            )
        super().__init__(scope, id_)
        self._props = props
        self._facts = props.mesh.props
        self.image = self._image()
        self.certificate = self._certificate()
        self.envoy = self._envoy()
        self.volumes = self._volumes()
        self.app = self._app()
        props.mesh.join(id_, (self.image, self.envoy, self.app))

    @property
    def identity(self) -> str:
        """The SPIFFE id that the service proves and that others check."""
        return self.certificate.identity

    def _image(self) -> Image:
        """The image of its tag: made here, or by the service that has it already."""
        images, tag = self._props.mesh.images, self._props.app.image
        if tag not in images:
            images[tag] = self._own_image()
        return images[tag]

    def _own_image(self) -> AppImage:
        app, layout, project = self._props.app, self._facts.layout, self._facts.lock.project
        props = AppImageProps(
            project=project,
            service=app.group,
            tag=app.image,
            tree=app.tree,
            context=str(layout.context(project, app.image)),
            build_secrets=str(layout.build_secrets),
            dockerfile=app.foreign.dockerfile if app.foreign else "",
            pulled=bool(app.foreign and app.foreign.pinned),
        )
        return AppImage(self._image_scope(), "image", props)

    def _image_scope(self) -> Construct:
        """Where the image stays the same resource while its service is stopped: as another one it
        would replace the containers of the processes, which run on."""
        group, scope = self._props.app.group, self.node.scope
        if group in self._props.mesh.services or not scope or scope.node.try_find_child(group):
            return self
        return Construct(scope, group)

    def _certificate(self) -> CertificateFiles:
        lock, service = self._facts.lock, self._props.service
        return CertificateFiles(
            self,
            "certificate",
            directory=str(self._facts.layout.certificates(lock.project) / service),
            trust_domain=lock.trust_domain,
            service=service,
        )

    def _envoy(self) -> EnvoySidecar:
        app, facts, mesh = self._props.app, self._facts, self._props.mesh
        props = EnvoySidecarProps(
            project=facts.lock.project,
            service=app.name,
            slug=app.slug,
            image=mesh.sidecar_image.image_id,
            trust_domain=facts.lock.trust_domain,
            port=app.expected_port,
            port_declared=app.port_declared or app.tcp_only,
            tcp=app.options.tcp,
            tcp_only=app.tcp_only,
            max_headers=facts.max_headers,
            max_headers_kb=facts.max_headers_kb,
            subnet=facts.lock.subnet,
            users=self._users,
            attachment=Attachment(mesh.network, aliases=_aliases(app)),
            certificate=self.certificate.mount,
            loopback_v6=facts.host.loopback_v6,
            policy=policies(facts.lock)[app.name],
            stop_grace=app.options.stop_grace,
            egress=app.options.egress,
            watch=None if app.has_runner else ForeignWatch(app.run, facts.probation),
        )
        return EnvoySidecar(self, "envoy", props)

    def _volumes(self) -> tuple[Volume, ...]:
        app, project = self._props.app, self._facts.lock.project
        return tuple(
            Volume(self, project=project, service=app.name, volume=volume, path=path)
            for volume, path in sorted(app.options.volumes.items())
        )

    def _app(self) -> HardenedContainer:
        app, project, users = self._props.app, self._facts.lock.project, self._users
        options, layout = app.options, self._facts.layout
        values = Mount(str(layout.env_files(project, app.name)), ENV_DIRECTORY)
        own = {name: references.escaped(value) for name, value in self._props.env.items()}
        if app.foreign:
            return self._foreign(own, values)
        environment = AppEnvironment(
            service=app.name,
            port=app.expected_port,
            declared=app.port_declared or app.tcp_only,
            tcp=app.options.tcp,
            wanted={**app.entrypoint.environment(app.expected_port), **app.env, **own},
            probation=self._facts.probation,
            run=app.run,
            otlp_endpoint=self._facts.otlp_endpoint,
            stop_grace=options.stop_grace,
            first_uid=users.base,
        )
        passwd = Mount(str(layout.passwd(project, app.name)), "/etc/passwd")
        props = HardenedContainerProps(
            name=container_name(project, app.name, "app"),
            image=self.image.image_id,
            command=self._command(),
            labels=labels(project, app.name, "app", slug=app.slug, users=users),
            environment=tuple(environment.entries()),
            memory_mb=self._props.memory,
            cpus=options.cpus if self._props.cpus is None else self._props.cpus,
            user=f"0:{GROUP}",
            tmpfs=_tmpfs({**_writable(app), **options.tmpfs}, users.program),
            stop_seconds=(options.stop_grace or STOP_GRACE) + STOP_MARGIN,
            capabilities=RUNNER_CAPABILITIES,
            mounts=(passwd, values) if environment.has_references else (passwd,),
            volumes=tuple(volume.mount for volume in self.volumes),
            namespace_of=self.envoy.id,
        )
        return HardenedContainer(self, "app", props)

    def _command(self) -> tuple[str, ...]:
        """A process's own; the image holds that of the service that it is named after."""
        app = self._props.app
        return ("--", *app.entrypoint.argv(app.port)) if app.process_of else ()

    def _foreign(self, own: Mapping[str, str], values: Mount) -> HardenedContainer:
        app, project, options = self._props.app, self._facts.lock.project, self._props.app.options
        uid, gid = app.owner(self._users)
        entrypoint, command = foreign_container.program(app)
        present = labels(project, app.name, "app", slug=app.slug, users=self._users)
        props = HardenedContainerProps(
            name=container_name(project, app.name, "app"),
            image=self.image.image_id,
            labels={**present, FOREIGN: "1"},
            environment=foreign_container.environment(app, own),
            memory_mb=self._props.memory,
            cpus=options.cpus if self._props.cpus is None else self._props.cpus,
            user=f"{uid}:{gid}",
            tmpfs=_tmpfs(options.tmpfs, uid),
            stop_seconds=options.stop_grace or foreign_container.STOP_GRACE,
            capabilities=app.capabilities,
            mounts=(values,) if foreign_container.has_values(app) else (),
            volumes=tuple(volume.mount for volume in self.volumes),
            namespace_of=self.envoy.id,
            read_only=not options.writable,
            processes_by_uid=False,
            ends=app.run == "job",
            entrypoint=entrypoint,
            command=command,
        )
        return HardenedContainer(self, "app", props)

    @property
    def _users(self) -> Users:
        return self._facts.users[self._props.service]


def _aliases(app: ResolvedApp) -> tuple[str, ...]:
    return (app.name, app.name + ALIAS) if app.options.tcp else (app.name,)


def _writable(app: ResolvedApp) -> dict[str, int]:
    """MiB of memory for each folder that its framework writes to and no volume holds."""
    held = app.options.volumes.values()
    return {path: _FOLDER_MB for path in app.entrypoint.writable if path not in held}


def _tmpfs(sizes: Mapping[str, int], uid: int) -> dict[str, str]:
    """Mount options by path. Where the image has a folder, runc gives the mount that folder's mode
    whatever `mode` says (0755, mostly), so it must be the program's. `/tmp` is everybody's.
    """
    owner = {path: "" if path in TMPFS else f",uid={uid}" for path in sizes}
    return {
        path: f"size={size}m,mode=1777{owner.get(path, '')}"
        for path, size in {**TMPFS, **sizes}.items()
    }
