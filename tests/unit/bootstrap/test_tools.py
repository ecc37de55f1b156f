"""Programs on PATH, their versions, and links to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from iac_wrapper.bootstrap import tools
from tests.unit.bootstrap.conftest import executable


def test_all_candidates_in_order_each_file_once(tmp_path: Path) -> None:
    first = executable(tmp_path / "a" / "node", "#!/bin/sh\n")
    second = executable(tmp_path / "b" / "node", "#!/bin/sh\n")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "node").symlink_to(first)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "node").write_text("not executable")
    path = ":".join(str(tmp_path / name) for name in "abcd")
    found = tools.on_path("node", {"PATH": path}, exclude=tmp_path / "own")
    assert found == (first, second)


def test_our_own_links_are_not_candidates(tmp_path: Path) -> None:
    executable(tmp_path / "own" / "node", "#!/bin/sh\n")
    found = tools.on_path("node", {"PATH": str(tmp_path / "own")}, exclude=tmp_path / "own")
    assert found == ()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Terraform v1.11.4\non linux_amd64", "1.11.4"),
        ("v20.20.2", "20.20.2"),
        ("docker 20.10+dfsg1", "20.10"),
        ("none", None),
    ],
)
def test_versions(text: str, version: str | None) -> None:
    assert tools.parse_version(text) == (version and Version(version))


def test_a_version_as_text() -> None:
    assert tools.show(Version("1.2.3")) == "1.2.3"
    assert tools.show(None) == "unknown"


def test_a_link_is_replaced_in_one_step(tmp_path: Path) -> None:
    link = tmp_path / "bin" / "node"
    for target in (Path("/old/node"), Path("/new/node"), Path("/new/node")):
        tools.link(link, target)
        assert link.readlink() == target
    assert [path.name for path in link.parent.iterdir()] == ["node"]
