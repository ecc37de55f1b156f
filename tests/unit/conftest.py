from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.adapters import routes
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.event import Event
from iac_wrapper.operations.workspace import Workspace
from tests.support.docker_daemon import Daemon, daemon
from tests.support.runner_service import Authority, Serve, services


@pytest.fixture
def engine_double(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A Docker engine double that `Engine()` finds through DOCKER_HOST; its host has no routes."""
    monkeypatch.setattr(routes, "read_routes", list)
    with tempfile.TemporaryDirectory() as folder, daemon(Path(folder) / "docker.sock") as state:
        monkeypatch.setenv("DOCKER_HOST", state.host)
        yield state


@pytest.fixture
def strict_umask() -> Iterator[None]:
    """Umask 077: what `mkdir` and `open` make is for nobody else."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def workspace(tmp_path: Path, events: list[Event], engine_double: Daemon) -> Workspace:
    """A workspace of the project `demo` in an empty folder, on the engine double."""
    environ = {"DOCKER_HOST": engine_double.host, "IAC_HOME": str(tmp_path / ".iac")}
    chosen = settings.load_settings(tmp_path, environ)
    return Workspace(Layout(tmp_path), chosen, "demo", events.append)


@pytest.fixture
def authority() -> Authority:
    """One CA for both sides."""
    return Authority()


@pytest.fixture
def own(authority: Authority, tmp_path: Path) -> Path:
    """The control plane's own certificate folder."""
    return authority.issue(tmp_path / "own", "control-plane")


@pytest.fixture
def serve(authority: Authority, tmp_path: Path) -> Iterator[Serve]:
    """Starts gRPC servers over TLS."""
    with services(authority, tmp_path) as start:
        yield start
