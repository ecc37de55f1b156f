"""Writes what follows from the code into documents; `--check` only says what is stale.

From the declared keys of repos.yaml that is repos.schema.json, and the parts between markers of
README.md and admin/openapi.yaml; from the rules of detection the tables of docs/entrypoints.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from iac_wrapper.model import repos_schema  # noqa: E402
from iac_wrapper.program.detection import documented  # noqa: E402


def wanted() -> dict[Path, str]:
    """What each file should hold."""
    readme, api = ROOT / "README.md", ROOT / "admin" / "openapi.yaml"
    detection = ROOT / "docs" / "entrypoints.md"
    tables = detection.read_text("utf-8")
    for name, table in documented.TABLES.items():
        tables = _between("<!-- ", name, tables, table().rstrip("\n"))
    return {
        ROOT / "repos.schema.json": repos_schema.dump(),
        readme: _between("<!-- ", "keys", readme.read_text("utf-8"), repos_schema.readme_table()),
        api: _between("# ", "keys", api.read_text("utf-8"), repos_schema.api_properties()),
        detection: tables,
    }


def _between(comment: str, name: str, text: str, lines: str) -> str:
    """`text` with `lines` between the markers `name`, indented as they are."""
    marked = re.compile(
        rf"^( *){comment}{name}: begin.*?\n(.*?)^ *{comment}{name}: end", re.MULTILINE | re.DOTALL
    )
    (match,) = marked.finditer(text)
    return text[: match.start(2)] + indent(lines, match[1]) + "\n" + text[match.end(2) :]


def main(arguments: list[str]) -> int:
    """Write, or check: 1 if a file is stale."""
    stale = {
        path: text
        for path, text in wanted().items()
        if not path.exists() or path.read_text("utf-8") != text
    }
    for path, text in stale.items():
        print(f"{path.relative_to(ROOT)} is stale" if arguments else f"· {path.relative_to(ROOT)}")
        if not arguments:
            path.write_text(text, "utf-8")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
