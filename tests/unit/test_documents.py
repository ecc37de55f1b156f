"""What documents promise about themselves: links lead somewhere, decisions have their form."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "findings/README.md"]
)
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))

_FENCE = re.compile(r"^```.*?^```", re.M | re.S)
_HEADING = re.compile(r"^(#+) (.+)$", re.M)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_RECORD = re.compile(r"# (\d{4}): (.+)\n\n- Status: (.+?)\n- Date: (\d{4}-\d\d-\d\d)\n\n", re.S)
_STATUS = re.compile(r"Accepted|(Amended|Superseded) by \d{4}(, \d{4})*")


def prose(document: Path) -> str:
    """The text without blocks of code."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """What a git host makes of the headings."""
    headings = [heading for _, heading in _HEADING.findall(prose(document))]
    kept = [re.sub(r"[^\w\- ]", "", heading.replace("`", "")).lower() for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


def dead_links(document: Path) -> Iterator[str]:
    """Links to files and headings that are not there; what is elsewhere on the net is not asked."""
    code = re.compile(r"`[^`\n]*`")
    for link in _LINK.findall(code.sub("", prose(document))):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def dead_paths(document: Path) -> Iterator[str]:
    """Files named from the root or from a room of `iac_wrapper` that are not there."""
    code = ROOT / "iac_wrapper"
    rooms = {path.name: base for base in (code, ROOT) for path in base.iterdir() if path.is_dir()}
    for path in re.findall(r"`([a-z_]\w*/[\w./-]*\.(?:py|yaml|json|md))`", prose(document)):
        base = rooms.get(path.split("/")[0])
        if base and not (base / path).exists() and not (ROOT / path).exists():
            yield path


def texts(*packages: str) -> Iterator[str]:
    """Every text in the code, with ``…`` for what an f-string fills in."""
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                    yield "".join(map(str, parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def record(path: Path) -> tuple[str, ...]:
    """Number, title, first sentence of the status, the others, and date of a decision."""
    found = _RECORD.match(path.read_text(encoding="utf-8"))
    assert found, f"{path.name} does not begin with its title, status and date"
    number, title, status, date = found.groups()
    plain = re.sub(r"\[(\d{4})\]\([^)]*\)", r"\1", " ".join(status.split()))
    first, _, others = re.sub(r" \([^)]*\)", "", plain).partition(".")
    return number, title, first, others, date


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Files and headings that documents name exist."""
    assert not list(dead_links(document))


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    """A missing file, a missing heading of this file and of another one."""
    (tmp_path / "b.md").write_text("# One `iac` way, and more\n")
    page = tmp_path / "a.md"
    page.write_text(
        "# A\n[x](c.md) [y](#b) [z](b.md#two) [ok](b.md#one-iac-way-and-more) [a](#a)"
        " `[code](no.md)` [net](https://example.org/no)\n```\n[code](no.md)\n```\n"
    )
    assert list(dead_links(page)) == ["c.md", "#b", "b.md#two"]


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/glossary.md"])
def test_named_files_are_there(name: str) -> None:
    """A map that names a file which has moved leads a reader astray."""
    found = [path for path in dead_paths(ROOT / name) if "NAME" not in path]
    assert found == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_the_common_form(path: Path) -> None:
    """Title, status and date, then context, decision and consequences and no other section."""
    number, _, status, _, _ = record(path)
    assert path.name.startswith(f"{number}-")
    assert _STATUS.fullmatch(status), status
    headings = [heading for level, heading in _HEADING.findall(prose(path)) if level == "##"]
    assert headings == ["Context", "Decision", "Consequences"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_what_amends_a_decision_says_so(path: Path) -> None:
    """Both records name each other."""
    number, _, status, _, _ = record(path)
    for later in re.findall(r"\d{4}", status):
        says = record(next(DECISIONS.glob(f"{later}-*.md")))[3]
        assert re.search(rf"(Amends|Supersedes)[^.]* {number}\b", says), later


def test_every_decision_is_in_the_index() -> None:
    """With its title, date and status, in order."""
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \| (.+) \| (.+) \|$", index, re.M)
    expected = [
        (number, path.name, title, date, status)
        for path in RECORDS
        for number, title, status, _, date in [record(path)]
    ]
    assert rows == expected


def test_troubleshooting_shows_what_is_printed() -> None:
    """Its messages are those of the code, word by word."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = "\n".join(re.findall(r"^```text\n(.+?)^```$", page, re.M | re.S)).split("\n")
    said = "\n".join(texts("iac_wrapper", "admin", "runner"))
    assert [line for line in messages if line and line not in said] == []
