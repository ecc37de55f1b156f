"""A Space of Hugging Face: the head of its README.md says which SDK runs which file.

The platform installs the SDK by itself, so that no requirements name it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from iac_wrapper.program.python_project import inside, read_text

_SDKS = ("gradio", "streamlit")
_HEAD = re.compile(r"---[ \t]*\r?\n(.{1,4000}?)\n---[ \t]*\r?\n", re.S)
_VERSION = re.compile(r"\d+(\.\d+){0,3}")


@dataclass(frozen=True)
class Space:
    """`sdk` is ``gradio`` or ``streamlit``, `requirement` what the platform installs of it, and
    `file` the Python file of the checkout that it runs, empty if none is named."""

    sdk: str
    requirement: str
    file: str = ""


def space(root: Path) -> Space | None:
    """What the README.md of the checkout says; None if it is of no such Space."""
    match = _HEAD.match(read_text(root, "README.md") or "")
    try:
        head = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(head, dict) or head.get("sdk") not in _SDKS:
        return None
    sdk, version, file = str(head["sdk"]), str(head.get("sdk_version", "")), head.get("app_file")
    exact = f"=={version}" if _VERSION.fullmatch(version) else ""
    is_file = isinstance(file, str) and file.endswith(".py") and inside(root, file)
    return Space(sdk, f"{sdk}{exact}", str(file) if is_file else "")
