"""What `iac proxy` is asked for, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.way import Way, parse_ways, tcp_port
from tests.support.deployed import app


@pytest.mark.parametrize(
    ("words", "ways"),
    [
        ("web", [Way("web")]),
        ("web 8000", [Way("web", None, 8000)]),
        ("db:5432 15432", [Way("db", 5432, 15432)]),
        ("web db:5432 api 8001", [Way("web"), Way("db", 5432), Way("api", None, 8001)]),
    ],
)
def test_a_number_is_the_local_port_of_the_service_before_it(words: str, ways: list[Way]) -> None:
    """No service has a number for a name."""
    assert parse_ways(words.split()) == ways


@pytest.mark.parametrize(
    "words", ["8000", "web 1 2", "web 8001 api 8001", "web 0", "web 65536", "web:", "web:http"]
)
def test_what_is_no_port_is_said(words: str) -> None:
    """With the form that is right."""
    with pytest.raises(ConfigError, match=r"SERVICE\[:PORT\] \[LOCAL\]"):
        parse_ways(words.split())


@dataclass(frozen=True)
class _Options:
    """Options with the key `tcp`."""

    tcp: tuple[int, ...]


def offering(*tcp: int, port: int | None = None) -> ResolvedApp:
    """A service with `tcp:` ports, and `port:` where that is given."""
    plain = replace(app("db"), options=cast(Any, _Options(tcp)))
    return replace(plain, port=port, port_declared=True) if port else plain


@pytest.mark.parametrize(
    ("service", "port", "expected"),
    [
        (offering(), None, None),
        (offering(), 50051, None),
        (offering(port=8080), 8080, None),
        (offering(5432), None, 5432),
        (offering(5432), 5432, 5432),
        (offering(5432, 9000), 9000, 9000),
        (offering(9000, port=8080), None, None),
    ],
)
def test_a_port_of_tcp_is_bytes_and_all_else_http(
    service: ResolvedApp, port: int | None, expected: int | None
) -> None:
    """Without a port a service that serves no HTTP has its only one."""
    assert tcp_port(service, port) == expected


@pytest.mark.parametrize(
    ("service", "port", "words"),
    [
        (offering(), 5432, ["no port 5432", "asked as HTTP", "iac proxy db"]),
        (offering(5432), 80, ["no port 80", "5432 (tcp)", "iac proxy db:5432"]),
        (offering(5432), 50051, ["no port 50051"]),
        (offering(9000, port=8080), 80, ["8080 (HTTP), 9000 (tcp)"]),
        (offering(1, 2), None, ["several ports", "1 (tcp), 2 (tcp)"]),
    ],
)
def test_a_port_that_is_not_offered_is_refused_with_those_that_are(
    service: ResolvedApp, port: int | None, words: list[str]
) -> None:
    """Before anything is started."""
    with pytest.raises(ConfigError) as caught:
        tcp_port(service, port)
    for word in words:
        assert word in str(caught.value)
