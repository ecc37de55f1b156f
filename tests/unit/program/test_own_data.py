"""What is said of a program's data before it runs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.options import Options
from iac_wrapper.model.slug import Slug
from iac_wrapper.program import own_data
from iac_wrapper.program.detection import detect
from tests.support.kinds import write_files

WEB = "from fastapi import FastAPI\nfrom stock import db\n\napp = FastAPI()\n"
SPEC = AppSpec("web", Slug("./x", "path", "./x"))
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"


def said(root: Path, files: dict[str, str], spec: AppSpec = SPEC) -> list[str]:
    """The sentences on a repository with these files."""
    write_files(root, files)
    found = detect(root)
    return [*own_data.notes(found.project, found.entrypoint, spec)]


def web(database: str, **more: str) -> dict[str, str]:
    return {
        "web.py": WEB,
        "requirements.txt": "fastapi\n",
        "stock/__init__.py": "",
        "stock/db.py": database,
        **more,
    }


@pytest.mark.parametrize(
    ("line", "path", "step"),
    [
        ("URL = 'sqlite:///./stock.db'", "stock.db", "such as `volumes: {data: /app/data}`"),
        ("URL = 'sqlite+aiosqlite:///kept/stock.db'", "kept/stock.db", "{kept: /app/kept}"),
        (
            "URL = os.getenv('STOCK_URL', 'sqlite:///stock.db')",
            "stock.db",
            "`env: {STOCK_URL: sqlite:////app/data/stock.db}` and `volumes: {data: /app/data}`",
        ),
        ("import sqlite3 as s\nconnection = s.connect('stock.db')", "stock.db", "/app/data"),
        ("STOCK_DB = 'stock.sqlite'\nbase = SqliteDatabase(STOCK_DB)", "stock.sqlite", "/app/data"),
        (
            "URL = 'sqlite:///' + os.path.join(HERE, 'stock.db')",
            "stock/stock.db",
            "{stock: /app/stock}",
        ),
    ],
)
def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, line: str, path: str, step: str
) -> None:
    """Its first page may well be good: nobody would see it before the first entry."""
    (note,) = said(tmp_path, web(line))
    assert note.startswith(
        f"stock/db.py names the SQLite file {path}, which lies where nothing can"
    )
    assert step in note


@pytest.mark.parametrize(
    "line",
    [
        "URL = 'sqlite://'",
        "URL = 'sqlite:///:memory:'",
        "URL = 'sqlite:////data/stock.db'",
        "connection = sqlite3.connect('/tmp/stock.db')",
        "URL = 'postgresql://db/stock'",
    ],
)
def test_what_can_be_written_is_not(tmp_path: Path, line: str) -> None:
    assert said(tmp_path, web(line)) == []


def test_a_file_that_nothing_imports_is_not(tmp_path: Path) -> None:
    """As of a test, or of another program of the repository."""
    other = {"tests/try.py": "URL = 'sqlite:///./try.db'\n"}
    assert said(tmp_path, {**web("URL = ''"), **other}) == []


def test_an_entry_that_provides_for_it_is_enough(tmp_path: Path) -> None:
    """A folder around it, or the variable."""
    around = replace(SPEC, options=Options(volumes={"kept": "/app/kept"}))
    assert said(tmp_path, web("URL = 'sqlite:///kept/stock.db'"), around) == []
    line = "URL = os.environ.get('STOCK_URL', 'sqlite:///stock.db')"
    assert said(tmp_path, web(line), replace(SPEC, env={"STOCK_URL": "x"})) == []


def test_its_own_dockerfile_is_a_way_out(tmp_path: Path) -> None:
    files = web("URL = 'sqlite:///./stock.db'", Dockerfile="FROM python:3.11-slim\nCOPY . .\n")
    assert "`build: dockerfile` and `writable: true`" in said(tmp_path, files)[0]


@pytest.mark.parametrize(
    ("file", "text", "command"),
    [
        (
            "Dockerfile",
            'CMD ["sh", "-c", "alembic upgrade head && uvicorn web:app"]\n',
            "alembic upgrade head",
        ),
        (
            "start.sh",
            "uv run alembic -c stock/a.ini upgrade head\n",
            "alembic -c stock/a.ini upgrade head",
        ),
        ("docker/run.sh", "poetry run flask db upgrade\n", "flask db upgrade"),
        ("entry.sh", "python3 ./manage.py migrate --noinput\n", "python ./manage.py migrate"),
    ],
)
def test_migrations_that_only_an_image_runs_are_named(
    tmp_path: Path, file: str, text: str, command: str
) -> None:
    """Unless `release:` says what to run."""
    files = {**web("URL = ''"), file: text}
    (note,) = said(tmp_path, files)
    assert note.startswith(f"{file} runs `{command}`, which is not run here: `release: {command}`")
    assert said(tmp_path, {}, replace(SPEC, options=Options(release="x"))) == []


def test_django_keeps_its_data_beside_manage_py(tmp_path: Path) -> None:
    """And has its own migrations."""
    settings = (
        "from pathlib import Path\nBASE = Path(__file__).parent\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3',\n"
        "    'NAME': BASE / 'shop.sqlite3'}}\nWSGI_APPLICATION = 'shop.wsgi.application'\n"
    )
    files = {
        "manage.py": MANAGE,
        "requirements.txt": "django\n",
        "shop/__init__.py": "",
        "shop/settings.py": settings,
        "shop/wsgi.py": "application = get_wsgi_application()\n",
    }
    file, migrations = said(tmp_path, files)
    assert file.startswith("shop/settings.py names the SQLite file shop.sqlite3")
    assert "`release: python manage.py migrate` in its entry" in migrations


def test_a_long_text_is_read_at_once(tmp_path: Path) -> None:
    """Whatever lies in a file of a repository: no word of it is looked at over and over."""
    texts = ("Sqlite" * 10_000, "DB" * 30_000, "sqlite\n" + "\n" * 50_000, "-a b " * 12_000)
    begin = time.monotonic()
    for number, text in enumerate(texts):
        said(
            tmp_path / str(number), web(f'TEXT = """\n{text}\n"""', **{"run.sh": f"alembic {text}"})
        )
    assert time.monotonic() - begin < 10
