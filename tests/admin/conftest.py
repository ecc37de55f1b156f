from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_api import Api, admin_api


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
