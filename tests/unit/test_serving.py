"""What running a file certainly is: a server, a worker, or something that only running tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_detection import FLASK, detect, tree

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

UNKNOWN = {
    "prints": GUARD + "print('hi')\n",
    "asyncio": "import asyncio\nasync def main(): ...\nasyncio.run(main())\n",
    "subprocess": "import subprocess\nsubprocess.run(['x'])\n",
    "only if asked": FLASK + "import sys\n" + GUARD + "if len(sys.argv) > 1:\n        app.run()\n",
    "never called": FLASK + "def go():\n    app.run()\n" + GUARD + "int()\n",
    "a loop beside a socket": "import socket, time\nwhile True:\n    time.sleep(1)\n",
    "a loop beside own code": "import shop, time\nwhile True:\n    time.sleep(1)\n",
    "a loop that ends": "import time\nwhile True:\n    time.sleep(1)\n    break\n",
    "another's run": "import textual\napp = textual.App()\napp.run()\n",
    "calls itself": "def a():\n    b()\ndef b():\n    a()\na()\n",
}


@pytest.mark.parametrize(
    ("text", "run"),
    [(text, run) for texts, run in ((WEB, "web"), (WORKERS, "worker"), (UNKNOWN, None))
     for text in texts.values()],
    ids=[*WEB, *WORKERS, *(f"not {name}" for name in UNKNOWN)],
)  # fmt: skip
def test_what_a_program_is(tmp_path: Path, text: str, run: str | None) -> None:
    """A server or a worker only where every way through the program leads there."""
    root = tree(tmp_path, {"main.py": text, "shop/__init__.py": ""})
    assert detect(root).run == run


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
