"""A Docker engine double: a few endpoints of its HTTP API over a Unix socket, state in memory.

For decisions that need a certain state of the engine (a crashed container, a taken subnet); the
Docker suite runs the same adapter against the real engine.
"""

from __future__ import annotations

import fnmatch
import json
import math
import re
import socketserver
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.running import running

_BOUNDS = {"since": "0", "until": "0"}


@dataclass
class FakeContainer:
    id: str
    project: str
    service: str
    role: str
    state: str = "running"
    finished_at: str = "0001-01-01T00:00:00Z"
    started_at: str = "2026-01-01T00:00:00Z"
    network_mode: str = "iacnet"
    exit_code: int = 0
    ports: list[int] = field(default_factory=list)
    log: list[tuple[int, bytes]] = field(default_factory=list)
    stats: list[dict[str, Any]] = field(default_factory=list)  # one for each question
    times: list[str] = field(default_factory=list)  # of each write of `log`, as the engine's
    mounts: list[str] = field(default_factory=list)
    broken: bool = False
    name: str = ""  # empty: made of project, service and role
    quiet: bool = False  # its log stays open and silent after what is there
    more_labels: dict[str, str] = field(default_factory=dict)
    stop_timeout: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    oom_killed: bool = False
    start_error: str = ""
    processes: int = 13
    address: str = ""
    host_config: dict[str, Any] = field(default_factory=dict)

    @property
    def shown_name(self) -> str:
        return self.name or f"{self.project}-{self.service}-{self.role}"

    @property
    def labels(self) -> dict[str, str]:
        return {
            "org.karstkit.project": self.project,
            "org.karstkit.service": self.service,
            "org.karstkit.role": self.role,
            **self.more_labels,
        }


@dataclass
class Daemon:
    """The double's state; tests change it before, and look at `calls` after."""

    host: str
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    networks: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    build_cache: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    listings: int = 0
    refuse: str | None = None
    root: str = "/"
    version: str = "20.10.24"
    clock: float | None = None  # seconds since 1970; None: the real one
    info: dict[str, Any] = field(default_factory=dict)

    def add(self, container: FakeContainer) -> None:
        self.containers[container.id] = container

    def find(self, wanted: str) -> FakeContainer | None:
        """By its id or its name, as the engine does."""
        named = (c for c in self.containers.values() if c.shown_name == wanted)
        return self.containers.get(wanted) or next(named, None)


@contextmanager
def daemon(socket_path: Path) -> Iterator[Daemon]:
    """Serve a `Daemon` on a Unix socket while the block runs."""
    state = Daemon(host=f"unix://{socket_path}")

    class Handler(_Handler):
        daemon = state

    server = socketserver.ThreadingUnixStreamServer(str(socket_path), Handler)
    server.daemon_threads = True
    with running(server):
        yield state


class _Handler(BaseHTTPRequestHandler):
    daemon: Daemon
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_arguments: object) -> None:
        return

    def do_GET(self) -> None:
        path, query = self._target()
        if path == "/version":
            self._json(
                {"Version": self.daemon.version, "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
            )
        elif path == "/info":
            now = datetime.now(UTC).timestamp() if self.daemon.clock is None else self.daemon.clock
            time = datetime.fromtimestamp(now, UTC).isoformat()
            self._json({"DockerRootDir": self.daemon.root, "SystemTime": time, **self.daemon.info})
        elif path == "/system/df":
            self._json({"BuildCache": self.daemon.build_cache, "Volumes": self.daemon.volumes})
        elif path == "/containers/json":
            self.daemon.listings += 1
            self._json([self._listed(c) for c in self._labelled(query)])
        elif match := re.fullmatch(r"/containers/([^/]+)/json", path):
            container = self.daemon.find(match[1])
            self._json(self._inspected(container)) if container else self._missing()
        elif match := re.fullmatch(r"/containers/([^/]+)/logs", path):
            self.daemon.queries.append(query)
            self._logs(self.daemon.containers.get(match[1]), query)
        elif match := re.fullmatch(r"/containers/([^/]+)/stats", path):
            container = self.daemon.containers[match[1]]
            load = container.stats.pop(0) if container.stats else {}
            self._json({"pids_stats": {"current": container.processes}, **load})
        elif path == "/networks":
            self._json([n for n in self.daemon.networks if _wanted(n, query)])
        elif path == "/volumes":
            self._json({"Volumes": [v for v in self.daemon.volumes if _wanted(v, query)]})
        elif path == "/images/json":
            self._json([i for i in self.daemon.images if _wanted(i, query) and _called(i, query)])
        elif match := re.fullmatch(r"/images/(.+)/json", path):
            tagged = [i for i in self.daemon.images if match[1] in i["RepoTags"]]
            at = {"LastTagTime": tagged[0].get("LastTagTime")} if tagged else {}
            self._json({"Metadata": at}) if tagged else self._missing()
        else:
            self._missing()

    def do_POST(self) -> None:
        path, query = self._target()
        self.daemon.calls.append(f"POST {path}")
        self.daemon.queries.append(query)
        if self.daemon.refuse:
            self._send(
                500, json.dumps({"message": self.daemon.refuse}).encode(), "application/json"
            )
            return
        if path == "/volumes/create":
            self._json(self._volume(self._body()), 201)
            return
        if path == "/build/prune":
            self._json({"CachesDeleted": self._pruned(query)})
            return
        if match := re.fullmatch(r"/containers/([^/]+)/(?:re)?start", path):
            container = self.daemon.containers[match[1]]
            if container.broken:
                self._json({"message": "port is already allocated"}, 500)
                return
            container.state, container.started_at = "running", "2027-01-01T00:00:00Z"
        elif match := re.fullmatch(r"/containers/([^/]+)/stop", path):
            self.daemon.containers[match[1]].state = "exited"
        elif match := re.fullmatch(r"/images/(.+)/tag", path):
            for image in self.daemon.images:
                if match[1] in image["RepoTags"]:
                    image["LastTagTime"] = datetime.now(UTC).isoformat()
        elif match := re.fullmatch(r"/containers/([^/]+)/wait", path):
            self._json({"StatusCode": self.daemon.containers[match[1]].exit_code})
        elif match := re.fullmatch(r"/containers/([^/]+)/update", path):
            self.daemon.containers[match[1]].host_config |= self._body()
            self._json({"Warnings": None})
            return
        elif match := re.fullmatch(r"/containers/([^/]+)/rename", path):
            self.daemon.containers[match[1]].name = query["name"][0]
        self._send(204, b"")

    def do_DELETE(self) -> None:
        path, _ = self._target()
        self.daemon.calls.append(f"DELETE {path}")
        kind, name = path.lstrip("/").split("/", 1)
        if kind == "containers":
            self.daemon.containers.pop(name, None)
        elif kind == "networks":
            self.daemon.networks = [n for n in self.daemon.networks if n["Id"] != name]
        elif kind == "volumes":
            self.daemon.volumes = [v for v in self.daemon.volumes if v["Name"] != name]
        else:
            self.daemon.images = [i for i in self.daemon.images if name not in i["RepoTags"]]
            self._json([{"Untagged": name}])
            return
        self._send(204, b"")

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _volume(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """As the engine does: one that exists is shown as it is, and that is no error."""
        for volume in self.daemon.volumes:
            if volume["Name"] == wanted["Name"]:
                return volume
        self.daemon.volumes.append({"Name": wanted["Name"], "Labels": wanted["Labels"]})
        return self.daemon.volumes[-1]

    def _pruned(self, query: dict[str, list[str]]) -> list[str]:
        """As the engine does: what others are built on stays."""
        (wanted,) = json.loads(query["filters"][0])["id"]
        cache = self.daemon.build_cache
        if any(record["Parent"] == wanted for record in cache):
            return []
        self.daemon.build_cache = [record for record in cache if record["ID"] != wanted]
        return [wanted]

    def _target(self) -> tuple[str, dict[str, list[str]]]:
        url = urlsplit(self.path)
        return unquote(re.sub(r"^/v1\.\d+", "", url.path)), parse_qs(url.query)

    def _labelled(self, query: dict[str, list[str]]) -> list[FakeContainer]:
        everything = query.get("all") == ["1"]
        return [
            c
            for c in self.daemon.containers.values()
            if (everything or c.state == "running") and _wanted({"Labels": c.labels}, query)
        ]

    def _listed(self, container: FakeContainer) -> dict[str, Any]:
        ports = [{"PrivatePort": 15443, "PublicPort": p} for p in container.ports]
        networks = {"iacnet": {"IPAddress": container.address}}
        shown = {"Labels": container.labels, "NetworkSettings": {"Networks": networks}}
        return {"Id": container.id, "Ports": ports, **shown}

    def _inspected(self, container: FakeContainer) -> dict[str, Any]:
        return {
            "Id": container.id,
            "Name": f"/{container.shown_name}",
            "RestartCount": container.restarts,
            "Config": {"Labels": container.labels, "Image": "x", "Tty": False}
            | {"Env": [f"{key}={value}" for key, value in container.environment.items()]}
            | ({"StopTimeout": container.stop_timeout} if container.stop_timeout else {}),
            "State": {
                "Status": container.state,
                "ExitCode": container.exit_code,
                "OOMKilled": container.oom_killed,
                "Error": container.start_error,
                "StartedAt": container.started_at,
                "FinishedAt": container.finished_at,
            },
            "HostConfig": {"NetworkMode": container.network_mode, **container.host_config},
            "Mounts": [{"Type": "bind", "Source": source} for source in container.mounts],
        }

    def _logs(self, container: FakeContainer | None, query: dict[str, list[str]]) -> None:
        if container is None:
            self._missing()
            return
        if container.broken:
            self._send(500, b'{"message": "the log is broken"}', "application/json")
            return
        frames = [
            struct.pack(">BxxxL", kind, len(data)) + data
            for kind, data in _written(container, query)
        ]
        if not container.quiet:
            self._send(200, b"".join(frames), "application/vnd.docker.raw-stream")
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.end_headers()
        self.wfile.write(b"".join(frames))
        self.close_connection = True
        self.rfile.read(1)  # until the client hangs up

    def _json(self, data: object, status: int = 200) -> None:
        self._send(status, json.dumps(data).encode(), "application/json")

    def _missing(self) -> None:
        self._send(404, b'{"message": "no such thing"}', "application/json")

    def _send(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _written(container: FakeContainer, query: dict[str, list[str]]) -> Iterator[tuple[int, bytes]]:
    """The writes between `since` and `until`, each behind its time if that is asked for."""
    if not container.times:
        yield from container.log
        return
    since, until = (float(query.get(key, [default])[0]) for key, default in _BOUNDS.items())
    for (kind, data), time in zip(container.log, container.times, strict=True):
        if since <= datetime.fromisoformat(time).timestamp() <= (until or math.inf):
            yield kind, (f"{time} ".encode() if "timestamps" in query else b"") + data


def _called(image: dict[str, Any], query: dict[str, list[str]]) -> bool:
    """Whether a tag matches the filter ``reference``, if there is one."""
    patterns = json.loads(query.get("filters", ["{}"])[0]).get("reference")
    tags = image["RepoTags"] or []
    return not patterns or any(fnmatch.fnmatch(tag, each) for tag in tags for each in patterns)


def _wanted(item: dict[str, Any], query: dict[str, list[str]]) -> bool:
    filters = json.loads(query.get("filters", ["{}"])[0])
    labels = item.get("Labels") or {}
    for wanted in filters.get("label", []):
        key, _, value = wanted.partition("=")
        if key not in labels or (value and labels[key] != value):
            return False
    return True
