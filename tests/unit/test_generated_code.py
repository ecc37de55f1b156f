"""The committed protobuf code is what its .proto files say."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_generating_anew_changes_nothing(tmp_path: Path) -> None:
    """`make proto` writes the committed files, byte for byte, and no others."""
    subprocess.run([ROOT / "scripts" / "protoc", tmp_path], check=True)

    made = _generated(tmp_path)
    assert made.keys() >= {"provider/grpc_pb/tfplugin6_pb2.py"}
    assert made == _generated(ROOT), "run make proto"


def _generated(root: Path) -> dict[str, str]:
    folders = ("iac_wrapper/grpc_pb", "provider/grpc_pb")
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for folder in folders
        for path in (root / folder).glob("*_pb2*.py*")
    }
