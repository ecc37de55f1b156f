"""Images of a registry: pulled by the real engine, pinned, and named for the project."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.adapters import engine_changes
from iac_wrapper.adapters import foreign_images as images
from iac_wrapper.errors import ConfigError, SourceError
from iac_wrapper.files import repos_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.event import Event
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import foreign_images
from iac_wrapper.operations.workspace import Workspace
from tests.support.registry import image, registry

pytestmark = pytest.mark.integration

PASSWD = b"root:x:0:0::/:\nweb:x:70:71::/:\n"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def workspace(tmp_path: Path, events: list[Event]) -> Iterator[Workspace]:
    """A project of the real engine that only names images; nothing of it stays."""
    chosen = settings.load_settings(tmp_path)
    made = Workspace(Layout(tmp_path), chosen, f"t{secrets.token_hex(4)}", events.append)
    yield made
    for name in made.engine.image_tags(made.project):
        engine_changes.remove_image(made.engine, name)


def _spec(text: str) -> AppSpec:
    (spec,) = repos_file.parse_entries(text, Path("repos.yaml"))
    return spec


def _forget(workspace: Workspace, *names: str) -> None:
    for name in names:
        if images.inspect(workspace.engine, name):
            engine_changes.remove_image(workspace.engine, name)


def test_a_tag_is_pinned_to_what_the_registry_says(
    workspace: Workspace, events: list[Event]
) -> None:
    """The lock keeps it though the tag moves on; without a registry, what is here is taken."""
    old = image({"etc/passwd": PASSWD, "x": secrets.token_bytes(8)}, User="web", Cmd=["/x"])
    new = image({"etc/passwd": PASSWD, "x": secrets.token_bytes(8)}, Entrypoint=["/x"])
    with registry({**old, **new}) as port:
        name = f"127.0.0.1:{port}/o/tiny"
        spec = _spec(f"- image: {name}:1\n")
        digest = list(new)[-1]
        app = foreign_images.of_image(workspace, spec, None)
        assert app.foreign
        assert (app.name, app.foreign.pinned) == ("tiny", f"{name}@{digest}")
        assert (app.foreign.uid, app.foreign.user_from, app.foreign.has_shell) == (0, "root", False)
        pinned = replace(app, foreign=replace(app.foreign, pinned=f"{name}@{list(old)[-1]}"))
        lock = LockFile(workspace.project, "n", "10.0.0.0/24", 1, (pinned,))
        locked = foreign_images.of_image(workspace, spec, lock)
        assert pinned.foreign
        assert locked.foreign == replace(pinned.foreign, uid=70, gid=71, user_from="image")
        foreign_images.ensure_named(workspace, [app, locked])
        assert workspace.engine.image_tags(workspace.project) == sorted([app.image, locked.image])
        with pytest.raises(SourceError, match="and cannot be pulled") as caught:
            foreign_images.of_image(workspace, _spec(f"- image: 127.0.0.1:{port}/none\n"), None)
        assert "docker pull" in (caught.value.next_step or "")
    again = foreign_images.of_image(workspace, spec, None)
    assert again == app
    assert any("was not pulled, the image of that name" in event.message for event in events)
    _forget(workspace, f"{name}:1", pinned.foreign.pinned, app.image, locked.image)


def test_an_image_without_a_shell_gets_no_secret_by_one(workspace: Workspace) -> None:
    """The error has the line to write; a user that it lacks is another."""
    with registry(image({"etc/passwd": PASSWD}, Cmd=["/x"])) as port:
        name = f"127.0.0.1:{port}/tiny:1"
        for more, message in (
            ('env: {PW: "${PW}"}', "no shell that could set PW"),
            ("user: postgres", "the image has no user postgres"),
        ):
            with pytest.raises(ConfigError, match=message):
                foreign_images.of_image(workspace, _spec(f"- image: {name}\n  {more}\n"), None)
        spec = _spec(f'- image: {name}\n  env: {{PW_FILE: "${{PW}}"}}\n')
        assert foreign_images.of_image(workspace, spec, None).foreign
        _forget(workspace, name)
