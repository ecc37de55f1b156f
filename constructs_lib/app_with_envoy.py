"""One service: an app and the Envoy that speaks mTLS for it. Composes; decides nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from constructs import Construct

from constructs_lib.app_environment import ENV_DIRECTORY, AppEnvironment
from constructs_lib.app_image import AppImage, AppImageProps
from constructs_lib.cdk import Image
from constructs_lib.certificate_files import CertificateFiles
from constructs_lib.envoy_sidecar import EnvoySidecar, EnvoySidecarProps
from constructs_lib.hardened_container import (
    Attachment,
    HardenedContainer,
    HardenedContainerProps,
    Mount,
)
from constructs_lib.labels import labels
from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import Layout, container_name
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.app_rules import check_name, check_port
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import MIN_MEMORY_MB
from iac_wrapper.model.users import GROUP, Users

STOP_GRACE = 8
"""Seconds that a program has to end when repos.yaml says nothing: the runner's own default."""

STOP_MARGIN = 2
"""Seconds that Docker waits beyond the program's: for the runner to reap and to leave."""

TMPFS = {"/tmp": 64}  # noqa: S108 - inside the container
"""Writable memory of every app: path -> MiB. It counts as memory of the container."""


@dataclass(frozen=True)
class AppWithEnvoyProps:
    """Facts of one app and of the project around it; raises ConfigError if one cannot be.

    `layout` says where files lie on the host (paths only); `sidecar_image` is the image that
    Envoy runs in; `users` are the service's uids; `memory_mb` limits the app's container where its
    options do not, MiB; `max_headers` and `max_headers_kb` (KiB) bound a request's or response's
    headers; `probation` is how long a program that answers no requests must stay alive, seconds;
    `loopback_v6` gives the namespace ``::1``; `otlp_endpoint` is empty when spans go to the
    console.
    """

    app: ResolvedApp
    lock: LockFile
    layout: Layout
    sidecar_image: Image
    attachment: Attachment
    users: Users
    memory_mb: int
    max_headers: int
    max_headers_kb: int
    probation: int
    loopback_v6: bool
    otlp_endpoint: str = ""

    def __post_init__(self) -> None:
        # Anything but a DNS label would also lose characters in its id: cdktf silently makes
        # ``x.y`` and ``xy`` one resource.
        check_name(self.app.name)
        check_port(str(self.app.port))
        if self.memory < MIN_MEMORY_MB:
            raise self._bad("memory", self.memory, f"at least {MIN_MEMORY_MB} MiB")
        prefix = f"iac/{self.lock.project}-{self.app.name}:"
        if not self.app.image.startswith(prefix):
            raise self._bad("image", self.app.image, f"{prefix}<hash>")

    @property
    def memory(self) -> int:
        """The limit of the app's container, MiB."""
        own = self.app.options.memory_mb
        return self.memory_mb if own is None else own

    def _bad(self, what: str, found: object, expected: str) -> ConfigError:
        return ConfigError(
            f"bad {what}",
            where=self.app.name,
            found=repr(found),
            expected=expected,
            next_step="run `iac lock` after you changed repos.yaml or the settings",
        )


class AppWithEnvoy(Construct):
    """A service. Its children's ids are a contract: image, certificate, envoy, app."""

    def __init__(self, scope: Construct, id_: str, props: AppWithEnvoyProps) -> None:
        super().__init__(scope, id_)
        self._props = props
        self.image = self._image()
        self.certificate = self._certificate()
        self.envoy = self._envoy()
        self.app = self._app()

    @property
    def identity(self) -> str:
        """The SPIFFE id that the service proves and that others check."""
        return self.certificate.identity

    def _image(self) -> AppImage:
        app, layout = self._props.app, self._props.layout
        props = AppImageProps(
            project=self._props.lock.project,
            service=app.name,
            tag=app.image,
            tree=app.tree,
            context=str(layout.context(self._props.lock.project, app.image)),
            build_secrets=str(layout.build_secrets),
        )
        return AppImage(self, "image", props)

    def _certificate(self) -> CertificateFiles:
        lock, service = self._props.lock, self._props.app.name
        return CertificateFiles(
            self,
            "certificate",
            directory=str(self._props.layout.certificates(lock.project) / service),
            trust_domain=lock.trust_domain,
            service=service,
        )

    def _envoy(self) -> EnvoySidecar:
        app, lock = self._props.app, self._props.lock
        props = EnvoySidecarProps(
            project=lock.project,
            service=app.name,
            slug=app.slug,
            image=self._props.sidecar_image.image_id,
            trust_domain=lock.trust_domain,
            port=app.port,
            port_declared=app.port_declared,
            max_headers=self._props.max_headers,
            max_headers_kb=self._props.max_headers_kb,
            subnet=lock.subnet,
            users=self._props.users,
            attachment=self._props.attachment,
            certificate=self.certificate.mount,
            loopback_v6=self._props.loopback_v6,
        )
        return EnvoySidecar(self, "envoy", props)

    def _app(self) -> HardenedContainer:
        app, project, users = self._props.app, self._props.lock.project, self._props.users
        options, layout = app.options, self._props.layout
        environment = AppEnvironment(
            service=app.name,
            port=app.port,
            declared=app.port_declared,
            wanted=app.env,
            probation=self._props.probation,
            run=app.run,
            otlp_endpoint=self._props.otlp_endpoint,
            stop_grace=options.stop_grace,
        )
        passwd = Mount(str(layout.passwd(project, app.name)), "/etc/passwd")
        values = Mount(str(layout.env_files(project, app.name)), ENV_DIRECTORY)
        props = HardenedContainerProps(
            name=container_name(project, app.name, "app"),
            image=self.image.image_id,
            labels=labels(project, app.name, "app", slug=app.slug, users=users),
            environment=tuple(environment.entries()),
            memory_mb=self._props.memory,
            cpus=options.cpus,
            user=f"{users.program}:{GROUP}",
            tmpfs=_tmpfs({**TMPFS, **options.tmpfs}),
            stop_seconds=(options.stop_grace or STOP_GRACE) + STOP_MARGIN,
            mounts=(passwd, values) if environment.has_references else (passwd,),
            namespace_of=self.envoy.id,
        )
        return HardenedContainer(self, "app", props)


def _tmpfs(sizes: Mapping[str, int]) -> dict[str, str]:
    return {path: f"size={size}m,mode=1777" for path, size in sizes.items()}
