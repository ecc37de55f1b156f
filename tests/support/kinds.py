"""Small programs of every kind that people publish, each written to be deployed unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.support import locks, own_venv, web_projects
from tests.support.git_server import GitServer, Repository
from tests.support.machine import base_image

Files = Mapping[str, str | bytes]

_BUILD = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
_ONE = 'version = "1"\ndescription = "x"\nrequires-python = ">=3.11"\n'

_IDNA = "from importlib.metadata import version\nTEXT = f'idna {version(\"idna\")}'\n"
"""What answers with the version that was installed."""

_SERVE = (
    "from wsgiref.simple_server import make_server\n"
    "def app(environ, start_response):\n"
    "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
    "    return [TEXT.encode()]\n"
    "if __name__ == '__main__':\n"
    "    make_server('', 50051, app).serve_forever()\n"
)
"""Needs nothing to serve, and answers with `TEXT`."""

_APP = (
    "def app(environ, start_response):\n"
    "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
    "    return [b'served']\n"
)
_TAGGED = """\
[build-system]
requires = ["setuptools", "setuptools-scm>=8"]
build-backend = "setuptools.build_meta"
[project]
name = "shop.web"
dynamic = ["version"]
[tool.setuptools]
py-modules = ["web"]
[tool.setuptools_scm]
"""
_GUNICORN = "gunicorn web:app --bind 127.0.0.1:${PORT:-5000}"
_COMMON: Files = {
    "web.py": _APP,
    "cron_task.py": "if __name__ == '__main__':\n    print('tick')\n",
    "base.txt": "gunicorn==23.0.0\r\n".encode("utf-16"),
    "requirements.txt": "-r base.txt\r\n".encode("utf-16"),
}
_WORDS: Files = {
    **_COMMON,
    "Procfile": f"release: python cron_task.py\nweb: {_GUNICORN}\n",
}
_SHELL: Files = {
    **_COMMON,
    "Procfile": f"web: python cron_task.py && {_GUNICORN}\n",
    "base.txt": "gunicorn==20.1.0\n",
    "pyproject.toml": _TAGGED,
}
"""Started by a shell; a version from a tag, and a gunicorn from before setuptools lost
pkg_resources."""

LOCKED: dict[str, Files] = {
    "pdm": {"pyproject.toml": locks.PDM_PROJECT, "pdm.lock": locks.PDM},
    "pipenv": {"Pipfile": locks.PIPFILE, "Pipfile.lock": locks.PIPENV},
    "pylock": {
        "pyproject.toml": f'{_BUILD}[project]\nname = "board"\n{_ONE}',
        "board.py": "",
        "pylock.toml": locks.PYLOCK,
    },
}
_WORKSPACE: Files = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["libs/core", "libs/other", "member"]\n',
    "member/main.py": f"import core\n{_IDNA}{_SERVE}",
    "member/pyproject.toml": f'[project]\nname = "member"\n{_ONE}dependencies = ["core"]\n'
    "[tool.uv.sources]\ncore = { workspace = true }\n",
    "libs/core/core.py": "",
    "libs/core/pyproject.toml": f'{_BUILD}[project]\nname = "core"\n{_ONE}'
    'dependencies = ["idna==3.6"]\n',
    "libs/other/pyproject.toml": f'{_BUILD}[project]\nname = "other"\n{_ONE}',
}

_SRC_LAYOUT: Files = {
    "pyproject.toml": f'{_BUILD}[project]\nname = "shop"\n{_ONE}dependencies = ["fastapi"]\n'
    '[project.scripts]\nshop = "shop:main"\n',
    "src/shop/__init__.py": "def main() -> None:\n    print('Hello from shop!')\n",
    "src/shop/api.py": web_projects.FASTAPI_APP,
}
"""As `uv init --package` makes it: its script only prints."""

_POETRY: Files = {
    "pyproject.toml": '[tool.poetry]\nname = "notes"\nversion = "0.1.0"\npackage-mode = false\n'
    '[tool.poetry.dependencies]\npython = "^3.11"\nflask = "3.1.0"\n',
    "poetry.lock": locks.FLASK_OF_POETRY.read_bytes(),
    "notes/__init__.py": "from flask import Flask\n\n\ndef create_app():\n"
    "    app = Flask(__name__)\n    app.get('/')(lambda: 'notes')\n    return app\n",
    "notes/web.py": "from notes import create_app\n\napp = create_app()\n",
}

_DJANGO: Files = {
    **web_projects.DJANGO_WITH_STATIC_FILES,
    "requirements.txt": web_projects.DJANGO + web_projects.GUNICORN,
    "Procfile": "web: gunicorn site1.wsgi\n",
}

_STREAMLIT: Files = {
    "board.py": 'import streamlit as st\n\nst.title("Board")\n',
    "pyproject.toml": f'[project]\nname = "board"\n{_ONE}dependencies = ["streamlit==1.67.0"]\n'
    "[tool.uv]\noverride-dependencies = ["
    + ", ".join(f"\"{name}; python_version < '3'\"" for name in ("pandas", "pyarrow", "pydeck"))
    + "]\n",
}
"""Without 250 MB of packages that a title does not need."""

_GRADIO: Files = {
    "app.py": "import gradio as gr\n\ndef greet(name):\n    return f'Hello, {name}'\n\n"
    'demo = gr.Interface(greet, gr.Text(label="Your name"), "text")\ndemo.launch()\n',
    "requirements.txt": "gradio==6.31.0\n",
}

_GREETER: Files = {
    "server.py": """
from concurrent import futures
import grpc

def greet(request, context):
    return b"Hello, " + request

if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor())
    methods = {"Greet": grpc.unary_unary_rpc_method_handler(greet)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Greeter", methods)])
    server.add_insecure_port("0.0.0.0:50052")
    server.start()
    server.wait_for_termination()
""",
    "client.py": """
import sys, time
import grpc

if __name__ == "__main__":
    greet = grpc.insecure_channel(sys.argv[1]).unary_unary("/Greeter/Greet")
    print(greet(b"you", wait_for_ready=True, timeout=30).decode(), flush=True)
    time.sleep(3600)
""",
    "requirements.txt": "grpcio==1.71.0\n",
}

_BOT: Files = {
    "bot.py": "import time\n\nwhile True:\n    print('polling', flush=True)\n    time.sleep(60)\n",
    "storage.py": "def load():\n    return {}\n",
}

_TALLY: Files = {
    "setup.py": "from setuptools import setup\n\nsetup(\n    name='tally', version='1',"
    " py_modules=['tally'],\n"
    "    entry_points={'console_scripts': ['tally = tally:main']},\n)\n",
    "tally.py": """
import argparse

def main():
    parser = argparse.ArgumentParser(prog="tally")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("add").add_argument("number", type=int)
    if parser.parse_args().command is None:
        parser.print_help()
""",
}

_SCRIPT: Files = {
    "hello.py": '# /// script\n# requires-python = ">=3.11"\n# dependencies = ["idna==3.6"]\n'
    f"# ///\n{_IDNA}{_SERVE}"
}


def _ledger(labels: str, stamps: str) -> Files:
    """Needs what is compiled against PostgreSQL's library, and two private repositories."""
    said = "{labels.TEXT}, {stamps.TEXT}, libpq {psycopg2.__libpq_version__ // 10000}"
    return {
        "main.py": f"import labels, psycopg2, stamps\nTEXT = f'{said}'\n{_SERVE}",
        "requirements.txt": f"psycopg2==2.9.10\nlabels @ git+{labels}\nstamps @ git+{stamps}\n",
        "Aptfile": "# a library\nlibyaml-0-2\n",
    }


def _dockerfile() -> Files:
    return {
        "Dockerfile": f"FROM {base_image()}\nCOPY index.html /srv/\nUSER 1234\n"
        'CMD ["python3", "-m", "http.server", "--directory", "/srv", "8099"]\n',
        "index.html": "its own image",
    }


ENTRIES = """\
- {slug: ./words, env: {OTEL_TRACES_EXPORTER: console}}
- ./shell
- ./mono
- ./pdm
- ./pipenv
- ./pylock
- ./workspace#:member
- ./shop
- ./notes
- ./site
- ./board
- ./gradio
- ./aiohttp
- {slug: ./greeter, processes: {client: python client.py greeter:80}}
- ./house#:api
- ./bot
- ./tally
- ./script
- {slug: ./ledger, packages: [xxd]}
- {slug: ./own, build: dockerfile}
"""


def write(folder: Path, server: GitServer, ssh: str) -> Path:
    """All programs below `folder`, and what they need on `server`; the repos file with them.

    `ssh` is the URL at which the repositories of `server` are over ssh.
    """
    for name in ("labels", "stamps"):
        project = f'{_BUILD}[project]\nname = "{name}"\n{_ONE}'
        module = f"TEXT = 'private {name}'\n"
        server.repository(f"acme/{name}").commit({"pyproject.toml": project, f"{name}.py": module})
    aiohttp = {"main.py": web_projects.AIOHTTP_APP, "requirements.txt": "aiohttp==3.11.11\n"}
    house = {"web/main.py": f"TEXT = 'web'\n{_SERVE}", "api/main.py": f"TEXT = 'api'\n{_SERVE}"}
    programs: dict[str, Files] = {
        "words": _WORDS,
        "mono/site": _WORDS,
        **{name: {"main.py": f"{_IDNA}{_SERVE}", **files} for name, files in LOCKED.items()},
        "workspace": _WORKSPACE,
        "shop": _SRC_LAYOUT,
        "notes": _POETRY,
        "site": _DJANGO,
        "board": _STREAMLIT,
        "gradio": _GRADIO,
        "aiohttp": aiohttp,
        "greeter": _GREETER,
        "house": {**house, "web/requirements.txt": "", "api/requirements.txt": ""},
        "bot": _BOT,
        "tally": _TALLY,
        "script": _SCRIPT,
        "ledger": _ledger(f"{server.url}/acme/labels.git", f"{ssh}/acme/stamps.git"),
        "own": _dockerfile(),
    }
    for name, files in programs.items():
        write_files(folder / name, files)
    tagged = Repository.create(folder / "shell")
    tagged.commit(_SHELL)
    tagged.git("tag", "v1.2.3")
    for name in ("workspace", "shop"):
        own_venv.uv("lock", "--quiet", cwd=folder / name)
    file = folder / "repos.yaml"
    file.write_text(ENTRIES)
    return file


def write_files(folder: Path, files: Files) -> None:
    """Write `files` below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
