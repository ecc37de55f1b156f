"""Web applications behind the server that the requirements name, and Django."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.files import repos_file
from iac_wrapper.operations.recorded_entries import written_entrypoint
from iac_wrapper.program import detection
from tests.unit.program.detection.test_detection import FACTORY, FLASK, GUARDED, detect, tree

RUNS = FLASK + "if __name__ == '__main__':\n    app.run(port=8000)\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
WORKS = "import shop\nif __name__ == '__main__':\n    shop.sync()\n"
TALKS = FASTAPI + "if __name__ == '__main__':\n    print('run: uvicorn web:app')\n"
MAKES = FACTORY + "if __name__ == '__main__':\n    desk = create_app()\n    # desk.run()\n"
MAKES_TABLES = FLASK + """from tables import db
if __name__ == '__main__':
    init_logs()
    with app.app_context():
        db.create_all()
"""
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\n" + GUARDED
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
DJANGO = {"manage.py": MANAGE, "site/wsgi.py": WSGI, "site/asgi.py": WSGI.replace("w", "a")}
CALLS_FACTORY = "from shop import create_app\napp = create_app()\n"
WAITRESS = "waitress --listen=127.0.0.1:$PORT wsgi:app"
BIND = " --bind 127.0.0.1:$PORT"
UVICORN = " --host 127.0.0.1 --port $PORT"


@pytest.mark.parametrize(
    ("files", "requirements", "display"),
    [
        ({"app.py": RUNS, "hello.py": GUARDED}, "gunicorn", "gunicorn app:app" + BIND),
        ({"web.py": TALKS}, "uvicorn", "uvicorn web:app" + UVICORN),
        ({"main.py": TALKS}, "uvicorn", "uvicorn main:app" + UVICORN),
        ({"app.py": MAKES}, "flask", "gunicorn app:create_app()" + BIND),
        ({"app.py": MAKES_TABLES}, "flask", "gunicorn app:app" + BIND),
        ({"app/main.py": FASTAPI, "a.py": GUARDED}, "uvicorn", "uvicorn app.main:app" + UVICORN),
        ({"shop/__init__.py": FACTORY}, "gunicorn", "gunicorn shop:create_app()" + BIND),
        (
            {"shop/__init__.py": FACTORY, "wsgi.py": CALLS_FACTORY},
            "gunicorn\nflask",
            "gunicorn wsgi:app" + BIND,
        ),
        ({"app.py": RUNS, "wsgi.py": "from app import app"}, "waitress", WAITRESS),
        ({"a.py": "def app(environ, start_response): ..."}, "gunicorn", "gunicorn a:app" + BIND),
        ({"a.py": "async def go(scope, receive, send): ..."}, "uvicorn", "uvicorn a:go" + UVICORN),
        ({"src/shop/web.py": FASTAPI}, "hypercorn", "hypercorn shop.web:app" + BIND),
        ({"web.py": FASTAPI}, "daphne", "daphne web:app --bind 127.0.0.1 --port $PORT"),
        ({"web.py": FASTAPI}, "granian", "granian web:app --interface asgi" + UVICORN),
        ({**DJANGO, "hello.py": GUARDED}, "gunicorn", "gunicorn site.wsgi:application" + BIND),
        (DJANGO, "django\nuvicorn", "uvicorn site.asgi:application" + UVICORN),
        (
            DJANGO,
            "gunicorn\ndaphne\nchannels",
            "daphne site.asgi:application --bind 127.0.0.1 --port $PORT",
        ),
        ({**DJANGO, "hello.py": GUARDED}, "django", "gunicorn site.wsgi:application" + BIND),
    ],
)
def test_a_declared_server_serves_the_object(
    tmp_path: Path, files: dict[str, str], requirements: str, display: str
) -> None:
    """It comes before guards elsewhere, before the alphabet, and before the file's own guard."""
    found = detect(tree(tmp_path, {**files, "requirements.txt": requirements}))
    assert (found.display, found.run) == (display, "web")


def test_the_contract_comes_first(tmp_path: Path) -> None:
    """A root main.py with a real guard runs, and the object beside it is named for later."""
    files = {"main.py": WORKS, "web.py": FASTAPI, "requirements.txt": "uvicorn"}
    found = detect(tree(tmp_path, files))
    assert (found.display, found.run, found.web_object) == ("main.py", None, "web:app")
    assert f"web.py: comes after {found.display}" in found.rejected
    served = detect(tmp_path, entrypoint=str(found.web_object))
    assert served.display == "uvicorn web:app" + UVICORN


def test_a_program_that_serves_names_no_other_object(tmp_path: Path) -> None:
    """main.py runs its own server: there is nothing to point out."""
    found = detect(tree(tmp_path, {"main.py": RUNS, "web.py": FASTAPI}))
    assert (found.display, found.run, found.web_object) == ("main.py", "web", None)


def test_a_django_project_in_a_folder_is_one_of_its_own(tmp_path: Path) -> None:
    """Its imports start from there: it is started there, with what the root requires."""
    files = {f"backend/{name}": text for name, text in DJANGO.items()}
    found = detection.detect(tree(tmp_path, {**files, "requirements.txt": "gunicorn"}))
    assert found.folder == ""
    assert found.entrypoint.display == "gunicorn site.wsgi:application" + BIND
    assert found.entrypoint.variables == (("PYTHONPATH", "/app/backend"),)
    assert "the program of backend/ is started there, with what the root requires" in found.notes
    assert detect(tmp_path / "backend").display == "gunicorn site.wsgi:application" + BIND


def test_importing_must_not_serve(tmp_path: Path) -> None:
    """A file whose import starts its own server cannot be given to another."""
    files = {"app.py": FLASK + "app.run()\n", "requirements.txt": "gunicorn"}
    assert detect(tree(tmp_path, files)).display == "app.py"


def test_django_is_never_served_by_its_development_server(tmp_path: Path) -> None:
    """A server is supplied and said; manage.py can be asked for, too."""
    found = detection.detect(tree(tmp_path, DJANGO))
    (note,) = found.notes
    supplied = (
        "gunicorn is supplied to serve site.wsgi:application: the requirements name no server"
    )
    assert (note, found.entrypoint.supplied) == (supplied, "gunicorn")
    (tmp_path / "main.py").write_text(WORKS)
    contract = detect(tmp_path)
    assert (contract.display, contract.web_object) == ("main.py", "manage.py")
    asked = detect(tmp_path, entrypoint="manage.py")
    assert asked.display == found.entrypoint.display
    assert detect(tmp_path, entrypoint=str(written_entrypoint(asked))) == asked


@pytest.mark.parametrize(
    ("files", "requirements", "listed"),
    [
        ({"one.py": FASTAPI, "two.py": FASTAPI}, "uvicorn", "one:app, two:app"),
        ({"a.py": FASTAPI.replace("app =", "x = y =")}, "uvicorn", "a:x, a:y"),
        ({"hello.py": GUARDED, "job.py": GUARDED}, "", "hello.py, job.py"),
        ({"one/__main__.py": GUARDED, "two/__main__.py": GUARDED}, "", "one, two"),
        ({"src/a/__main__.py": GUARDED, "src/b/__main__.py": GUARDED}, "", "a, b"),
    ],
)
def test_equal_candidates_are_a_question(
    tmp_path: Path, files: dict[str, str], requirements: str, listed: str
) -> None:
    """The first of the alphabet is never taken: the error lists them, and each entry works."""
    root = tree(tmp_path, {**files, "requirements.txt": requirements, "tests/x.py": GUARDED})
    with pytest.raises(EntrypointError, match="several programs could be meant") as caught:
        detect(root, where="repos.yaml:2", slug="./amb")
    assert caught.value.found == listed
    assert caught.value.where == "repos.yaml:2"
    first, *choices = str(caught.value.detail).splitlines()
    assert len(choices) == listed.count(",") + 1
    assert [choice.startswith("  # ") for choice in choices] == [False] + [True] * len(choices[1:])
    for choice in choices:
        text = f"{first}\n{choice.replace('  # ', '  ', 1)}\n"
        (tmp_path / "as-shown.yaml").write_text(text)
        (spec,) = repos_file.load_entries(tmp_path / "as-shown.yaml")
        assert spec.slug.text == "./amb"
        assert detect(root, entrypoint=str(spec.entrypoint)).reason == "entrypoint: in repos.yaml"
    (root / "Procfile").write_text("web: python -m http.server $PORT\n")
    assert detect(root).target == "http.server"


def test_an_object_by_name(tmp_path: Path) -> None:
    """`entrypoint: module:object` serves the object, by a supplied server if none is named."""
    files = {"web.py": "from kit import build\napp = build()\n", "tool.py": "def run(): ...\n"}
    root = tree(tmp_path, {**files, "requirements.txt": "gunicorn"})
    assert detect(root, entrypoint="web:app").display == "gunicorn web:app" + BIND
    assert detect(root, entrypoint="web.py:app").display == "gunicorn web:app" + BIND
    assert detect(root, entrypoint="tool:run").display == "tool:run"
    (root / "requirements.txt").write_text("")
    assert detect(root, entrypoint="web:app").supplied == "gunicorn"
