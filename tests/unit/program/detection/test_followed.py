"""Applications that another function or file of the checkout makes, and what serves them."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from tests.unit.program.detection.test_detection import FACTORY, FLASK, detect, tree

BIND = " --bind 127.0.0.1:$PORT"
UVICORN = " --host 127.0.0.1 --port $PORT"
FASTAPI = "from fastapi import FastAPI\napi_app = FastAPI()\n"
BUILDS = "from fastapi import FastAPI\ndef build():\n    made = FastAPI()\n    return made\n"
SAYS = "import fastapi\ndef get_thing() -> fastapi.FastAPI:\n    return load()\n"
CLASS = "from flask import Flask\nclass Board(Flask):\n    pass\n"
METHOD = (
    "from flask import Flask\nclass Kit:\n"
    "    def build(self):\n        app = Flask('x')\n        return app\n"
)
MAKES_MORE = """from flask import Flask
def make_plain_app():
    return Flask('x')
def make_whole_app():
    app = make_plain_app()
    return app
def create_test_app():
    return make_whole_app()
"""
WRAPPED = (
    "from flask import Flask\nfrom werkzeug.middleware.proxy_fix import ProxyFix\n"
    "def make():\n    return ProxyFix(Flask('x'))\napp = make()\n"
)


@pytest.mark.parametrize(
    ("files", "display"),
    [
        ({"main.py": "from kit.core import build\napp = build()\n", "kit/core.py": BUILDS}, "main"),
        ({"main.py": BUILDS + "application = build()\n"}, "main"),
        ({"main.py": "from kit import get_thing\napp = get_thing()\n", "kit.py": SAYS}, "main"),
        ({"main.py": "import kit\napp = kit.get_thing()\n", "kit.py": SAYS}, "main"),
        ({"main.py": "from board.web import api_app as app\n", "board/web.py": FASTAPI}, "main"),
        ({"main.py": "from board import web\napp = web.api_app\n", "board/web.py": FASTAPI}, "main"),
        ({"src/shop/main.py": "from .app import build\napp = build()\n", "src/shop/app.py": BUILDS}, "shop.main"),
        ({"main.py": "from kit import build\napp = build()\n", "kit/__init__.py": "from .core import build\n", "kit/core.py": BUILDS}, "main"),
    ],
)  # fmt: skip
def test_an_asgi_object_is_followed(tmp_path: Path, files: dict[str, str], display: str) -> None:
    """To the call that makes it, through functions, annotations and files."""
    found = detect(tree(tmp_path, {**files, "requirements.txt": "fastapi"}))
    name = "application" if "application =" in files.get("main.py", "") else "app"
    assert found.display == f"uvicorn {display}:{name}" + UVICORN
    assert found.supplied == "uvicorn"


@pytest.mark.parametrize(
    ("files", "display"),
    [
        ({"board/__init__.py": FACTORY, "main.py": "from board import create_app\napp = create_app()\n"}, "main:app"),
        ({"main.py": "from kit import Board\napp = Board('x')\n", "kit.py": CLASS}, "main:app"),
        ({"main.py": "from kit import Kit\napp = Kit().build()\n", "kit.py": METHOD}, "main:app"),
        ({"main.py": WRAPPED}, "main:app"),
        ({"shop/web.py": MAKES_MORE}, "shop.web:make_whole_app()"),
        ({"main.py": FLASK + "app = ProxyFix(app)\n"}, "main:app"),
        ({"shop/web.py": METHOD.replace("class Kit", "class K") + "def get_app():\n    return K().build()\n"}, "shop.web:get_app()"),
    ],
)  # fmt: skip
def test_a_wsgi_object_is_followed(tmp_path: Path, files: dict[str, str], display: str) -> None:
    """Also through methods, classes of its own and wrappers; a factory is called."""
    found = detect(tree(tmp_path, {**files, "requirements.txt": "flask"}))
    assert (found.display, found.supplied) == (f"gunicorn {display}" + BIND, "gunicorn")


@pytest.mark.parametrize(
    "main",
    [
        "from flask_restful import Api\nfrom kit import thing\napi = Api(thing)\n",
        "from kit import build\napp = build()\n",
        "def create_thing():\n    return create_thing()\napp = create_thing()\n",
    ],
)
def test_what_makes_no_application_is_none(tmp_path: Path, main: str) -> None:
    """Helpers around one, unknown functions and circles are not served."""
    files = {
        "main.py": main,
        "kit.py": "from main import app as thing\ndef build():\n    return 1\n",
    }
    with contextlib.suppress(EntrypointError):
        assert detect(tree(tmp_path, files)).supplied is None


def test_an_importer_is_served_in_place_of_what_it_imports(tmp_path: Path) -> None:
    """At the same place they are one object, not a question; other files import it to use it."""
    files = {"web.py": FASTAPI, "app.py": "from web import api_app as app\nimport routes\n"}
    files |= {"seed.py": "from web import api_app as app\n", "requirements.txt": "uvicorn"}
    assert detect(tree(tmp_path, files)).display == "uvicorn app:app" + UVICORN


def test_a_script_that_serves_comes_before_a_supplied_server(tmp_path: Path) -> None:
    """It is how its author runs it; a declared server is the author's word as well."""
    run = "from shop import app\nif __name__ == '__main__':\n    app.run(port=8000)\n"
    root = tree(tmp_path, {"shop/__init__.py": FLASK, "start.py": run, "requirements.txt": "flask"})
    assert detect(root).display == "start.py"
    (root / "requirements.txt").write_text("flask\ngunicorn\n")
    assert detect(root).display == "gunicorn shop:app" + BIND


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("from aiohttp import web\napp = web.Application()\n", "gunicorn web:app --worker-class aiohttp.GunicornWebWorker" + BIND),
        ("from aiohttp import web\nasync def create_app():\n    app = web.Application()\n    return app\n", "gunicorn web:create_app --worker-class aiohttp.GunicornWebWorker" + BIND),
        ("from sanic import Sanic\napp = Sanic('x')\n", "uvicorn web:app" + UVICORN),
        ("from fasthtml.common import *\napp, rt = fast_app()\n", "uvicorn web:app" + UVICORN),
        ("from quart import Quart\napp = Quart('x')\n", "uvicorn web:app" + UVICORN),
        ("from litestar import Litestar\napp = Litestar([])\n", "uvicorn web:app" + UVICORN),
        ("import bottle\napp = bottle.default_app()\n", "gunicorn web:app" + BIND),
        ("import dash\napp = dash.Dash()\nserver = app.server\n", "gunicorn web:server" + BIND),
    ],
)  # fmt: skip
def test_each_kind_gets_its_server(tmp_path: Path, text: str, display: str) -> None:
    """aiohttp's objects need a worker of its own."""
    assert detect(tree(tmp_path, {"web.py": text})).display == display


def test_sanic_serves_itself(tmp_path: Path) -> None:
    """Its package brings the server."""
    files = {"web.py": "from sanic import Sanic\napp = Sanic('x')\n", "requirements.txt": "sanic"}
    found = detect(tree(tmp_path, files))
    assert found.display == "sanic web:app --host 127.0.0.1 --port $PORT --single-process"
    assert found.supplied is None


PRINTS = "def main():\n    print('Hello from shop!')\n"
GUARD = "if __name__ == '__main__':\n    main()\n"
SCRIPT = '[project]\nname = "shop"\n[project.scripts]\nshop = "shop:main"\n'


@pytest.mark.parametrize(
    ("files", "loser"),
    [
        ({"pyproject.toml": SCRIPT, "src/shop/__init__.py": PRINTS}, "[project.scripts] shop"),
        ({"main.py": PRINTS + GUARD}, "main.py"),
        ({"__main__.py": "from shop import main\nmain()\n", "shop/__init__.py": PRINTS}, "__main__.py"),
        ({"main.py": "import asyncio, os\nasync def main():\n    name = os.getenv('N')\n    print(f'{name}')\nasyncio.run(main())\n"}, "main.py"),
    ],
)  # fmt: skip
def test_what_only_prints_loses_to_what_serves(
    tmp_path: Path, files: dict[str, str], loser: str
) -> None:
    """A greeting that a generator left behind; alone in its repository it is the program."""
    root = tree(tmp_path, files)
    alone = detect(root)
    assert alone.run is None
    tree(root, {"src/shop/api.py": FASTAPI, "requirements.txt": "fastapi"})
    found = detect(root)
    assert found.display == "uvicorn shop.api:api_app" + UVICORN
    assert f"{loser}: only prints and ends; shop.api:api_app serves" in found.rejected


@pytest.mark.parametrize(
    "main",
    [
        "import shop\nshop.sync()\n",
        "for row in open('x'):\n    print(row)\n",
        "import subprocess\nsubprocess.run(['x'])\n",
        "import requests\nprint(requests.post('http://x'))\n",
        "from shop.work import go\nprint(go())\n",
    ],
)
def test_what_may_work_keeps_its_place(tmp_path: Path, main: str) -> None:
    """Any call that is not known to be harmless may be the program's work."""
    files = {
        "main.py": main,
        "shop/api.py": FASTAPI,
        "shop/work.py": "def go():\n    return x.y()\n",
    }
    assert detect(tree(tmp_path, files)).display == "main.py"
