"""The Node that jsii starts on the first import of cdktf."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def use_node() -> str:
    """Choose Node as `main.py` would, quietly; to be called before cdktf is imported."""
    linked = ROOT / ".iac" / "bin" / "node"  # where bootstrap puts it
    node = str(linked) if linked.exists() else shutil.which("node") or "node"
    os.environ["JSII_NODE"] = node
    # The banner about Node's age would be in every failing test's output.
    os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"] = ",".join(map(str, range(18, 40)))
    return node
