"""A script's own metadata: the ``# /// script`` comment block of PEP 723."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.program.python_project import read_text

# The regular expression of the specification ("Inline script metadata", packaging.python.org).
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def inline_metadata(root: Path, script: str) -> dict[str, Any]:
    """The metadata of the Python file `script` of the checkout, empty if it has none.

    Raises:
        SourceError: the block is not TOML, or there are two.
    """
    text = read_text(root, script) or ""
    blocks = [m for m in _BLOCK.finditer(text) if m["type"] == "script"]
    if not blocks:
        return {}
    lines = blocks[0]["content"].splitlines(keepends=True)
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    if len(blocks) > 1:
        raise _bad(script, f"{len(blocks)} blocks")
    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:
        raise _bad(script, str(error)) from None


def _bad(script: str, found: str) -> SourceError:
    return SourceError(
        "bad inline script metadata",
        where=script,
        found=found,
        expected="one `# /// script` block of TOML, each line a comment",
        next_step="correct it in the repository",
    )
