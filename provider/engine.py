"""The Docker Engine API over one fresh connection a call, so that Terraform's parallel calls share
nothing. It must not know Terraform.

Not the Docker SDK: importing that costs 220 ms in every Terraform command, `http.client` 20 ms,
and the four resources need a dozen calls whose bodies they write themselves anyway.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

NEWEST_API = (1, 44)
"""Docker 25's: the oldest that Docker 29 still speaks. Older engines (20.10: 1.41) say theirs."""

TIMEOUT = 300.0
"""Seconds; an engine under load may take a minute for a create, a hung one never answers."""


class EngineRefusedError(Exception):
    """The engine refused: HTTP `status` and its own `message`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class EngineDownError(Exception):
    """No engine answers at `host`."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host}: {reason}")
        self.host = host
        self.reason = reason


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, Any]
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = TIMEOUT

    @property
    def target(self) -> str:
        return self.path + ("?" + urlencode(_texts(self.query)) if self.query else "")

    @property
    def payload(self) -> tuple[bytes | None, dict[str, str]]:
        """Body and headers."""
        if self.body is None:
            return None, dict(self.headers)
        is_archive = isinstance(self.body, bytes)
        kind = "application/x-tar" if is_archive else "application/json"
        data = self.body if is_archive else json.dumps(self.body).encode()
        return data, {**self.headers, "Content-Type": kind}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class EngineApi:
    """One Docker engine.

    Args:
        host: ``unix://`` or ``tcp://`` address.
        certificates: directory with ca.pem, cert.pem, key.pem for TLS, or None.
    """

    def __init__(self, host: str, certificates: Path | None = None) -> None:
        self.host = host
        self._certificates = certificates

    def ping(self) -> None:
        """Raise EngineDownError unless the engine answers."""
        _ = self.api

    @cached_property
    def api(self) -> str:
        """The API version spoken with this engine, ``/v1.41``: one call, the first time."""
        connection, response = self._open(_Request("GET", "/_ping", {}), "")
        response.read()
        connection.close()
        newest = response.getheader("Api-Version") or "1.41"
        major, minor = min(NEWEST_API, tuple(int(part) for part in newest.split(".")))
        return f"/v{major}.{minor}"

    @cached_property
    def limits(self) -> frozenset[str]:
        """Which of memory and memory_swap its kernel can limit: one call, the first time."""
        info = self.get("/info")
        pairs = (("memory", "MemoryLimit"), ("memory_swap", "SwapLimit"))
        return frozenset(name for name, key in pairs if info[key])

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer of a GET."""
        return self.call("GET", path, query)

    def find(self, path: str) -> Any:
        """The JSON answer of a GET, or None if there is no such object."""
        try:
            return self.get(path)
        except EngineRefusedError as fault:
            if fault.status == 404:
                return None
            raise

    def post(self, path: str, body: Any = None, *, timeout: float = TIMEOUT, **query: Any) -> Any:
        """The JSON answer of a POST of `body` as JSON."""
        return self.call("POST", path, query, body, timeout=timeout)

    def delete(self, path: str, **query: Any) -> Any:
        """The JSON answer of a DELETE."""
        return self.call("DELETE", path, query)

    def put_archive(self, container: str, archive: bytes) -> None:
        """Unpack a tar archive at the root of a container."""
        path = f"/containers/{container}/archive"
        self.call("PUT", path, {"path": "/"}, archive)

    def pull(self, image: str, auth: str, platform: str = "") -> Iterator[dict[str, Any]]:
        """Pull an image by reference; yields the engine's progress messages.

        Raises:
            EngineRefusedError: the registry or the engine refused.
        """
        repository, tag = split_reference(image)
        headers = {"X-Registry-Auth": auth} if auth else {}
        query = {"fromImage": repository, "tag": tag}
        if platform:
            query["platform"] = platform
        request = _Request("POST", "/images/create", query, headers=headers)
        connection, response = self._send(request)
        try:
            for line in response:
                message: dict[str, Any] = json.loads(line)
                if "error" in message:
                    raise EngineRefusedError(500, message["error"])
                yield message
        finally:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        *,
        timeout: float = TIMEOUT,
    ) -> Any:
        """One API call: its JSON answer, or None if the answer has no JSON.

        Raises:
            EngineRefusedError: the engine answered with an error.
            EngineDownError: it did not answer.
        """
        connection, response = self._send(_Request(method, path, query or {}, body, {}, timeout))
        try:
            data = response.read()
        except OSError as error:
            raise EngineDownError(self.host, str(error)) from None
        finally:
            connection.close()
        is_json = "json" in (response.getheader("Content-Type") or "")
        return json.loads(data) if data and is_json else None

    def _send(
        self, request: _Request
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        return self._open(request, self.api)

    def _open(
        self, request: _Request, prefix: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._connection(request.timeout)
        try:
            connection.request(request.method, prefix + request.target, *request.payload)
            response = connection.getresponse()
            refusal = response.read() if response.status >= 400 else None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise EngineDownError(self.host, str(error) or type(error).__name__) from None
        if refusal is not None:
            connection.close()
            raise EngineRefusedError(response.status, _message(refusal))
        return connection, response

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, timeout)
        host, port = parts.hostname or "localhost", parts.port
        if self._certificates is None:
            return http.client.HTTPConnection(host, port or 2375, timeout=timeout)
        import ssl  # noqa: PLC0415 - start-up time

        folder = self._certificates
        try:
            context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        except OSError as error:
            raise EngineDownError(self.host, f"no certificates in {folder} ({error})") from None
        return http.client.HTTPSConnection(host, port or 2376, timeout=timeout, context=context)


def name_in_path(name: str) -> str:
    """`name` for use inside an API path; image names keep their slashes."""
    return quote(name, safe="/:@")


def split_reference(image: str) -> tuple[str, str]:
    """Repository and tag (or digest) of an image reference; the tag defaults to ``latest``."""
    if "@" in image:
        repository, _, digest = image.partition("@")
        return repository, digest
    head, _, last = image.rpartition("/")
    name, _, tag = last.partition(":")
    return (f"{head}/{name}" if head else name), tag or "latest"


def registry_of(image: str) -> str:
    """The registry host an image reference names; ``docker.io`` when it names none."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first if named else "docker.io"


def _texts(query: Mapping[str, Any]) -> dict[str, str]:
    return {k: (str(v).lower() if isinstance(v, bool) else str(v)) for k, v in query.items()}


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip()
