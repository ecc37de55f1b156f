"""Writes what follows from the declared keys of repos.yaml; `--check` only says what is stale.

That is repos.schema.json, and the parts between markers of README.md and admin/openapi.yaml.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from iac_wrapper.model import repos_schema  # noqa: E402


def wanted() -> dict[Path, str]:
    """What each file should hold."""
    readme, api = ROOT / "README.md", ROOT / "admin" / "openapi.yaml"
    return {
        ROOT / "repos.schema.json": repos_schema.dump(),
        readme: _between("<!-- ", readme.read_text("utf-8"), repos_schema.readme_table()),
        api: _between("# ", api.read_text("utf-8"), repos_schema.api_properties()),
    }


def _between(comment: str, text: str, lines: str) -> str:
    """`text` with `lines` between its markers, indented as they are."""
    marked = re.compile(
        rf"^( *){comment}keys: begin.*?\n(.*?)^ *{comment}keys: end", re.MULTILINE | re.DOTALL
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
