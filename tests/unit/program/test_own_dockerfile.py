"""Which file of the repository `build:` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.own_dockerfile import written


@pytest.mark.parametrize(
    ("files", "asked", "found"),
    [
        (["Dockerfile"], "Dockerfile", "Dockerfile"),
        (["dockerfile"], "Dockerfile", "dockerfile"),
        (["Dockerfile", "dockerfile"], "Dockerfile", "Dockerfile"),
        ([], "Dockerfile", "Dockerfile"),
        (["dockerfile"], "docker/Dockerfile", "docker/Dockerfile"),
    ],
)
def test_either_case_is_found(tmp_path: Path, files: list[str], asked: str, found: str) -> None:
    """As `docker build` does for the name that it looks for by itself."""
    for name in files:
        (tmp_path / name).write_text("FROM x\n")
    assert written(tmp_path, asked) == found
