from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, daemon


@pytest.fixture
def engine_double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A Docker engine double that `Engine()` finds through DOCKER_HOST."""
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder) / "docker.sock") as state:
        monkeypatch.setenv("DOCKER_HOST", state.host)
        yield state


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def workspace(tmp_path: Path, events: list[Event], engine_double: Daemon) -> Workspace:
    """A workspace of the project `demo` in an empty folder, on the engine double."""
    del engine_double
    return Workspace(Layout(tmp_path), settings.load(tmp_path, {}), "demo", events.append)
