"""Every setting, once: its name, default and meaning. Only this module reads the environment.

A setting comes from the process environment, else from `.env` in the project folder, else from
its default here. `.env.example` is this table as text; a test keeps the two equal.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_text, machine_home
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model.base_url import check_base_url, is_loopback
from iac_wrapper.model.hosts import GitHost, Hosts


def _setting(default: str, help_text: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": help_text, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """All settings as strings, named like their variables; the properties below give them types.

    An empty value counts as not set.
    """

    IAC_PROJECT: str = _setting("iacnet", "Project (one stack, one network, one gateway).")
    IAC_SUBNET: str = _setting("", "Subnet of the project's network, CIDR. Empty: 172.20.0.0/16"
        " for the project iacnet if nothing else has it, else a free one.")  # fmt: skip
    IAC_GATEWAY_PORT: str = _setting("", "Loopback port of the gateway. Empty: 15443 for the"
        " project iacnet, a free one for others.")  # fmt: skip
    IAC_LOCK_FILE: str = _setting("", "Lock file that main.py synthesizes, relative to the"
        " project folder. Empty: repos.lock.json.")  # fmt: skip
    IAC_HOME: str = _setting("", "Folder of this machine's tools and of the record of its images."
        " Empty: .iac of a checkout; of an installed iac, a folder for its version in karstkit"
        " below XDG_DATA_HOME or ~/.local/share.")  # fmt: skip
    IAC_PROVIDER: str = _setting("auto", "Docker provider for Terraform: auto, registry, embedded.")
    IAC_PYTHON_VERSION: str = _setting("3.11", "Python of the app images (3.11, 3.12, 3.13).")
    IAC_BASE_IMAGES: str = _setting("auto", "Base images: auto (pull when a registry answers),"
        " registry, debian (build from Debian packages).")  # fmt: skip
    ENTRYPOINT: str = _setting("", "Entrypoint of the one app that is deployed (module,"
        " module:function or path). Empty: detected.")  # fmt: skip
    IAC_GITHUB_URL: str = _setting("https://github.com", "Base URL of gh: slugs.")
    IAC_GITLAB_URL: str = _setting("https://gitlab.com", "Base URL of gl: slugs.")
    IAC_BITBUCKET_URL: str = _setting("https://bitbucket.org", "Base URL of bb: slugs.")
    GITHUB_TOKEN: str = _setting("", "Token for private gh: repositories.", secret=True)
    GITLAB_TOKEN: str = _setting("", "Token for private gl: repositories.", secret=True)
    BITBUCKET_TOKEN: str = _setting("", "Token for private bb: repositories.", secret=True)
    IAC_FETCH_MAX_MB: str = _setting("500", "Largest unpacked source, MB (10^6 bytes).")
    IAC_CA_BUNDLE: str = _setting("", "CA bundle (PEM) for image builds behind a TLS proxy."
        " Empty: the system's bundle.")  # fmt: skip
    IAC_MEMORY_MB: str = _setting(
        "512", "Memory limit of an app container without `memory:` in repos.yaml, MiB."
    )
    IAC_KEEP_IMAGES: str = _setting("3", "How many proven images of a service are kept to go back"
        " to, the current one included.")  # fmt: skip
    IAC_CANDIDATES: str = _setting("8", "How many new versions are tried beside the old ones at a"
        " time: each needs its memory once more.")  # fmt: skip
    IAC_HEALTH_TIMEOUT: str = _setting("60", "Seconds a service may take to become SERVING.")
    IAC_PROBATION: str = _setting("10", "Seconds that a program which answers no requests, and any"
        " that was started again, must stay alive to count as healthy.")  # fmt: skip
    IAC_MAX_HEADERS: str = _setting(
        "100", "How many headers a request or response between services may have."
    )
    IAC_MAX_HEADERS_KB: str = _setting("60", "How large the headers of a request or response"
        " between services may be, KiB.")  # fmt: skip
    OTEL_EXPORTER_OTLP_ENDPOINT: str = _setting("", "OTLP endpoint that apps export to; empty:"
        " spans are not recorded.")  # fmt: skip
    SUPABASE_URL: str = _setting("", "Supabase project URL: who may use the admin API over HTTP.")
    SUPABASE_SERVICE_ROLE_KEY: str = _setting("", "Supabase service role key (a JWT or"
        " sb_secret_…); as a Bearer token it may do everything.", secret=True)  # fmt: skip
    IAC_ADMIN_USERS: str = _setting("", "Who else may use the admin API: user ids, e-mail addresses"
        " or role:NAME (app_metadata.iac_role), each with =read+deploy+destroy or a part of it"
        " (default: all three), separated by commas. Empty: the service role only.")  # fmt: skip
    IAC_ADMIN_BIND: str = _setting("127.0.0.1:8080", "Loopback address of the admin API.")
    IAC_ADMIN_SOCKET: str = _setting("", "Unix socket of the admin API. Empty:"
        " /run/iac_wrapper.sock for root, else iac_wrapper.sock in XDG_RUNTIME_DIR.")  # fmt: skip
    IAC_ADMIN_GRPC: str = _setting("127.0.0.1:8081", "Loopback address of the gRPC Deploy call"
        " (mTLS, control-plane certificates only), or off.")  # fmt: skip
    IAC_SOCKET_REQUIRE_JWT: str = _setting("0", "1: callers on the Unix socket need a token, too.")
    TRUSTED_HOSTS: str = _setting("", "Host names that the admin API answers to besides localhost"
        " and loopback addresses, separated by commas.")  # fmt: skip
    IAC_TRUSTED_PROXIES: str = _setting("0", "How many reverse proxies before the admin API append"
        " to X-Forwarded-For.")  # fmt: skip
    IAC_ADMIN_PATHS: str = _setting("", "Folders, separated by colons, below which callers of the"
        " admin API may name local paths. Empty: none. Owners on the socket may name any.",
    )  # fmt: skip
    IAC_ADMIN_ENV: str = _setting("", "Variables that callers of the admin API may use as ${NAME},"
        " separated by commas. Empty: none. Owners on the socket may use any.")  # fmt: skip
    GITHUB_WEBHOOK_SECRET: str = _setting("", "Secret of GitHub's push webhooks.", secret=True)
    GITLAB_WEBHOOK_TOKEN: str = _setting("", "Secret token of GitLab's push webhooks.", secret=True)
    BITBUCKET_WEBHOOK_SECRET: str = _setting("", "Secret of Bitbucket's push webhooks.",
        secret=True)  # fmt: skip

    environment: Mapping[str, str] = field(
        default_factory=dict, repr=False, compare=False, metadata={"secret": False}
    )
    """Everything else: the process environment over `.env`, for ``${NAME}`` in repos.yaml."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values no sink may show."""
        return tuple(
            getattr(self, item.name)
            for item in fields(self)
            if item.metadata["secret"] and getattr(self, item.name)
        )

    @property
    def hosts(self) -> Hosts:
        """The git hosts behind gh:, gl: and bb:.

        The users: docs.github.com "apps/creating-github-apps", docs.gitlab.com "personal access
        tokens" (any name; oauth2 works for OAuth too), support.atlassian.com "access tokens".
        """
        families = {
            "gh": ("IAC_GITHUB_URL", "GITHUB_TOKEN", "x-access-token"),
            "gl": ("IAC_GITLAB_URL", "GITLAB_TOKEN", "oauth2"),
            "bb": ("IAC_BITBUCKET_URL", "BITBUCKET_TOKEN", "x-token-auth"),
        }
        return {
            prefix: GitHost(base, getattr(self, base), token, user, getattr(self, token))
            for prefix, (base, token, user) in families.items()
        }

    @property
    def gateway_port(self) -> int | None:
        """The gateway's port if one is set."""
        return self._integer("IAC_GATEWAY_PORT", 1, 65535) if self.IAC_GATEWAY_PORT else None

    @property
    def subnet(self) -> str | None:
        """The subnet in CIDR form if one is set."""
        if not self.IAC_SUBNET:
            return None
        expected = "a private IPv4 network of at least 16 addresses in CIDR form"
        try:
            network = ipaddress.IPv4Network(self.IAC_SUBNET)
        except ValueError as error:
            raise self._bad("IAC_SUBNET", f"{expected} ({error})") from None
        if network.prefixlen > 28 or not network.is_private:
            raise self._bad("IAC_SUBNET", expected)
        return str(network)

    @property
    def machine_home(self) -> MachineHome:
        """Where the facts of this machine lie."""
        if self.IAC_HOME and not Path(self.IAC_HOME).expanduser().is_absolute():
            raise self._bad("IAC_HOME", "an absolute path")
        return machine_home.find(self.IAC_HOME, self.environment, machine_home.checkout())

    @property
    def provider(self) -> str:
        """``auto``, ``registry`` or ``embedded``."""
        return self._one_of("IAC_PROVIDER", ("auto", "registry", "embedded"))

    @property
    def python_version(self) -> str:
        """``3.11``, ``3.12`` or ``3.13``."""
        return self._one_of("IAC_PYTHON_VERSION", ("3.11", "3.12", "3.13"))

    @property
    def base_images(self) -> str:
        """``auto``, ``registry`` or ``debian``."""
        return self._one_of("IAC_BASE_IMAGES", ("auto", "registry", "debian"))

    @property
    def fetch_max_bytes(self) -> int:
        """Cap of an unpacked source in bytes."""
        return self._integer("IAC_FETCH_MAX_MB", 1, 100_000) * 10**6

    @property
    def memory_mb(self) -> int:
        """Memory limit of an app container in MiB (Docker refuses less than 6)."""
        return self._integer("IAC_MEMORY_MB", 6, 1_000_000)

    @property
    def keep_images(self) -> int:
        """Proven images of a service that are kept."""
        return self._integer("IAC_KEEP_IMAGES", 1, 1000)

    @property
    def candidates(self) -> int:
        """New versions that run beside the old ones at a time."""
        return self._integer("IAC_CANDIDATES", 1, 1000)

    @property
    def max_headers(self) -> int:
        """How many headers a request or a response may have."""
        return self._integer("IAC_MAX_HEADERS", 20, 10_000)

    @property
    def max_headers_kb(self) -> int:
        """How large the headers of a request or a response may be, KiB."""
        return self._integer("IAC_MAX_HEADERS_KB", 4, 4096)

    @property
    def health_timeout(self) -> float:
        """Seconds until a service must be SERVING."""
        return float(self._integer("IAC_HEALTH_TIMEOUT", 1, 3600))

    @property
    def probation(self) -> int:
        """Seconds that what answers no requests must stay alive."""
        return self._integer("IAC_PROBATION", 1, 600)

    @property
    def project(self) -> str:
        """The project name: a DNS label of at most 32 octets."""
        return check_project(self.IAC_PROJECT, where="IAC_PROJECT")

    @property
    def otlp_endpoint(self) -> str:
        """The OTLP endpoint, empty if spans go to the console."""
        value = self.OTEL_EXPORTER_OTLP_ENDPOINT
        if value and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
            raise self._bad("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host:4318 or https://…")
        return value

    @property
    def supabase_url(self) -> str:
        """Supabase's base URL without a final slash; empty if not set."""
        return check_base_url(self.SUPABASE_URL, where="SUPABASE_URL") if self.SUPABASE_URL else ""

    @property
    def admin_bind(self) -> tuple[str, int]:
        """Host and port of the admin API; port 0 takes a free one."""
        return self._loopback("IAC_ADMIN_BIND")

    @property
    def admin_grpc(self) -> tuple[str, int] | None:
        """Host and port of the gRPC server, None if it is off."""
        return None if self.IAC_ADMIN_GRPC == "off" else self._loopback("IAC_ADMIN_GRPC")

    @property
    def socket_requires_jwt(self) -> bool:
        """Whether callers on the Unix socket need a token."""
        return self._one_of("IAC_SOCKET_REQUIRE_JWT", ("0", "1")) == "1"

    @property
    def trusted_hosts(self) -> tuple[str, ...]:
        """Host names, as written, without the ones that are always trusted."""
        return _split(self.TRUSTED_HOSTS, ",")

    @property
    def trusted_proxies(self) -> int:
        """How many entries at the end of X-Forwarded-For can be believed."""
        return self._integer("IAC_TRUSTED_PROXIES", 0, 10)

    @property
    def admin_paths(self) -> tuple[Path, ...]:
        """Absolute folders below which API callers may name local paths."""
        paths = tuple(Path(item).expanduser() for item in _split(self.IAC_ADMIN_PATHS, ":"))
        if not all(path.is_absolute() for path in paths):
            raise self._bad("IAC_ADMIN_PATHS", "absolute paths, separated by colons")
        return paths

    @property
    def admin_env(self) -> tuple[str, ...]:
        """Names of variables that API callers may refer to."""
        return _split(self.IAC_ADMIN_ENV, ",")

    def check(self) -> None:
        """Look at every setting, so that a wrong one is an error before anything is done.

        Raises:
            ConfigError: the first that is wrong.
        """
        for name, member in vars(type(self)).items():
            if isinstance(member, property):
                getattr(self, name)

    def _one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value: str = getattr(self, name)
        if value not in allowed:
            raise self._bad(name, "one of " + ", ".join(allowed))
        return value

    def _integer(self, name: str, low: int, high: int) -> int:
        value: str = getattr(self, name)
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise self._bad(name, f"a whole number from {low} to {high}")
        return int(value)

    def _loopback(self, name: str) -> tuple[str, int]:
        """``host:port``; anything but loopback would carry tokens over a network in clear."""
        value: str = getattr(self, name)
        host, _, port = value.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not is_loopback(host) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
            raise self._bad(name, "127.0.0.1:PORT or [::1]:PORT; a TLS proxy may stand before it")
        return host, int(port)

    def _bad(self, name: str, expected: str) -> ConfigError:
        return ConfigError(
            "bad setting",
            where=name,
            found=repr(getattr(self, name)),
            expected=expected,
            next_step=f"set {name} in .env or the environment",
        )


def _split(text: str, separator: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(separator) if item.strip())


def load(root: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of the project in `root`: environment over `.env` over defaults.

    Args:
        root: the project folder; its `.env` is read if it exists. None: there is no such folder.
        environ: stands for the process environment (tests).

    Raises:
        ConfigError: `.env` cannot be read.
    """
    process = dict(os.environ if environ is None else environ)
    from_file = _read_env_file(root / ".env", process) if root else {}
    merged = {**from_file, **{k: v for k, v in process.items() if v or k not in from_file}}
    chosen = {name: merged[name].strip() for name in names() if merged.get(name)}
    return Settings(**chosen, environment=merged)


def _read_env_file(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `.env`; bytes that are not UTF-8 become what `os.environ` makes of them.

    It may be a pipe: secret managers serve it as one.
    """
    try:
        return env_text.parse(os.fsdecode(path.read_bytes()), environ)
    except (FileNotFoundError, IsADirectoryError):
        return {}
    except (env_text.EnvTextError, OSError) as error:
        line = f":{error.line}" if isinstance(error, env_text.EnvTextError) else ""
        raise ConfigError(
            "cannot read the settings",
            where=f"{path.name}{line}",
            found=str(error),
            expected="NAME=value, with quotes as in a shell",
            next_step=f"correct {path.absolute()}",
        ) from None


def names() -> list[str]:
    """The variables, in the order of `.env.example`."""
    return [item.name for item in fields(Settings) if item.name != "environment"]


def check_project(name: str, *, where: str) -> str:
    """Return `name` if it can name a project, a network and containers.

    Raises:
        ConfigError: it is not a DNS label of at most 32 octets, or it is ``build`` (the folder of
            build secrets beside the projects' certificates).
    """
    if re.fullmatch(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?", name) and name != "build":
        return name
    raise ConfigError(
        "bad project name",
        where=where,
        found=repr(name),
        expected="1 to 32 of a-z, 0-9 and '-', starting with a letter, not ending with '-',"
        " not build",
        next_step=f"choose another name, for instance --project {project_like(name)}",
    )


def project_like(name: str) -> str:
    """A name that `check_project` takes, as near to `name` as can be."""
    bent = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:32].strip("-")
    return bent if bent and bent != "build" else "myshop"
