"""What the control plane asks and tells a sidecar: answered by PID 1 on a Unix socket.

Envoy passes on what the proven control plane asks, and can write to the socket alone. The few lines
of HTTP/1.1 here are those that Envoy speaks; the standard library's server takes 5 MiB.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from runner.listeners import Listener
from runner.sidecar import policy as policies
from runner.sidecar import policy_keeper, threads
from runner.sidecar.drain import ProgramRequests
from runner.sidecar.environment import ANY_UID, SidecarEnvironment
from runner.sidecar.policy_keeper import MOST_SECONDS, NotTaken, PolicyKeeper
from runner.sidecar.refused import Refused

if TYPE_CHECKING:
    from runner.sidecar.watch import Watch

SOCKET = "control.sock"
PREFIX = "/iac.sidecar/"

MOST_BYTES = 1 << 20
"""Of a body: the policy of a project with a thousand services has less than a tenth of it."""

SECONDS = 10.0
"""How long Envoy may take to hand over a request."""


class Asked(NamedTuple):
    """The parts of a request that matter: what is behind the question mark, and the body."""

    query: str
    body: str


class Answer(NamedTuple):
    """A status of HTTP, and an object; or a sentence for people."""

    status: int
    said: dict[str, object] | str


Handler = Callable[[Asked], Answer]


def start(
    wanted: SidecarEnvironment,
    keeper: PolicyKeeper,
    look: Callable[[], list[Listener]],
    requests: ProgramRequests,
    directory: Path,
) -> None:
    """Answer on threads that end with the process."""
    found = handlers(keeper)
    if wanted.app_uid == ANY_UID:
        # Few services need what this imports.
        from runner.sidecar import watch  # noqa: PLC0415

        found["GET", "readiness"] = readiness(watch.Watch(watch.settings(wanted), look))
        found["PUT", "pause"] = pause(requests)
    policy_keeper.follow(keeper)
    serve(directory / SOCKET, found)


def handlers(keeper: PolicyKeeper) -> dict[tuple[str, str], Handler]:
    """What can be asked of every sidecar, by method and last part of the path."""

    def show(_: Asked) -> Answer:
        calls, refused = keeper.counts()
        return Answer(200, {"digest": keeper.served.digest, "calls": calls, "refused": refused})

    def push(asked: Asked) -> Answer:
        policy = policies.read(asked.body)
        kept = keeper.push(policy)
        return Answer(200, {"digest": policy.digest, "kept": kept})

    def lend(asked: Asked) -> Answer:
        seconds = _seconds(asked.body)
        keeper.lend(seconds)
        return Answer(200, {"seconds": seconds})

    return {("GET", "policy"): show, ("PUT", "policy"): push, ("PUT", "operator"): lend}


def readiness(watch: Watch) -> Handler:
    """How a program without a runner is."""

    def judge(asked: Asked) -> Answer:
        words = dict(each.partition("=")[::2] for each in asked.query.split("&"))
        try:
            start, age = int(words["start"]), float(words["age"])
        except (KeyError, ValueError):
            raise Refused("the question has no start=NUMBER&age=SECONDS") from None
        return Answer(200, asdict(watch.verdict(start, age)))

    return judge


def pause(requests: ProgramRequests) -> Handler:
    """Refuses new requests to a program without a runner for so many seconds; 0: no longer. The
    answer comes when those in flight have ended."""

    def act(asked: Asked) -> Answer:
        seconds = _seconds(asked.body)
        if seconds:
            requests.pause(seconds)
        else:
            requests.open()
        return Answer(200, {"seconds": seconds})

    return act


def _seconds(body: str) -> int:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    seconds = found.get("seconds") if isinstance(found, dict) and len(found) == 1 else None
    if type(seconds) is not int or not 0 <= seconds <= MOST_SECONDS:
        raise Refused(f'the lease is not {{"seconds": N}} with a whole N up to {MOST_SECONDS}')
    return seconds


def serve(path: Path, found: Mapping[tuple[str, str], Handler]) -> None:
    """Answer on the socket `path`, each request on a thread of its own."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o600)
    server.listen()

    def accept() -> None:
        client, _ = server.accept()
        threading.Thread(target=_talk, args=(client, found), daemon=True).start()

    threads.keep(accept)


def _talk(client: socket.socket, found: Mapping[tuple[str, str], Handler]) -> None:
    client.settimeout(SECONDS)
    with client, client.makefile("rb") as stream, suppress(OSError):
        status, said = _answer(stream, found)
        text = said + "\n" if isinstance(said, str) else json.dumps(said)
        kind = "text/plain" if isinstance(said, str) else "application/json"
        body = text.encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        client.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)


def _answer(stream: BinaryIO, found: Mapping[tuple[str, str], Handler]) -> Answer:
    try:
        method, target, body = _request(stream)
        path, _, query = target.partition("?")
        handler = found.get((method, path.removeprefix(PREFIX)))
        if handler is None:
            return Answer(404, f"a sidecar has no {method} {path}")
        return handler(Asked(query, body))
    except Refused as error:
        return Answer(400, str(error))
    except NotTaken as error:
        return Answer(503, str(error))


def _request(stream: BinaryIO) -> tuple[str, str, str]:
    """Method, target and body of the request.

    Raises:
        Refused: it is none, or too long.
    """
    try:
        method, target, _ = _line(stream).split(" ")
        headers = {}
        while line := _line(stream):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "chunked" in headers.get("transfer-encoding", ""):
            body = _chunks(stream)
        else:
            body = _read(stream, int(headers.get("content-length", "0")))
        return method, target, body.decode()
    except ValueError as error:
        raise Refused(f"this is no request: {error}") from None


def _chunks(stream: BinaryIO) -> bytes:
    body = b""
    while size := int(_line(stream), 16):
        body += _read(stream, size, len(body))
        _line(stream)
    return body


def _read(stream: BinaryIO, size: int, before: int = 0) -> bytes:
    if not 0 <= size <= MOST_BYTES - before:
        raise Refused(f"a body of more than {MOST_BYTES} bytes")
    return stream.read(size)


def _line(stream: BinaryIO) -> str:
    return stream.readline(65_537).decode("latin-1").rstrip("\r\n")
