"""Commands that installing the project would make: name -> ``module:function``. Read, never run."""

from __future__ import annotations

import ast
from pathlib import Path

from iac_wrapper.program.python_project import PYPROJECT, read_pyproject, table
from iac_wrapper.program.setup_files import setup_cfg, setup_py

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
    """The literal lists beside the word, wherever they are: in a call, or in a variable for it."""
    for node in ast.walk(setup_py(root)):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == _GROUP:
                    words = ast.walk(value)
                    texts = [w.value for w in words if isinstance(w, ast.Constant)]
                    return [text for text in texts if isinstance(text, str)]
    return []
