"""Images that this tool did not make, on the engine: pulled, looked into, given a name of ours.

It must not know services, nor what becomes of an image.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.errors import CommandError
from iac_wrapper.model.image_user import UserDatabase

MAX_DATABASE = 2**20
"""Bytes of an image's passwd or group file that are read."""


@dataclass(frozen=True)
class ImageFacts:
    """What the engine says of an image: its id, the digests under which registries have it
    (``repository@sha256:…``), and its configuration."""

    id: str
    digests: tuple[str, ...]
    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    volumes: tuple[str, ...]


@dataclass(frozen=True)
class ImageFiles:
    """What was looked up in an image: its users, and whether it has a shell that can read files."""

    users: UserDatabase
    has_shell: bool


def inspect(engine: Engine, reference: str) -> ImageFacts | None:
    """The image that a name, a digest or an id stands for; None: the engine has none."""
    import docker.errors  # noqa: PLC0415 - the SDK costs 0.2 s that other commands must not pay

    def act(api: Any) -> Any:
        with suppress(docker.errors.NotFound):
            return api.inspect_image(reference)
        return None

    found = engine.call(act)
    if found is None:
        return None
    config = found.get("Config") or {}
    return ImageFacts(
        id=found["Id"],
        digests=tuple(found.get("RepoDigests") or ()),
        user=config.get("User") or "",
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
    )


def pull(engine: Engine, reference: str) -> None:
    """Let the engine get an image, with the credentials of the docker CLI.

    Raises:
        CommandError: it cannot; `found` is the reason.
    """

    def act(api: Any) -> None:
        for message in api.pull(reference, stream=True, decode=True):
            if "error" in message:
                raise CommandError(
                    f"cannot pull {reference}",
                    found=str(message["error"]),
                    next_step=f"docker pull {reference}",
                )

    engine.call(act)


def look_into(engine: Engine, image: str) -> ImageFiles:
    """Read what the configuration of an image (its id) does not say, from a container that never
    starts."""

    def act(api: Any) -> ImageFiles:
        # The command is never run; without one an image that has none cannot be a container.
        made = api.create_container(image, ["-"])["Id"]
        try:
            return ImageFiles(
                users=UserDatabase(_text(api, made, "/etc/passwd"), _text(api, made, "/etc/group")),
                has_shell=_has(api, made, ["/bin/sh"])
                and _has(api, made, ["/bin/cat", "/usr/bin/cat"]),
            )
        finally:
            api.remove_container(made, v=True, force=True)

    return engine.call(act)


def name(engine: Engine, image: str, tag: str) -> None:
    """Give an image (by id, digest or name) the name `tag` as well."""
    repository, _, version = tag.rpartition(":")
    engine.call(lambda api: api.tag(image, repository, version))


def _text(api: Any, container: str, path: str) -> str:
    import docker.errors  # noqa: PLC0415 - see above

    try:
        stream, _ = api.get_archive(container, path)
    except docker.errors.NotFound:
        return ""
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file:
                return file.read(MAX_DATABASE).decode(errors="replace")
    return ""


def _has(api: Any, container: str, paths: Sequence[str]) -> bool:
    import docker.errors  # noqa: PLC0415 - see above

    for path in paths:
        with suppress(docker.errors.NotFound):
            stream, _ = api.get_archive(container, path)
            stream.close()
            return True
    return False
