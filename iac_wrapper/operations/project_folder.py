"""`iac init`: the files that make a folder a project."""

from __future__ import annotations

import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.files.atomic import write_text
from iac_wrapper.model import repos_schema
from iac_wrapper.settings import Settings

_TEMPLATES = Path(__file__).with_name("templates")

_PRIVATE = ("secrets", ".env", ".iac")
"""What must not be committed: keys, secret values, Terraform's state."""

_WHY = {
    "main.py": "`iac deploy` runs it as the cdktf app",
    "cdktf.json": 'for the cdktf CLI its "app" is to be `iac synth`',
    "repos.yaml": "`iac deploy` reads it",
    "repos.schema.json": "`iac schema` prints that of this version",
}
"""What a file that was there is used for all the same."""


def init(folder: Path) -> Iterator[str]:
    """Write the files that `folder` lacks; a sentence for each file.

    A file that is there is kept, whatever is in it.
    """
    for name, text in _files(folder).items():
        path = folder / name
        if path.exists() or path.is_symlink():
            yield f"kept   {name}{_remark(path)}"
        else:
            write_text(path, text, mode=0o644)
            yield f"wrote  {name}"


def project_name(folder: Path) -> str:
    """A name for the project in `folder`, like the folder's own."""
    return settings.project_like(folder.name)


def env_example(project: str) -> str:
    """``.env.example``: every setting with its meaning and default, and the name of the project."""
    parts = [_HEAD]
    for name, setting in Settings.by_name.items():
        text = textwrap.fill(
            setting.help,
            100,
            initial_indent="# ",
            subsequent_indent="# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        value = project if name == "IAC_PROJECT" else setting.default
        parts.append(f"{text}\n{name}={value}\n")
    return "\n".join([*parts, _TAIL])


def _files(folder: Path) -> dict[str, str]:
    main = (_TEMPLATES / "main.py.txt").read_text(encoding="utf-8")
    cdktf = (_TEMPLATES / "cdktf.json").read_text(encoding="utf-8")
    return {
        "repos.yaml": (_TEMPLATES / "repos.yaml").read_text(encoding="utf-8"),
        "main.py": main,
        "cdktf.json": cdktf.replace("@PROJECT_ID@", str(uuid.uuid4())),
        ".env.example": env_example(project_name(folder)),
        "repos.schema.json": repos_schema.dump(),
        ".gitignore": (_TEMPLATES / "gitignore").read_text(encoding="utf-8"),
    }


def _remark(path: Path) -> str:
    if path.name != ".gitignore" or not path.is_file():
        return f": {_WHY[path.name]}" if path.name in _WHY else ""
    lines = {line.strip().strip("/") for line in path.read_text(errors="replace").splitlines()}
    missing = [f"/{name}" for name in _PRIVATE if name not in lines]
    return f": add {' '.join(missing)}, which must not be committed" if missing else ""


_HEAD = """\
# Settings of KarstKit. Copy to .env; the process environment wins over this file.
# An empty value means the default that the comment names. `set -a; . ./.env` gives a plain
# `cdktf synth` or `cdktf deploy` everything it needs.
"""

_TAIL = """\
# For the cdktf CLI: the executable that stands for Terraform (it knows the provider that was
# chosen), and no version checks against a server.
TERRAFORM_BINARY_NAME="${PWD}/.iac/bin/terraform"
CHECKPOINT_DISABLE=1
"""
