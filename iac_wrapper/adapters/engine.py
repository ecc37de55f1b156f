"""The Docker engine, as far as the command side needs it: look, start, remove, read logs.

Terraform creates; this adapter observes, heals and proves that nothing is left. It finds things
by the labels that every resource of a project carries.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from iac_wrapper.errors import CommandError, EngineError
from iac_wrapper.files.machine_home import setup_command
from iac_wrapper.model import labels

T = TypeVar("T")


@dataclass(frozen=True)
class EngineNetwork:
    """A Docker network: its name, the bridge of the host that it is, and its addresses."""

    name: str
    bridge: str
    subnet: ipaddress.IPv4Network


@dataclass(frozen=True)
class Container:
    """A container of a project.

    `network_mode` is Docker's HostConfig.NetworkMode; `mounts` are the host folders it sees;
    `stop_seconds` is how long its program may take to end; `finished_at` (UTC) is when it ended
    last, None: never. `foreign`: what runs in it is not ours, and has no runner;
    `max_processes` is what the engine holds it to, 0 or less: nothing; `ends`: it may end with exit
    code 0.
    `start_error` is why the engine could not start it, empty if it could.
    """

    id: str
    name: str
    service: str
    role: str
    state: str
    exit_code: int
    oom_killed: bool
    restarts: int
    started_at: datetime
    network_mode: str
    mounts: tuple[str, ...]
    stop_seconds: int = 10
    finished_at: datetime | None = None
    foreign: bool = False
    max_processes: int = 0
    ends: bool = False
    start_error: str = ""

    @property
    def running(self) -> bool:
        """True while its main process lives."""
        return self.state == "running"

    @property
    def ran_before(self) -> bool:
        """True once it was stopped, or ended by itself."""
        return self.finished_at is not None

    @property
    def is_one_off(self) -> bool:
        """True if it runs one command beside a service: nothing expects it to be there."""
        return self.role.startswith(labels.RUN)

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped it: the engine starts again what ends by itself, and says why
        where it cannot (measured: 20.10; `docker stop` and `docker kill` leave no error)."""
        return self.state == "exited" and not self.start_error

    @property
    def done(self) -> bool:
        """Whether it has ended as it should: nobody is to start it."""
        return self.ends and self.state == "exited" and self.exit_code == 0


class Engine:
    """A Docker engine at `endpoint`; None is the default socket. It may take `timeout` seconds."""

    def __init__(self, endpoint: str | None = None, *, timeout: float = 60.0) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._connected: Any = None

    def ping(self) -> str:
        """Return the engine's version.

        Raises:
            EngineError: it does not answer.
        """
        with _translated():
            version: str = self._api.version()["Version"]
            return version

    def containers(self, project: str) -> list[Container]:
        """Every container of `project`, running or not, sorted by name."""
        with _translated():
            listed = self._api.containers(all=True, filters=_by_label(project))
        found = [self._inspect(item["Id"]) for item in listed]
        return sorted((c for c in found if c), key=lambda c: c.name)

    def container(self, name: str) -> Container | None:
        """The container of that name or id; None: there is none."""
        return self._inspect(name)

    def variable(self, container: str, name: str) -> str | None:
        """An environment variable that a container was made with; None: it or the container is
        not there."""
        import docker.errors  # noqa: PLC0415 - see above

        with _translated():
            try:
                set_ = self._api.inspect_container(container)["Config"].get("Env") or []
            except docker.errors.NotFound:
                return None
        return dict(one.partition("=")[::2] for one in set_).get(name)

    def published_ports(self, project: str) -> set[int]:
        """Host ports that running containers of `project` publish."""
        with _translated():
            listed = self._api.containers(filters=_by_label(project))
        return {p["PublicPort"] for item in listed for p in item["Ports"] if "PublicPort" in p}

    def projects(self) -> list[str]:
        """Names of all projects that have a container."""
        with _translated():
            listed = self._api.containers(all=True, filters={"label": labels.PROJECT})
        return sorted({item["Labels"][labels.PROJECT] for item in listed})

    def volumes(self, project: str) -> dict[str, str]:
        """Volumes of `project`: name -> the service it belongs to (empty if it names none)."""
        with _translated():
            found = self._api.volumes(filters=_by_label(project))["Volumes"] or []
        return {v["Name"]: (v["Labels"] or {}).get(labels.SERVICE, "") for v in found}

    def networks(self, project: str) -> list[str]:
        """Names of the networks of `project`."""
        with _translated():
            return [n["Name"] for n in self._api.networks(filters=_by_label(project))]

    def logs(self, container: str, tail: int, *, since: int | None = None) -> str:
        """The last `tail` lines of both streams, or all from `since` on (seconds since 1970).

        Empty if the container is gone.
        """
        chunks = self.log_chunks(container, tail=tail, follow=False, since=since)
        return b"".join(chunks).decode(errors="replace")

    def log_chunks(  # noqa: PLR0913 - the engine's own query
        self,
        container: str,
        *,
        tail: int | None,
        follow: bool,
        since: float | None = None,
        until: float | None = None,
        timestamps: bool = False,
        opened: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> Iterator[bytes]:
        """Both streams of a container as they come; `since` and `until` are in seconds since 1970.

        With `timestamps` each chunk is one write, a line or a part of one, behind its time (ISO
        8601) and a blank. A `tail` of None is everything.
        `opened` gets what ends the stream: another thread may call it while this one waits.
        """
        import docker.errors  # noqa: PLC0415 - the SDK costs 0.2 s that `--help` must not pay

        with _translated(), suppress(docker.errors.NotFound):
            stream = self._api.logs(
                container,
                stdout=True,
                stderr=True,
                stream=True,
                follow=follow,
                tail="all" if tail is None or since is not None else tail,
                since=since,
                until=until,
                timestamps=timestamps,
            )
            opened(stream.close)
            yield from stream

    def comes_back(self, container: Container, *, within: float) -> Container | None:
        """Wait up to `within` seconds for a container to be started again, or replaced.

        Returns:
            The one of its name as it is then; None if there is none, or if it was not started since
            `container` was seen.
        """
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            now = self._inspect(container.id) or self._inspect(container.name)
            if now and now.running:
                return None if now.started_at == container.started_at else now
            time.sleep(0.2)
        return None

    def start(self, container: Container) -> None:
        """Start a stopped container."""
        with _translated():
            self._api.start(container.id)

    def restart(self, container: Container, *, grace: int | None = None) -> None:
        """Stop a container, with its own grace or `grace` seconds, and start it."""
        seconds = container.stop_seconds if grace is None else grace
        with _translated():
            self._api.restart(container.id, timeout=seconds)

    def remove(self, container: Container) -> None:
        """Remove a container and its anonymous volumes, running or not; gone is fine, or going."""
        import docker.errors  # noqa: PLC0415 - see above

        with _translated(), suppress(docker.errors.NotFound):
            try:
                self._api.remove_container(container.id, v=True, force=True)
            except docker.errors.APIError as error:
                if error.status_code != 409:  # the engine is at it: one that ended removes itself
                    raise
                self._api.wait(container.id, condition="removed")

    def sweep(self, project: str, keep: Collection[str] = ()) -> list[str]:
        """Remove what carries the project's label, but for the ids in `keep`.

        Returns:
            What was removed, apps before the Envoy containers that own their namespaces.
        """
        removed: list[str] = []
        for container in sorted(self.containers(project), key=lambda c: not c.role.endswith("app")):
            if container.id not in keep:
                self.remove(container)
                removed.append(f"container {container.name}")
        with _translated():
            for network in self._api.networks(filters=_by_label(project)):
                if network["Id"] not in keep:
                    self._api.remove_network(network["Id"])
                    removed.append(f"network {network['Name']}")
        return removed

    def sweep_volumes(self, project: str) -> list[str]:
        """Remove volumes that carry the project's label, with all data; return which."""
        removed: list[str] = []
        with _translated():
            for volume in self.volumes(project):
                self._api.remove_volume(volume)
                removed.append(f"volume {volume}")
        return removed

    def has_image(self, name: str) -> bool:
        """True if a tag exists, and not for what was built for another one; app images are tagged
        by a hash of their content."""
        return any(_key(image) in {None, *_keys(name)} for image in self._named(name))

    def forget_other(self, name: str) -> bool:
        """Take a tag away from what was not built for it; whether it was so."""
        found = [_key(image) for image in self._named(name)]
        if not found or _keys(name).intersection(found):
            return False
        with _translated():
            self._api.remove_image(name, noprune=True)
        return True

    def _named(self, name: str) -> list[dict[str, Any]]:
        with _translated():
            found: list[dict[str, Any]] = self._api.images(name=name)
        return found

    def image_tags(self, project: str) -> list[str]:
        """Tags of the app images of `project`."""
        built, foreign = f"iac/{project}-", f"iac/{project}/"
        with _translated():
            images = [
                *self._api.images(filters=_by_label(project)),
                *self._api.images(name=f"{foreign}*"),  # such images have no label of ours
            ]
        tags = {tag for image in images for tag in image["RepoTags"] or []}
        return sorted(tag for tag in tags if tag.startswith((built, foreign)))

    def leftovers(self, project: str) -> list[str]:
        """What still carries the project's label: the proof of a destroy is that nothing does but
        the data volumes that it lists."""
        return [
            *(f"container {c.name}" for c in self.containers(project)),
            *(f"network {name}" for name in self.networks(project)),
            *(f"volume {name}" for name in self.volumes(project)),
            *(f"image {tag}" for tag in self.image_tags(project)),
        ]

    def every_network(self) -> list[EngineNetwork]:
        """Every network that has IPv4 addresses."""
        with _translated():
            listed = self._api.networks()
        return [
            EngineNetwork(
                network["Name"],
                (network.get("Options") or {}).get(
                    "com.docker.network.bridge.name", f"br-{network['Id'][:12]}"
                ),
                # Docker takes (and shows) a subnet with host bits set.
                ipaddress.IPv4Network(config["Subnet"], strict=False),
            )
            for network in listed
            for config in (network.get("IPAM") or {}).get("Config") or []
            if "." in config.get("Subnet", "")
        ]

    def call(self, act: Callable[[Any], T]) -> T:
        """What `act` makes of the SDK's client: for adapters that need more of the engine.

        Raises:
            CommandError: the engine refused; EngineError: it does not answer.
        """
        with _translated():
            return act(self._api)

    def _inspect(self, container_id: str) -> Container | None:
        import docker.errors  # noqa: PLC0415 - see above

        with _translated():
            try:
                data = self._api.inspect_container(container_id)
            except docker.errors.NotFound:
                return None
        present, state = data["Config"]["Labels"], data["State"]
        return Container(
            id=data["Id"],
            name=data["Name"].removeprefix("/"),
            service=present.get(labels.SERVICE, ""),
            role=present.get(labels.ROLE, ""),
            state=state["Status"],
            exit_code=state["ExitCode"],
            oom_killed=state["OOMKilled"],
            restarts=data["RestartCount"],
            started_at=datetime.fromisoformat(state["StartedAt"]),
            network_mode=data["HostConfig"]["NetworkMode"],
            mounts=tuple(m["Source"] for m in data["Mounts"] if m["Type"] == "bind"),
            stop_seconds=data["Config"].get("StopTimeout") or 10,
            finished_at=_time(state["FinishedAt"]),
            foreign=labels.FOREIGN in present,
            max_processes=data["HostConfig"].get("PidsLimit") or 0,
            ends=(data["HostConfig"].get("RestartPolicy") or {}).get("Name") == "on-failure",
            start_error=state.get("Error") or "",
        )

    @property
    def _api(self) -> Any:
        if self._connected is None:
            import docker.errors  # noqa: PLC0415 - see above

            try:
                self._connected = self._connect()
            except docker.errors.DockerException as error:
                raise _down(error) from None
        return self._connected

    def _connect(self) -> Any:
        """An API client; TLS settings are the CLI's variables (DOCKER_TLS_VERIFY, …)."""
        import docker.utils  # noqa: PLC0415 - see above

        settings = docker.utils.kwargs_from_env()
        if self._endpoint:
            settings["base_url"] = self._endpoint
        return docker.APIClient(version="auto", timeout=self._timeout, **settings)


def port_is_free(port: int) -> bool:
    """True if nothing listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _time(text: str) -> datetime | None:
    """None for Go's zero time: never."""
    return None if text.startswith("0001-") else datetime.fromisoformat(text)


def _key(image: dict[str, Any]) -> str | None:
    """For which tag an image was built; None: nobody said."""
    key: str | None = (image.get("Labels") or {}).get(labels.IMAGE_KEY)
    return key


def _keys(name: str) -> set[str]:
    """The forms in which an image says that it was built for `name`."""
    return {name, name.rpartition(":")[2]}


def _by_label(project: str) -> dict[str, str]:
    return {"label": f"{labels.PROJECT}={project}"}


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    import docker.errors  # noqa: PLC0415 - see above
    import requests.exceptions  # noqa: PLC0415

    try:
        yield
    except docker.errors.APIError as error:
        raise CommandError(
            "the Docker engine refused the request",
            found=str(error.explanation or error),
            next_step="run the command again; the engine's own log has more",
        ) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _down(error) from None


def _down(error: BaseException) -> EngineError:
    root: BaseException | None = error
    while root is not None and not (isinstance(root, OSError) and root.strerror):
        root = root.__cause__ or root.__context__
    if isinstance(root, PermissionError):
        return EngineError(
            "you are not allowed to use the Docker engine",
            found=root.strerror,
            expected="root, or a member of the group docker",
            next_step='sudo usermod -aG docker "$USER", log in again, then run the command again',
        )
    return EngineError(
        "the Docker engine does not answer",
        found=(isinstance(root, OSError) and root.strerror) or str(error),
        expected="a running engine that the docker CLI reaches as well (DOCKER_HOST)",
        next_step=f"{setup_command()} (starts the local one); with DOCKER_HOST set, start that"
        " engine or unset the variable; `docker info` shows which one is meant",
        retryable=True,
    )
