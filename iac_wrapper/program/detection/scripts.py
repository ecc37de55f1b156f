"""Commands that installing the project would make: name -> ``module:function``. Read, never run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from iac_wrapper.program.python_project import PYPROJECT, read_pyproject, table
from iac_wrapper.program.setup_files import setup_cfg, setup_py
from iac_wrapper.program.setup_texts import SetupTexts

_GROUP = "console_scripts"


def scripts(root: Path) -> tuple[str, str, dict[str, str]]:
    """What the table is called, the file it is in, and the table; empty: there is none."""
    pyproject = read_pyproject(root)
    for keys in (("project", "scripts"), ("tool", "poetry", "scripts")):
        if found := table(pyproject, *keys):
            texts = {name: str(value) for name, value in found.items()}
            return f"[{'.'.join(keys)}]", PYPROJECT, texts
    for file, read in (("setup.cfg", _of_setup_cfg), ("setup.py", _of_setup_py)):
        if lines := read(root):
            pairs = (line.partition("=") for line in lines if "=" in line)
            return _GROUP, file, {name.strip(): value.strip() for name, _, value in pairs}
    return "[project.scripts]", PYPROJECT if pyproject else "", {}


def _of_setup_cfg(root: Path) -> list[str]:
    return setup_cfg(root).get("options.entry_points", _GROUP, fallback="").splitlines()


def _of_setup_py(root: Path) -> list[str]:
    """The texts beside the word, wherever they are: in a call, or in a variable for it, or in lines
    as of setup.cfg. One that is put together counts if it can be told."""
    tree = setup_py(root, _GROUP)
    texts = SetupTexts(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                table = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
                if _GROUP in table:
                    return [*texts.texts(table[_GROUP]), *texts.texts(table.get("gui_scripts"))]
            case ast.keyword(arg="console_scripts", value=value):
                return texts.texts(value)
            case ast.keyword(arg="entry_points", value=value) if text := texts.text(value):
                return _of_lines(text)
    return []


def _of_lines(text: str) -> list[str]:
    """The lines of the section, without what makes the text a part of a file of Python."""
    section = re.search(rf"^\s*\[{_GROUP}\]\s*$(.*?)(?=^\s*\[|\Z)", text, re.M | re.S)
    return section[1].splitlines() if section else []
