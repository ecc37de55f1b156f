from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from iac_wrapper.adapters.workspace_lock import hold
from iac_wrapper.errors import BusyError

_HOLDER = """
import sys, pathlib
from iac_wrapper.adapters.workspace_lock import hold
with hold(pathlib.Path(sys.argv[1]), "iac deploy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_told_who_holds_it_since_when(tmp_path: Path) -> None:
    """Another process's hold names its command and process; its end frees the project."""
    command = [sys.executable, "-c", _HOLDER, str(tmp_path / "demo")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(BusyError, match="project demo is busy") as caught,
            hold(tmp_path / "demo", "x"),
        ):
            pytest.fail("held twice")
        assert f"`iac deploy` (process {holder.pid}) since 20" in (caught.value.found or "")
        holder.kill()
    with hold(tmp_path / "demo", "iac plan"):
        pass


def test_the_hold_ends_with_the_block_also_on_errors(tmp_path: Path) -> None:
    """An exception frees the project."""
    with pytest.raises(RuntimeError), hold(tmp_path, "a"):
        raise RuntimeError
    with hold(tmp_path, "b"):
        pass
