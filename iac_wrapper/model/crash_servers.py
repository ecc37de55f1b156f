"""Failures at servers that a program looks for on its own localhost. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from iac_wrapper.model.crash_paths import Program

LOCAL = r"(?:localhost|127\.0\.0\.1|\[?::1\]?)"
"""How a program's own host is written."""


class _Server(NamedTuple):
    title: str
    image: str
    name: str


_SERVERS: Mapping[int, _Server] = {
    5432: _Server("PostgreSQL", "postgres:17", "db"),
    3306: _Server("MySQL", "mysql:8", "db"),
    6379: _Server("Redis", "redis:7", "redis"),
    5672: _Server("RabbitMQ", "rabbitmq:4", "rabbitmq"),
    27017: _Server("MongoDB", "mongo:7", "mongo"),
    11211: _Server("Memcached", "memcached:1", "memcached"),
    9200: _Server("Elasticsearch", "elasticsearch:8.19.0", "elasticsearch"),
}
"""By the port that is theirs (IANA, else their own documentation)."""


def refused(default: int | None = None) -> Callable[[re.Match[str], Program], tuple[str, str, str]]:
    """An explanation of a refused connection, to port `default` where the words name none."""

    def explain(match: re.Match[str], program: Program) -> tuple[str, str, str]:
        said = match.groupdict().get("port")
        port = int(said) if said else default
        server = _SERVERS.get(port or 0)
        if port is None:
            text = "a connection was refused, most likely on its own localhost"
            return "connection-refused", text, _named(port)
        title = f" ({server.title})" if server else ""
        text = f"nothing listens on its own localhost:{port}{title}"
        step = _list(program, server, port) if server else _named(port)
        return "connection-refused", text, step

    return explain


def _named(port: int | None) -> str:
    step = "write the name of a service in place of localhost: `http://NAME/`"
    if port is None:
        return f"{step}; for what is not HTTP, a port that the service's `tcp:` lists"
    return f"{step}; for what is not HTTP NAME:{port}, with `tcp: [{port}]` in the service's entry"


def _list(program: Program, server: _Server, port: int) -> str:
    """With the variable that names the server, as far as something tells."""
    needs = program.app.options.needs
    name = server.name if server.name in needs or len(needs) != 1 else needs[0]
    if said := _local(program.app.env, port):
        say = f"write {name} in place of localhost in {said} of `env:` in its entry"
    elif said := _local(program.hints.variables, port):
        file = program.hints.env_file
        say = f"write `env: {{{said}: …}}` in its entry as in {file}, with {name} for localhost"
    else:
        say = f"name {name}:{port} to it, by a variable that `env:` in its entry sets"
    if name in needs:
        return say
    entry = f"`image: {server.image}`, `name: {name}`, `tcp: [{port}]`"
    return f"list a service with {entry}; write `needs: [{name}]` in this entry; {say}"


def _local(variables: Mapping[str, str], port: int) -> str:
    """The variable whose value is an address on localhost, first with the port."""
    local = {name: text for name, text in variables.items() if re.search(LOCAL, text)}
    exact = [name for name, text in local.items() if re.search(rf"\b{port}\b", text)]
    return (exact or [name for name in local if len(local) == 1] or [""])[0]
