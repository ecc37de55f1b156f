"""What repos.yaml says of how a service runs, beyond what to run: one field a key.

A field declares its key; the parser, the plan's words and the schema follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from iac_wrapper.model import allow, debian_package, egress, exposure, forms, schedule, tcp, volumes
from iac_wrapper.model.exposure import Exposures
from iac_wrapper.model.key import Key

Run = Literal["web", "worker", "job"]
"""A server that answers requests, a program that only stays alive, one that runs to its end."""

Rollout = Literal["beside", "replace"]
"""Start a new version beside the old one, or stop the old one first."""

OF_AN_IMAGE = "it belongs to the image that an entry names"

OF_A_REPOSITORY = "it belongs to the repository that a slug names"

MIN_MEMORY_MB = 6
"""Docker refuses less."""


def _key(*declared: Any, **more: Any) -> dict[str, Key]:
    """The declaration of a key, as metadata of its field: the arguments of `Key`."""
    return {"key": Key(*declared, **more)}


@dataclass(frozen=True)
class Options:
    """Options of one service; None is the default of the setting or of the tool.

    `health` is the path that must answer with a status below 400; `health_timeout` and `stop_grace`
    are seconds; `memory_mb` is MiB; `cpus` is processors; `tmpfs` maps absolute paths of writable
    memory to MiB; `expose` are the addresses under which people reach it; `tcp` are ports that
    other services may reach over any protocol; `volumes` maps names of volumes to absolute paths;
    `needs` are services; `allow` maps services that may call to the rules of what they may, none
    for everything; `egress` is what it may reach outside of the project, none: nothing, None:
    everything; `release` is a line for a shell; `dependencies` is a file of the
    repository, with names in brackets; `schedule` are lines of a crontab by
    name; `packages` are Debian packages of the image that is made; `lfs` and `submodules` are
    whether the source has them. Of images only: `command` is a command line, `capabilities` are
    names with spaces between them, `user` is a name or uid, with a group or gid behind a colon if
    one is said.
    """

    run: Run | None = field(
        default=None,
        metadata=_key(
            "run",
            forms.one_of(*get_args(Run)),
            "[what it is for](docs/verdict.md#what-a-program-is-for): `web`, `worker`, `job`",
            "read from the code",
            "worker",
        ),
    )
    rollout: Rollout | None = field(
        default=None,
        metadata=_key(
            "rollout",
            forms.one_of(*get_args(Rollout)),
            "`replace`: stop the old version first",
            "[`beside`](docs/new-versions.md)",
            "replace",
            only_web="a {run} never runs twice, so no new version is tried beside the old one",
            only_web_but="replace",
        ),
    )
    health: str | None = field(
        default=None,
        metadata=_key(
            "health",
            forms.request_path(),
            "the path that must answer below 400",
            "`/`, below 500",
            "/healthz",
            only_web="a {run} answers no requests, so nobody would ask for a page",
        ),
    )
    health_timeout: int | None = field(
        default=None,
        metadata=_key(
            "health_timeout",
            forms.seconds(),
            "how long it may take to be SERVING",
            "60 s (`IAC_HEALTH_TIMEOUT`)",
            "3m",
        ),
    )
    stop_grace: int | None = field(
        default=None,
        metadata=_key(
            "stop_grace",
            forms.seconds(),
            "from SIGTERM to SIGKILL, calls in flight included",
            "8 s",
            "30s",
        ),
    )
    memory_mb: int | None = field(
        default=None,
        metadata=_key(
            "memory",
            forms.size(MIN_MEMORY_MB),
            "limit, swap and writable memory included",
            "512 MiB (`IAC_MEMORY_MB`)",
            "1g",
        ),
    )
    cpus: float | None = field(
        default=None,
        metadata=_key(
            "cpus",
            forms.processors(),
            "processors that it may use",
            "no limit",
            "1.5",
        ),
    )
    tmpfs: Mapping[str, int] = field(
        default_factory=dict,
        metadata=_key(
            "tmpfs",
            forms.mounts(),
            "writable memory, by path",
            "`/tmp` of 64 MiB",
            "{/tmp: 256m, /app/cache: 64m}",
        ),
    )
    expose: Exposures = field(
        default=(),
        metadata=_key(
            "expose",
            exposure.FORM,
            "[its URL](docs/public-hosts.md): `true`, or public hosts",
            "none",
            "{host: app.example.com}",
            only_web="a {run} answers no requests, so there is nothing to expose",
        ),
    )

    tcp: tuple[int, ...] = field(
        default=(),
        metadata=_key(
            "tcp",
            tcp.ports(),
            "[ports for other protocols than HTTP](docs/tcp.md), such as a database's",
            "none",
            "[5432]",
            no_default="what a service offers over TCP is its own",
            only_web="a {run} answers no requests, so nobody would connect to its ports",
        ),
    )

    volumes: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_key(
            "volumes",
            volumes.folders(),
            "[folders that stay](docs/volumes.md), by name; makes the rollout `replace`",
            "none",
            "{data: /app/data}",
        ),
    )

    needs: tuple[str, ...] = field(
        default=(),
        metadata=_key(
            "needs",
            forms.services(),
            "services that are [proven before its first start](docs/processes.md#needs)",
            "none",
            "[db]",
            no_default="a service cannot need itself",
        ),
    )

    allow: Mapping[str, tuple[str, ...]] | None = field(
        default=None,
        metadata=_key(
            "allow",
            allow.callers(),
            "[services that may call it](docs/policy.md), all of it or some paths and ports;"
            " `[]`: none",
            "all of the project",
            "[web, {worker: [/api/*]}]",
        ),
    )

    egress: tuple[str, ...] | None = field(
        default=None,
        metadata=_key(
            "egress",
            egress.destinations(),
            "[what it may reach outside](docs/egress.md) of the project: `deny`, or hosts and"
            " IPv4 addresses",
            "everything",
            "[api.example.com, db.example.com:5432]",
        ),
    )

    release: str | None = field(
        default=None,
        metadata=_key(
            "release",
            forms.shell_line(),
            "[a command](docs/one-offs.md#release) that runs once before each new version",
            "none",
            "python manage.py migrate",
        ),
    )

    dependencies: str | None = field(
        default=None,
        metadata=_key(
            "dependencies",
            forms.statement(),
            "[the file](docs/dependencies.md) that its Python packages are installed from, with"
            " groups or extras in brackets",
            "[found](docs/dependencies.md)",
            "poetry.lock",
            no_default="it belongs to the code that a slug names",
        ),
    )

    command: str | None = field(
        default=None,
        metadata=_key(
            "command",
            forms.command_line(),
            "[of an image](docs/images.md): what takes the place of its CMD",
            "the image's own",
            "[postgres, -c, max_connections=50]",
            no_default=OF_AN_IMAGE,
            only_image=True,
        ),
    )
    capabilities: str | None = field(
        default=None,
        metadata=_key(
            "capabilities",
            forms.capabilities(),
            "of an image: the Linux capabilities that it keeps",
            "none; five if it starts as root",
            "[NET_BIND_SERVICE]",
            no_default=OF_AN_IMAGE,
            only_image=True,
        ),
    )
    writable: bool | None = field(
        default=None,
        metadata=_key(
            "writable",
            forms.yes_or_no(),
            "of an image: whether it may write to its own files",
            "`false`",
            "true",
            no_default=OF_AN_IMAGE,
            only_image=True,
        ),
    )
    user: str | None = field(
        default=None,
        metadata=_key(
            "user",
            forms.user_of_an_image(),
            "of an image: as whom it starts",
            "the image's own",
            "postgres",
            no_default=OF_AN_IMAGE,
            only_image=True,
        ),
    )

    schedule: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_key(
            "schedule",
            schedule.lines(),
            "[commands at times](docs/one-offs.md#schedule) of a crontab (UTC), by name",
            "none",
            '{backup: "0 3 * * * python backup.py"}',
            no_default="what a service does at times is its own",
        ),
    )

    packages: tuple[str, ...] = field(
        default=(),
        metadata=_key(
            "packages",
            debian_package.packages(),
            "[Debian packages](docs/builds.md#debian-packages) of its image",
            "by its requirements",
            "[ffmpeg]",
            no_default="they belong to the code that a slug names",
        ),
    )
    lfs: bool | None = field(
        default=None,
        metadata=_key(
            "lfs",
            forms.yes_or_no(),
            "whether files get their [Git LFS content](docs/sources.md#git-lfs-and-submodules)",
            "`false`",
            "true",
            no_default=OF_A_REPOSITORY,
        ),
    )
    submodules: bool | None = field(
        default=None,
        metadata=_key(
            "submodules",
            forms.yes_or_no(),
            "whether its [submodules](docs/sources.md#git-lfs-and-submodules) are part of it",
            "`false`",
            "true",
            no_default=OF_A_REPOSITORY,
        ),
    )

    @property
    def mounted(self) -> frozenset[str]:
        """The paths at which something of the entry's is."""
        return frozenset((*self.tmpfs, *self.volumes.values()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of what was said; what was not is left out."""
        values = asdict(self) | {"expose": exposure.to_json(self.expose)}
        said = {name: value for name, value in values.items() if value not in (None, {}, ())}
        said |= {} if self.allow is None else {"allow": dict(self.allow)}
        return said | ({} if self.egress is None else {"egress": self.egress})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Options:
        """The inverse of `to_dict`, after a trip through JSON.

        Raises:
            TypeError: it did not write that.
        """
        values = {name: _with_tuples(value) for name, value in data.items()}
        if "allow" in data:
            values["allow"] = {name: tuple(rules) for name, rules in data["allow"].items()}
        return cls(**{**values, "expose": exposure.from_json(data.get("expose"))})

    def written(self) -> dict[str, str]:
        """What was said by the keys of repos.yaml, with units as people write them."""
        said = self.to_dict()
        return {key.name: key.form.write(said[name]) for name, key in KEYS.items() if name in said}


def _with_tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


KEYS: Mapping[str, Key] = {item.name: item.metadata["key"] for item in fields(Options)}
"""By field of `Options`: its key."""
