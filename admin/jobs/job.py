"""A job: what was asked, by whom, and how it went. Values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from iac_wrapper.model import references
from provider.redact import MASK

Kind = Literal["deploy", "plan", "destroy", "remove", "rollback"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
EventKind = Literal["queued", "started", "step", "progress", "warning", "finished"]

ENDED: frozenset[Status] = frozenset(("succeeded", "failed", "cancelled", "interrupted"))


@dataclass(frozen=True)
class JobRequest:
    """What a caller wants done to a project.

    One of: `slugs` (texts) or `apps` (entries as in repos.yaml) to add to what runs, `services`
    (names of deployed services to bring up to date as they are recorded, to remove, or to bring
    back to release `to`; None: the one before); none for a destroy, nor for a rollback of all. With
    `prune`, the project becomes what `apps` or `slugs` say and nothing else. `locked` takes the
    commits of the lock; `offline` does as well, and asks no git host. With `all`, a deploy fails
    also for services that were broken before and that it leaves alone. With `volumes`, a destroy
    takes the data as well. `dry_run` only plans a rollback. `owner`: the caller may name any local
    path and variable.
    """

    kind: Kind
    project: str
    slugs: tuple[str, ...] = ()
    apps: tuple[Any, ...] = ()
    services: tuple[str, ...] = ()
    prune: bool = False
    locked: bool = False
    offline: bool = False
    all: bool = False
    volumes: bool = False
    to: int | None = None
    dry_run: bool = False
    owner: bool = False

    def asked(self) -> dict[str, Any]:
        """What was asked for, as the API and the audit show it; what was not is left out.

        Values of `env` are shown only if they are ``${NAME}``: readers need not know them, and
        callers without IAC_ADMIN_ENV have no other way to give a password.
        """
        named = ("slugs", "apps", "services")
        names = (*named, "prune", "locked", "offline", "all", "volumes", "to", "dry_run")
        shown = replace(self, apps=tuple(map(_without_values, self.apps)))
        return {name: getattr(shown, name) for name in names if getattr(shown, name)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JobRequest:
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        lists = {name: tuple(data.get(name, ())) for name in ("slugs", "apps", "services")}
        return cls(**{**data, **lists})


def _without_values(app: Any) -> Any:
    if not isinstance(app, Mapping) or not isinstance(app.get("env"), Mapping):
        return app
    env = {k: v if references.WHOLE.fullmatch(str(v)) else MASK for k, v in app["env"].items()}
    return {**app, "env": env}


@dataclass(frozen=True)
class Job:
    """A request and its fate, as stored and shown.

    Times are ISO 8601 in UTC. `actor` is `Actor.to_dict`. `plan_hash`, `plan`, `report` and
    `resources` are what the operation returned, `error` is `IacError.to_dict`. `release` is its
    number in the project's ledger, None of one that changed nothing. `wait_until` (UTC)
    is when a queued job gives up. `resumes` is the id of the job that this one does again.
    """

    id: str
    request: JobRequest
    actor: Mapping[str, Any]
    status: Status
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    wait_until: str | None = None
    cancel_requested: bool = False
    resumes: str | None = None
    plan_hash: str | None = None
    plan: Mapping[str, Any] | None = None
    report: Mapping[str, Any] | None = None
    destroyed: Mapping[str, Any] | None = None
    removed: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    release: int | None = None
    idempotency: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in ENDED

    @property
    def resumable(self) -> bool:
        """Whether doing it again is what a person would want: it stopped half-way."""
        return self.status in ("interrupted", "cancelled")

    def to_record(self) -> dict[str, Any]:
        """Everything, JSON-ready, for the disk."""
        return asdict(self)

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Job:
        """The inverse of `to_record`."""
        return cls(**{**data, "request": JobRequest.from_dict(data["request"])})


@dataclass(frozen=True)
class EventEntry:
    """One event of a job. `id` counts from 1 without gaps; `at` is ISO 8601 in UTC."""

    id: int
    at: str
    kind: EventKind
    message: str
    data: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; `data` only where there is any."""
        found = asdict(self)
        if self.data is None:
            del found["data"]
        return found
