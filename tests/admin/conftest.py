from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_api import Api, admin_api
from tests.support.auth_lab import Lab, lab
from tests.support.auth_server import AuthServer, User


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An API of its own for each test."""
    with admin_api(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One API for the tests of a module that leave it as it is; its project is kept busy."""
    with admin_api(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture
def server() -> Iterator[AuthServer]:
    """An auth server of a project with asymmetric keys."""
    with AuthServer("ES256") as server:
        yield server


@pytest.fixture
def user(server: AuthServer) -> User:
    """Somebody who has signed up."""
    return server.add_user("ann@example.org")


@pytest.fixture
def gated(server: AuthServer, user: User) -> Lab:
    """A gate that lets `user` in."""
    return lab(server, user.id)
