"""The rules of detection as tables, for docs/entrypoints.md (`make schema`).

Order and words of the places stand here, and a test holds each row against what detection does; all
else is the data that detection itself works with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from iac_wrapper.program.detection import web_server


@dataclass(frozen=True)
class Place:
    """Where a program is looked for (Markdown), and what is run that is found there.

    `of` is the module that a place is of, if detection has it.
    """

    key: str
    where: str
    runs: str
    of: str = "candidates"


PLACES = (
    Place(
        "override",
        "`entrypoint:` in repos.yaml, `ENTRYPOINT` in the environment of the deploy, `LABEL"
        " ENTRYPOINT=` in the Dockerfile",
        "what it names: a module, a function or an object of one, a path, or a command line",
    ),
    Place(
        "procfile",
        "`Procfile`",
        "its `web:` line, else `worker:`, else the only one but `release:`",
    ),
    Place(
        "platform",
        "the start command in `render.yaml`, `railway.json`, `railway.toml`, `railpack.json`,"
        " `nixpacks.toml`, `app.yaml` or `fly.toml`",
        "it, as a Procfile's line",
    ),
    Place("root", "`__main__.py`, then `main.py` at the root", "the file"),
    Place(
        "scripts",
        "`[project.scripts]`, `[tool.poetry.scripts]`, or console scripts of `setup.cfg` or"
        " `setup.py`",
        "the first one's function",
    ),
    Place("package", "`{package}/__main__.py`", "the package"),
    Place("served", "a web application for which the requirements name a server", "that server"),
    Place(
        "framework",
        "a file that a [framework](#frameworks) has a tool for",
        "the tool",
        "frameworks",
    ),
    Place("app", "`app.py` at the root", "the file"),
    Place("src", "`src/{package}/__main__.py`", "the package"),
    Place("supplied", "any other web application", "a server that is supplied", "frameworks"),
    Place("last", "a file of Celery, Locust or Scrapy", "its tool", "frameworks"),
    Place("scan", "any other Python file with a `__main__` guard or a `main()`", "the file"),
    Place("binary", "an executable file `main` at the root", "`/app/main`"),
)
"""In the order in which they are looked at; the first that has a program wins."""


def places() -> list[Place]:
    """Those of the modules that are there."""
    return [place for place in PLACES if place.of == "candidates" or _data(place.of, "FRAMEWORKS")]


def _places() -> str:
    rows = [(str(number), p.where, p.runs) for number, p in enumerate(places(), start=1)]
    return _table(("", "looked for", "run"), rows)


def _frameworks() -> str:
    rows = [
        (
            framework.name,
            framework.mark_words,
            _code(" ".join(framework.command)) or framework.serves or "itself",
            ", ".join(_code("=".join(variable)) for variable in framework.variables),
            framework.run,
        )
        for framework in _data("frameworks", "FRAMEWORKS")
    ]
    return _table(("framework", "its program", "run by", "variables", "purpose"), rows)


def _names() -> str:
    """What else decides: names of files and folders, and of servers."""
    rows = [
        ("servers of WSGI applications, the first that is required", web_server.WSGI_SERVERS),
        ("servers of ASGI applications", web_server.ASGI_SERVERS),
        ("names of a program, best first", _data("ranking", "STEMS")),
        ("folders that hold no programs", sorted(_data("python_files", "_NOT_PROGRAMS"))),
        ("files that are no programs", sorted(_data("python_files", "_NOT_ENTRYPOINTS"))),
        *_languages(),
    ]
    cells = [(what, ", ".join(map(_code, names))) for what, names in rows if names]
    return _table(("what", "names"), cells)


def _languages() -> Iterable[tuple[str, Collection[str]]]:
    """Files of other languages, none of which is run; with a hint what would be."""
    languages: Mapping[str, str] = _data("markers", "_LANGUAGES") or {}
    for language in dict.fromkeys(languages.values()):
        files = [file for file, of in languages.items() if of == language]
        yield f"files of {language}: refused, with what would work", files


TABLES: Mapping[str, Callable[[], str]] = {
    "places": _places,
    "frameworks": _frameworks,
    "names": _names,
}
"""The tables by the names of their markers in docs/entrypoints.md."""


def _data(module: str, name: str) -> Any:
    try:
        return getattr(import_module(f"iac_wrapper.program.detection.{module}"), name, ())
    except ModuleNotFoundError:
        return ()


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    if len(lines) == 2:
        return ""
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
