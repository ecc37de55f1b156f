"""What this machine's own tables say about uids."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from iac_wrapper.adapters import uid_record
from iac_wrapper.model.users import Users


def test_subordinate_ids_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One range a line; comments, broken lines and a missing file say nothing."""
    table = tmp_path / "subuid"
    monkeypatch.setattr(uid_record, "_SUBUID", table)
    assert uid_record.subordinate() == []
    table.write_text("ana:100000:65536\n# x\n\n1000:30000:5\nbob:x:1\n")
    assert uid_record.subordinate() == [range(100_000, 165_536), range(30_000, 30_005)]


def test_blocks_with_a_known_user_are_left_out() -> None:
    """The name service of the machine is asked for every uid of a block."""
    me = pwd.getpwuid(os.getuid()).pw_uid
    strange = Users(2_000_000_000)
    assert list(uid_record.unknown_here([Users(max(0, me - 2)), strange])) == [strange]
