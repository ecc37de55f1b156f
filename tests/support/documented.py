"""Programs that stand in the documents."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def own_app() -> str:
    """`main.py` of docs/own-cdktf-app.md, as it stands there."""
    text = (DOCS / "own-cdktf-app.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    return str(program)
