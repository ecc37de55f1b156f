"""What running a file certainly is: a server, a worker, or something that only running tells."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.unit.program.detection.test_detection import FLASK, detect, executable, tree

GUARD = "if __name__ == '__main__':\n    "

WEB = {
    "flask": FLASK + GUARD + "app.run(port=8000)\n",
    "through a function": FLASK + "def go():\n    app.run()\n" + GUARD + "go()\n",
    "uvicorn": "import uvicorn\nuvicorn.run('a:b')\n",
    "asyncio": "import asyncio\nfrom hypercorn.asyncio import serve\n"
    "async def main():\n    await serve(1, 2)\nasyncio.run(main())\n",
    "aiohttp": "from aiohttp import web\napp = web.Application()\nweb.run_app(app, port=8080)\n",
    "http.server": "from http.server import HTTPServer as H\nwith H(1, 2) as s:\n"
    "    s.serve_forever()\n",
    "in a thread": "import threading\nfrom http.server import HTTPServer\ns = HTTPServer(1, 2)\n"
    "threading.Thread(target=s.serve_forever).start()\n",
    "grpc": "import grpc\ndef serve():\n    s = grpc.server(1)\n    s.start()\n"
    + GUARD
    + "serve()",
    "a class": "import socket\nclass S:\n    def __init__(self):\n"
    "        self.sock = socket.socket()\n    def start(self):\n        self.sock.listen()\n"
    "S().start()\n",
    "own module": "from shop import app\n" + GUARD + "app.run()\n",
    "own factory": "from shop import make\nserver = make()\nserver.run(host='0.0.0.0')\n",
    "either way": FLASK + "import os\nfrom waitress import serve\n" + GUARD + "if os.environ:\n"
    "        serve(app)\n    else:\n        app.run()\n",
    "a bot with a page": "import discord\n" + FLASK + "import threading\n"
    "threading.Thread(target=app.run).start()\ndiscord.Client().run('x')\n",
}

WORKERS = {
    "discord": "import discord\nclient = discord.Client()\nclient.run('token')\n",
    "own class": "import discord\nclass Bot(discord.Client): ...\nbot = Bot()\nbot.run('token')\n",
    "telegram": "from telegram.ext import Application\n"
    "Application.builder().token('x').build().run_polling()\n",
    "scheduler": "from apscheduler.schedulers.blocking import BlockingScheduler\n"
    "s = BlockingScheduler()\ns.start()\n",
    "loop": "import time\nwhile True:\n    print('x')\n    time.sleep(1)\n",
    "schedule": "import schedule, time\ndef main():\n    while True:\n"
    "        schedule.run_pending()\n        time.sleep(1)\n" + GUARD + "main()\n",
}

STARTS = {
    "subprocess": "import subprocess\nsubprocess.run(['gunicorn', 'shop:app'])\n",
    "in main": "import subprocess as sp\ndef main():\n    sp.Popen('flask run', shell=True)\n"
    + GUARD
    + "main()\n",
    "exec": "import os\nos.execvp('uvicorn', ['uvicorn', 'shop:app'])\n",
    "a line": "import os\nos.system('cd x && PORT=1 exec gunicorn shop:app')\n",
    "a module": "import subprocess, sys\n"
    "subprocess.check_call([sys.executable, '-u', '-m', 'http.server', '8000'])\n",
    "a shell": "import subprocess\nsubprocess.run(['bash', '-lc', 'exec uvicorn shop:app'])\n",
    "words elsewhere": "import os\nport = 1\nCMD = f'waitress-serve --port={port} shop:app'\n"
    "os.system(CMD + ' --threads 2')\n",
    "split": "import subprocess, shlex\nsubprocess.run(shlex.split('uv run streamlit run x.py'))\n",
    "asyncio": "import asyncio\nasync def main():\n"
    "    await asyncio.create_subprocess_exec('/venv/bin/hypercorn', 'shop:app')\n"
    "asyncio.run(main())\n",
    "django": "from django.core.management import execute_from_command_line as e\n"
    "e(['manage.py', 'runserver'])\n",
    "own script": "import subprocess, sys\nsubprocess.Popen([sys.executable, 'shop/api.py'])\n",
    "own module": "import os\nos.system('python -m shop.api')\n",
    "bjoern": "import bjoern\nbjoern.run(1, '', 8000)\n",
    "panel": "import panel as pn\npn.serve({})\n",
    "mcp": "from fastmcp import FastMCP\nm = FastMCP('x')\nm.run(transport='http')\n",
    "if": FLASK + "import sys\n" + GUARD + "if len(sys.argv) > 1:\n        app.run()\n",
    "while": FLASK + "def main():\n    while True:\n        try:\n            app.run()\n"
    "        except OSError:\n            pass\n" + GUARD + "main()\n",
    "a function that tries": FLASK + "import os\ndef main():\n    try:\n        go()\n"
    "    except ImportError:\n        app.run()\n" + GUARD + "main()\n",
    "own function": "from shop.api import start\nstart()\n",
    "own object": "import shop.api as api\napi.site.run_server()\n",
    "what a package shows": "from shop import start\n" + GUARD + "start()\n",
    "own class": "from shop.api import Server\ns = Server()\nif s:\n    s.go()\n",
    "a base class": "from shop.api import Server\nclass Mine(Server): ...\nMine().go()\n",
    "an import": "import shop.starts\n",
    "typer": "import typer, uvicorn\ncli = typer.Typer()\n@cli.command()\ndef main():\n"
    "    uvicorn.run('a:b')\n" + GUARD + "cli()\n",
}
"""Programs that start a server in another way than by a call of their own file."""

SHOP = {
    "shop/__init__.py": "from .api import start\n",
    "shop/api.py": "from http.server import HTTPServer\nimport dash\n"
    "site = dash.Dash()\ndef start():\n    HTTPServer(1, 2).serve_forever()\n"
    "class Server:\n    def go(self):\n        start()\n" + GUARD + "start()\n",
    "shop/starts.py": "from shop import start\nstart()\n",
    "shop/bot.py": "import discord\ndef main():\n    discord.Client().run('x')\n",
}

UNKNOWN = {
    "prints": GUARD + "print('hi')\n",
    "asyncio": "import asyncio\nasync def main(): ...\nasyncio.run(main())\n",
    "subprocess": "import subprocess\nsubprocess.run(['x'])\n",
    "asks a server": "import subprocess\nsubprocess.run(['gunicorn', '--version'])\n"
    "subprocess.run(['pip', 'install', 'uvicorn'])\nsubprocess.run(['pkill', 'gunicorn'])\n",
    "another flask command": "import os\nos.system('flask db upgrade && streamlit hello')\n",
    "says it": "print('gunicorn shop:app')\n",
    "never called": FLASK + "def go():\n    app.run()\n" + GUARD + "int()\n",
    "never called there": "import shop.api\nfrom shop.api import Server\n",
    "a page or a bot": FLASK + "import discord, sys\n" + GUARD + "if sys.argv:\n        app.run()\n"
    "    else:\n        discord.Client().run('x')\n",
    "a page beside a loop": FLASK + "import os, time\nif os.environ:\n    app.run()\n"
    "while True:\n    time.sleep(1)\n",
    "a pipe": "from mcp.server.fastmcp import FastMCP\nm = FastMCP('x')\nm.run()\n",
    "a loop beside a socket": "import socket, time\nwhile True:\n    time.sleep(1)\n",
    "a loop beside own code": "import shop, time\nwhile True:\n    time.sleep(1)\n",
    "a loop that ends": "import time\nwhile True:\n    time.sleep(1)\n    break\n",
    "another's run": "import textual\napp = textual.App()\napp.run()\n",
    "calls itself": "def a():\n    b()\ndef b():\n    a()\na()\n",
    "names itself": "import os\nline = 'ls'\nline = line + line\nx = [x]\nos.system(x)\n",
    "imports itself": "import main\nfrom main import go\ngo()\n",
}


@pytest.mark.parametrize(
    ("text", "run"),
    [
        (text, run)
        for texts, run in ((WEB, "web"), (WORKERS, "worker"), (STARTS, "web"), (UNKNOWN, None))
        for text in texts.values()
    ],
    ids=[
        *WEB,
        *WORKERS,
        *(f"starts {name}" for name in STARTS),
        *(f"not {name}" for name in UNKNOWN),
    ],
)
def test_what_a_program_is(tmp_path: Path, text: str, run: str | None) -> None:
    """A server where some way through the program leads to one and none to other work; a worker
    only where every way leads there."""
    assert detect(tree(tmp_path, {"main.py": text, **SHOP})).run == run


def test_work_in_another_file(tmp_path: Path) -> None:
    """It is followed there; a loop beside it is no proof that nothing listens."""
    root = tree(tmp_path, {"main.py": "from shop import bot\n" + GUARD + "bot.main()\n", **SHOP})
    assert detect(root).run == "worker"
    loop = "import time\ndef forever():\n    while True:\n        time.sleep(1)\n"
    main = "import mystery, loop\nmystery.start()\nloop.forever()\n"
    assert detect(tree(tmp_path / "b", {"main.py": main, "loop.py": loop})).run is None


@pytest.mark.parametrize(
    ("script", "run"),
    [
        ('#!/bin/sh\nset -e\n# gunicorn\nexec gunicorn \\\n  shop:app --bind "$BIND"\n', "web"),
        ("#!/usr/bin/env bash\nif true; then\n  python3 -m http.server 80 >/tmp/log\nfi\n", "web"),
        ("#!/bin/sh\nwhile true; do nc -l 80; done\necho 'open\n", None),
        ("#!/usr/bin/perl\ngunicorn\n", None),
    ],
)
def test_a_shell_script_is_read(tmp_path: Path, script: str, run: str | None) -> None:
    """A program that is no Python starts servers all the same."""
    assert detect(executable(tmp_path, text=script)).run == run
    assert detect(tmp_path, entrypoint="./main").run == run


def test_scripts_and_functions(tmp_path: Path) -> None:
    """[project.scripts], an override and a main() that is called for the file are read as well."""
    code = FLASK + "def main():\n    app.run()\ndef job(): ...\n"
    toml = '[project]\nname = "x"\n[project.scripts]\nserve = "shop.cli:main"\n'
    root = tree(tmp_path, {"src/shop/cli.py": code, "pyproject.toml": toml})
    assert detect(root).run == "web"
    assert detect(root, entrypoint="shop.cli:main").run == "web"
    assert detect(root, entrypoint="shop.cli:job").run is None
    assert detect(root, entrypoint="http.server").run == "web"
    lone = detect(tree(tmp_path / "lone", {"main.py": code}))
    assert (lone.display, lone.run) == ("main.py:main", "web")


def test_a_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many candidates reach it, and in circles; what it comes to is found in each."""
    files = {
        f"part{number}.py": f"from part{(number + 1) % 9} import go as on\nimport http.server\n"
        f"def go():\n    on() if {number} else http.server.test()\n{GUARD}go()\n"
        for number in range(9)
    }
    parsed: list[str] = []
    parse = ast.parse

    def counting(*given: Any, **named: Any) -> Any:
        parsed.append(named.get("filename", ""))
        return parse(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", counting)
        found = detect(tree(tmp_path, files | {"main.py": f"from part3 import go\n{GUARD}go()\n"}))
    assert (found.target, found.run) == ("main.py", "web")
    assert sorted(filter(None, parsed)) == ["main.py", *sorted(files)]


def test_a_folder_beside_a_file_is_its_own(tmp_path: Path) -> None:
    """What is imported from there is followed, and is no package of that name."""
    root = tree(
        tmp_path,
        {
            "job/main.py": "from discord import Client\nClient().run('x')\n",
            "job/discord/__init__.py": "from http.server import HTTPServer\n"
            "class Client:\n    def run(self, x):\n        HTTPServer(x, x).serve_forever()\n",
        },
    )
    assert detect(root, entrypoint="job/main.py").run == "web"
