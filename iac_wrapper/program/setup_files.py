"""setup.cfg and setup.py as data: what setuptools would be told. Read, never run.

One that cannot be read is empty here; setuptools says why in the build.
"""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

from iac_wrapper.program.python_project import read_text


def setup_cfg(root: Path) -> configparser.ConfigParser:
    """The sections of setup.cfg."""
    parser = _parser()
    try:
        parser.read_string(read_text(root, "setup.cfg") or "")
    except configparser.Error:
        return _parser()
    return parser


def _parser() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None, strict=False)


def setup_py(root: Path, word: str = "") -> ast.Module:
    """The statements of setup.py; none where the file does not hold `word`, for which it is then
    not parsed."""
    text = read_text(root, "setup.py") or ""
    try:
        return ast.parse(text if word in text else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])
