"""A script's own metadata: the ``# /// script`` comment block of PEP 723."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from iac_wrapper.errors import SourceError
from iac_wrapper.program import toml
from iac_wrapper.program.dependency_plan import Dependencies
from iac_wrapper.program.locks import uv
from iac_wrapper.program.python_project import inside, read_text, strings, table

# The regular expression of the specification ("Inline script metadata", packaging.python.org).
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


def inline_metadata(root: Path, script: str) -> dict[str, Any]:
    """The metadata of the Python file `script` of the checkout, empty if it has none.

    Raises:
        SourceError: the block is not TOML, or there are two.
    """
    blocks = _blocks(root, script)
    if not blocks:
        return {}
    lines = blocks[0]["content"].splitlines(keepends=True)
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    if len(blocks) > 1:
        raise _bad(script, f"{len(blocks)} blocks")
    try:
        return toml.loads(content)
    except (ValueError, RecursionError) as error:
        raise _bad(script, str(error)) from None


def inline_dependencies(root: Path, script: str) -> Dependencies | None:
    """What `script` wants installed by its own metadata; None if it has none.

    uv syncs it as it does for ``uv run``, with the script's lock and its ``[tool.uv]`` tables. The
    early layer has the block alone, so that it outlives a change of the code below.

    Raises:
        SourceError: bad metadata, or a lock that is not of it.
    """
    metadata = inline_metadata(root, script)
    if not metadata:
        return None
    lock = f"{script}.lock"
    locked = inside(root, lock) is not None
    reason = f"inline script metadata in {script}" + (f", by {lock}" if locked else "")
    if not strings(metadata.get("dependencies")):
        return Dependencies(reason)
    if locked:
        _check_lock(metadata, root, lock)
    name = Path(script).name
    sync = ("sync", "--active", *(("--frozen",) if locked else ()), "--script")
    if any("path" in str(one) for one in table(metadata, "tool", "uv", "sources").values()):
        return Dependencies(f"{reason}, with paths into the source", late=(*sync, script))
    written = {name: f"{_blocks(root, script)[0][0]}\n"}
    if locked:
        written[f"{name}.lock"] = read_text(root, lock) or ""
    return Dependencies(reason, early=(*sync, name), sources=(lock,), written=written)


def _check_lock(metadata: dict[str, Any], root: Path, lock: str) -> None:
    try:
        found = toml.loads(read_text(root, lock) or "")
    except tomllib.TOMLDecodeError as error:
        found, difference = {}, f"not TOML: {error}"
    else:
        difference = uv.stale_script(metadata, found)
    if difference:
        raise SourceError(
            f"{lock} is not up to date",
            where=lock,
            found=difference,
            expected="a lock of the metadata as it is",
            next_step=f"run `uv lock --script {lock.removesuffix('.lock')}` and commit {lock}",
        )


def _blocks(root: Path, script: str) -> list[re.Match[str]]:
    text = read_text(root, script) or ""
    return [match for match in _BLOCK.finditer(text) if match["type"] == "script"]


def _bad(script: str, found: str) -> SourceError:
    return SourceError(
        "bad inline script metadata",
        where=script,
        found=found,
        expected="one `# /// script` block of TOML, each line a comment",
        next_step="correct it in the repository",
    )
