"""The engine's own words (Docker 20.10 and 28) as sentences with a way out."""

from __future__ import annotations

from typing import Any

import pytest

from provider.container_faults import explain
from provider.engine import EngineRefusedError
from tests.support.embedded_provider import planned


@pytest.mark.parametrize(
    ("status", "message", "sentence", "path"),
    [
        (
            409,
            'Conflict. The container name "/web" is already in use by container "0123".',
            "A container named 'web' exists already",
            ("name",),
        ),
        (
            500,
            "driver failed programming external connectivity on endpoint web (e2f4): Bind for "
            "127.0.0.1:81 failed: port is already allocated",
            "Port 81 of this machine",
            ("ports", 1, "external"),
        ),
        (
            500,
            "driver failed programming external connectivity on endpoint web (e2f4): Error "
            "starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
            "Port 80 of this machine",
            ("ports", 0, "external"),
        ),
        (
            500,
            "failed to set up container networking: driver failed programming external "
            "connectivity on endpoint web (e2f4): failed to bind host port for "
            "127.0.0.1:81:10.0.0.2:81/tcp: address already in use",
            "Port 81 of this machine",
            ("ports", 1, "external"),
        ),
        (
            400,
            'invalid mount config for type "bind": bind source path does not exist: /no/such',
            "The bind source /no/such",
            ("mounts",),
        ),
        (404, "network front not found", "network front", ("networks_advanced",)),
        (
            409,
            "cannot join network of a non running container: 0123",
            "is not running",
            ("network_mode",),
        ),
        (404, "No such container: 0123", "is not running", ("network_mode",)),
        (
            400,
            "OCI runtime create failed: container_linux.go:380: starting container process "
            'caused: exec: "/app/main": permission denied: unknown',
            "/app/main: permission denied",
            ("command",),
        ),
        (400, "Minimum memory limit allowed is 6MB", "Minimum memory limit", ("memory",)),
        (500, "something else", "Docker cannot run container 'web': something else.", ("name",)),
    ],
)
def test_each_refusal_names_its_attribute(
    status: int, message: str, sentence: str, path: tuple[Any, ...]
) -> None:
    """Sentence, path, and a next step where there is one."""
    ports = [{"internal": 80, "external": 80}, {"internal": 1, "external": 81}]
    wanted = planned("docker_container", name="web", image="i", ports=ports)
    error = explain(EngineRefusedError(status, message), wanted, state={"id": "0123"})
    assert sentence in error.summary
    assert error.path == path
