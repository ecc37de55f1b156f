"""Which engine, with which credentials. The only module here that reads the environment."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .problems import ProviderError, not_implemented
from .values import UNKNOWN, Values, is_empty

DEFAULT_HOST = "unix:///var/run/docker.sock"
REFUSED = ("ca_material", "cert_material", "key_material", "context", "ssh_opts")


@dataclass(frozen=True)
class Configuration:
    """A provider block, resolved.

    `host`: a ``unix://`` or ``tcp://`` address. `certificates`: directory with ca.pem, cert.pem
    and key.pem, or None for no TLS. `auths`: base64 ``X-Registry-Auth`` values by registry.
    `ping`: whether to look for the engine before the first resource.
    """

    host: str = DEFAULT_HOST
    certificates: Path | None = None
    auths: Mapping[str, str] = field(default_factory=dict, repr=False)
    ping: bool = True


def validate(config: Values) -> list[ProviderError]:
    """Everything wrong with a provider block that can be known without the engine."""
    problems = [not_implemented((name,)) for name in REFUSED if not is_empty(config.get(name))]
    host = config.get("host")
    if isinstance(host, str) and host and not host.startswith(("unix://", "tcp://")):
        problems.append(
            ProviderError(
                f"The engine address {host!r} is not of a supported kind.",
                "Use unix:///path/to/docker.sock or tcp://host:port.",
                path=("host",),
            )
        )
    for auth in config.get("registry_auth") or []:
        if auth is not UNKNOWN and not is_empty(auth.get("config_file_content")):
            problems.append(not_implemented(("registry_auth", "config_file_content")))
    return problems


def resolve(config: Values, environ: Mapping[str, str] | None = None) -> Configuration:
    """The configuration of a provider block over the environment over the defaults.

    Raises:
        ProviderError: a registry's credentials cannot be found.
    """
    env = os.environ if environ is None else environ
    certificates = config.get("cert_path") or (
        env.get("DOCKER_CERT_PATH") if env.get("DOCKER_TLS_VERIFY") else None
    )
    return Configuration(
        host=config.get("host") or env.get("DOCKER_HOST") or DEFAULT_HOST,
        certificates=Path(certificates) if certificates else None,
        auths=dict(_auth(item) for item in config.get("registry_auth") or []),
        ping=not config.get("disable_docker_daemon_check"),
    )


def cli_candidates(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Docker CLIs to try for builds, best first; one named by KARSTKIT_DOCKER_CLI is the only."""
    env = os.environ if environ is None else environ
    chosen = env.get("KARSTKIT_DOCKER_CLI")
    return (chosen,) if chosen else ("/usr/bin/docker", "docker")


def cli_environment(configuration: Configuration) -> dict[str, str]:
    """The environment of a CLI that talks to the same engine."""
    env = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": configuration.host}
    env.pop("DOCKER_CONTEXT", None)
    if configuration.certificates:
        env["DOCKER_CERT_PATH"] = str(configuration.certificates)
        env["DOCKER_TLS_VERIFY"] = "1"
    return env


def log_directory() -> Path:
    """Where build logs go: KARSTKIT_LOG_DIR, else a directory of this run alone."""
    chosen = os.environ.get("KARSTKIT_LOG_DIR")
    if chosen:
        Path(chosen).mkdir(parents=True, exist_ok=True)
        return Path(chosen)
    return Path(tempfile.mkdtemp(prefix="docker-build-"))


def _auth(block: Values) -> tuple[str, str]:
    registry = registry_key(block["address"])
    if block.get("auth_disabled"):
        return registry, ""
    name, password = block.get("username") or "", block.get("password") or ""
    if not name:
        name, password = _from_file(block, registry)
    payload = {"username": name, "password": password, "serveraddress": registry}
    return registry, base64.urlsafe_b64encode(json.dumps(payload).encode()).decode()


def _from_file(block: Values, registry: str) -> tuple[str, str]:
    path = Path(block.get("config_file") or "~/.docker/config.json").expanduser()
    try:
        auths = json.loads(path.read_text(encoding="utf-8")).get("auths", {})
    except (OSError, ValueError) as error:
        raise ProviderError(
            f"Cannot read the credentials of {registry} from {path}: {type(error).__name__}.",
            "Set username and password, or name a readable config_file.",
            path=("registry_auth",),
        ) from None
    for address, entry in auths.items():
        if registry_key(address) == registry and entry.get("auth"):
            name, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return name, password
    raise ProviderError(
        f"There are no credentials of {registry} in {path}.",
        "Set username and password; credential helpers are not supported.",
        path=("registry_auth",),
    )


def registry_key(address: str) -> str:
    """A registry's bare host, the same for ``https://host/v1/`` and ``host``."""
    host = address.split("://", 1)[-1].split("/", 1)[0]
    return "docker.io" if host in {"index.docker.io", "registry.hub.docker.com"} else host
