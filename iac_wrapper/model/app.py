"""An app as wanted (`AppSpec`), as found on disk (`Checkout`) and as locked (`ResolvedApp`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.foreign_image import ForeignImage
from iac_wrapper.model.options import Options, Run
from iac_wrapper.model.slug import Slug
from iac_wrapper.model.users import GROUP, Users

DEFAULT_PORT = 50051
"""The port user code is expected on when repos.yaml names none (EXPOSE 50051 in the image)."""

DEFAULT_PROBATION = 10
"""Seconds that what answers no requests must stay alive: the runner's own number, see there."""


@dataclass(frozen=True)
class AppSpec:
    """One entry of repos.yaml: intent.

    `name` is the service name: a DNS label (RFC 1123, at most 63 octets of ``a-z0-9-``), because
    it is the SAN of the leaf certificate and the host that other services dial.
    `where` is ``file:line`` for errors, `needs_where` and `allow_where` those of these keys;
    `base` is the folder that a relative path of `slug` starts from. `notes` are sentences on
    defaults that do not apply.
    `process_of` is the service of whose entry it is one of the `processes`; without an `entrypoint`
    it is the line of the Procfile. `dockerfile` is the file of the repository that makes the image,
    relative to the folder of the slug; None: KarstKit makes it.
    """

    name: str
    slug: Slug
    entrypoint: str | None = None
    port: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    where: str = ""
    base: Path = Path()
    notes: tuple[str, ...] = ()
    process_of: str | None = None
    needs_where: str = ""
    allow_where: str = ""
    dockerfile: str | None = None

    @property
    def group(self) -> str:
        """The service whose commit and image it shares: its own name if it is no process."""
        return self.process_of or self.name

    @property
    def process(self) -> str:
        """The name of the process, empty if it is none."""
        return self.name.removeprefix(f"{self.process_of}-") if self.process_of else ""

    @property
    def is_image(self) -> bool:
        """Whether there is nothing to fetch and build."""
        return self.slug.kind == "image"


@dataclass(frozen=True)
class Checkout:
    """A source on disk; nothing here writes to it.

    `commit` is the full 40-digit SHA, None for a local path; `tree` is ``sha256:<hex>`` over the
    files below `path` (names, modes, contents), so it is the same however the files came.
    `notes` are sentences on what the source has and the checkout lacks. `source` is the whole
    source that `path` is a folder of, None if `path` is all of it.
    """

    spec: AppSpec
    path: Path
    tree: str
    commit: str | None
    method: Literal["archive", "clone", "local"]
    notes: tuple[str, ...] = ()
    source: Path | None = None


@dataclass(frozen=True)
class ResolvedApp:
    """Facts of one app, as repos.lock.json holds them: enough to synthesize without any I/O.

    `image` is ``iac/<project>-<name>:<12 hex>``; the tag is a hash of everything that goes into
    the image, so a tag that exists need not be built. `base` is the runtime base image, whose tag
    is a hash too. `env` holds values as written in repos.yaml; ``${NAME}`` in them is a reference
    that only the command side replaces, in a file that Terraform never sees. `run` is
    what the program is for, None if nothing tells: then what it does when it runs decides. `notes`
    are sentences on what was ignored, replaced or dropped on the way. `process_of` is the service
    whose image it runs with a command of its own, None for the image's own program. `foreign`
    describes an image that this tool did not make, None for its own; then `base` is empty and
    `tree` is what the image is pinned by.
    """

    name: str
    slug: str
    commit: str | None
    tree: str
    entrypoint: Entrypoint
    port: int
    port_declared: bool
    env: Mapping[str, str]
    python: str | None
    base: str
    image: str
    run: Run | None = None
    options: Options = field(default_factory=Options)
    notes: tuple[str, ...] = ()
    process_of: str | None = None
    foreign: ForeignImage | None = None

    @property
    def group(self) -> str:
        """The service whose commit and image it shares: its own name if it is no process."""
        return self.process_of or self.name

    @property
    def tcp_only(self) -> bool:
        """Whether nobody would ask it over HTTP: it offers TCP ports, and nothing says `web`."""
        return bool(self.options.tcp) and self.run != "web"

    @property
    def expected_port(self) -> int:
        """The port that the program is expected on."""
        return self.options.tcp[0] if self.tcp_only else self.port

    @property
    def has_runner(self) -> bool:
        """Whether PID 1 of its container is ours; else its container and sidecar tell how it is."""
        return self.foreign is None

    def owner(self, users: Users) -> tuple[int, int]:
        """Uid and gid that its program starts as, and that files which it writes belong to.

        Args:
            users: the uids of the service.
        """
        if self.foreign:
            return self.foreign.uid, self.foreign.gid
        return users.program, GROUP

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What its container keeps (``CAP_…``)."""
        return self.foreign.capabilities(self.options.capabilities) if self.foreign else ()
