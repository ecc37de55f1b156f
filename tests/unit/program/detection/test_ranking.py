"""Which of several files is the program, and whether it is a module or a script."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from tests.unit.program.detection.test_detection import GUARDED, detect, tree

SERVES = (
    "from http.server import HTTPServer as S, BaseHTTPRequestHandler as H\n"
    "if __name__ == '__main__':\n    S(('', 80), H).serve_forever()\n"
)
BARE = "import random\nprint(random.random())\n"


@pytest.mark.parametrize(
    ("files", "program"),
    [
        ({"client.py": GUARDED, "engine.py": GUARDED}, "engine.py"),
        ({"greet_client.py": GUARDED, "greet_server.py": GUARDED}, "greet_server.py"),
        ({"tests.py": GUARDED, "example.py": GUARDED, "shop.py": GUARDED}, "shop.py"),
        ({"wait_for_db.py": GUARDED, "init_db.py": GUARDED, "orders.py": GUARDED}, "orders.py"),
        ({"client.py": GUARDED}, "client.py"),
        ({"report.py": GUARDED, "orders.py": SERVES}, "orders.py"),
        ({"report.py": GUARDED, "deep/orders.py": SERVES}, "deep/orders.py"),
        ({"report.py": GUARDED, "deep/server.py": GUARDED}, "deep/server.py"),
        ({"run.py": "import server\n" + GUARDED, "server.py": GUARDED}, "run.py"),
        ({"report.py": GUARDED, "board.py": GUARDED}, "board.py"),
        ({"launch.py": "import web.http\n" + GUARDED, "web/http.py": SERVES}, "web/http.py"),
    ],
)
def test_the_better_one(tmp_path: Path, files: dict[str, str], program: str) -> None:
    """Helpers last, what serves first, then the names that people give to programs."""
    found = detect(tree(tmp_path, files), slug="gh:acme/board")
    assert found.target == program


@pytest.mark.parametrize(
    ("files", "program"),
    [
        ({"hourly.py": BARE}, "hourly.py"),
        ({"bot.py": BARE, "words.py": BARE}, "bot.py"),
        ({"hub.py": "import lamps\n" + BARE, "lamps.py": BARE}, "hub.py"),
        ({"hourly.py": BARE, "settings.py": BARE}, "hourly.py"),
    ],
)
def test_a_file_that_acts_without_a_guard(
    tmp_path: Path, files: dict[str, str], program: str
) -> None:
    """It is the program if it is the only one, or is called so; not if others import it."""
    assert detect(tree(tmp_path, files)).target == program


@pytest.mark.parametrize(
    "files",
    [
        {"load.py": GUARDED, "dump.py": GUARDED},
        {"load.py": BARE, "dump.py": BARE},
        {"load.py": SERVES, "dump.py": SERVES},
        {"one/app.py": GUARDED, "two/app.py": GUARDED},
        {"run.py": GUARDED, "server.py": GUARDED},
        {"hourly.py": BARE, "report.py": GUARDED},
    ],
)
def test_a_tie_is_a_question(tmp_path: Path, files: dict[str, str]) -> None:
    """The alphabet decides nothing: each is listed with the line to write."""
    with pytest.raises(EntrypointError, match="several programs could be meant") as caught:
        detect(tree(tmp_path, files))
    for file in files:
        assert f"entrypoint: {file}" in str(caught.value.detail)


def test_a_loop_is_a_worker_where_no_file_could_serve(tmp_path: Path) -> None:
    """Other files of the repository may; then what it does decides."""
    loop = (
        "import time, lamps\nif __name__ == '__main__':\n    while True:\n        time.sleep(1)\n"
    )
    assert detect(tree(tmp_path, {"hub.py": loop, "lamps.py": "import json\n"})).run == "worker"
    assert detect(tree(tmp_path, {"lamps.py": "import requests\n"})).run is None
    assert detect(tree(tmp_path, {"lamps.py": "import wires\n", "wires.py": "("})).run is None


def test_a_file_of_another_platform_is_named_where_nothing_decides(tmp_path: Path) -> None:
    """It has no command that could be read."""
    files = {"load.py": GUARDED, "dump.py": GUARDED, "project.toml": ""}
    with pytest.raises(EntrypointError) as caught:
        detect(tree(tmp_path, files))
    assert "or the command that project.toml starts: it is not read" in str(caught.value.detail)


def test_of_two_packages_the_one_that_serves(tmp_path: Path) -> None:
    """Neither has the name of the project."""
    files = {"alpha/__main__.py": GUARDED, "beta/__main__.py": SERVES}
    assert detect(tree(tmp_path, files)).target == "beta"


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"bot/__init__.py": "", "bot/run.py": "import db\n", "bot/db.py": ""}, "bot/run.py"),
        (
            {
                "bot/__init__.py": "",
                "bot/run.py": "from bot import orders\n",
                "bot/orders.py": "import db\n",
                "bot/db.py": "",
            },
            "bot/run.py",
        ),
        ({"bot/run.py": "from . import db\n", "bot/db.py": ""}, "bot.run"),
        ({"bot/run.py": "from bot import db\n", "bot/db.py": ""}, "bot.run"),
        ({"bot/run.py": "import db\n", "bot/db.py": ""}, "bot/run.py"),
        ({"bot/__init__.py": "", "bot/run.py": "import db\n", "db.py": ""}, "bot.run"),
        (
            {
                "bot/__init__.py": "",
                "bot/run.py": "try:\n    from . import db\nexcept ImportError:\n    import db\n",
                "bot/db.py": "",
            },
            "bot.run",
        ),
        (
            {
                "bot/__init__.py": "",
                "bot/run.py": "import telegram\n",
                "bot/telegram.py": "",
                "requirements.txt": "python-telegram-bot",
            },
            "bot.run",
        ),
        ({"src/__init__.py": "", "src/run.py": "from . import db\n", "src/db.py": ""}, "src.run"),
        (
            {"bot/__init__.py": "", "bot/__main__.py": "import db\n", "bot/db.py": ""},
            "bot/__main__.py",
        ),
        ({"bot/__init__.py": "", "bot/__main__.py": "from . import db\n", "bot/db.py": ""}, "bot"),
        ({"bot/__init__.py": ""}, "bot.__init__"),
    ],
)
def test_imports_decide_between_module_and_script(
    tmp_path: Path, files: dict[str, str], target: str
) -> None:
    """A script finds its neighbours by bare names, a module by those of its package."""
    last = next((name for name in files if "run" in name or "main" in name), "bot/__init__.py")
    root = tree(tmp_path, {**files, last: files[last] + GUARDED})
    found = detect(root)
    assert (found.kind, found.target) == ("script" if "/" in target else "module", target)


def test_setup_files_name_scripts_too(tmp_path: Path) -> None:
    """The older tables mean what [project.scripts] means; nothing is run to read them."""
    setup = (
        "from setuptools import setup\nraise SystemExit\nsetup(entry_points={'console_scripts': "
    )
    setup += "['shop=shop.cli:serve', 'x = y:z']})\n"
    files = {"setup.py": setup, "shop/cli.py": "def serve(): ...\ndef other(): ...\n"}
    assert detect(tree(tmp_path, files)).display == "shop.cli:serve"
    cfg = "[options.entry_points]\nconsole_scripts =\n    shop = shop.cli:other\n"
    found = detect(tree(tmp_path, {"setup.cfg": cfg}))
    assert (found.display, found.reason) == (
        "shop.cli:other",
        "console_scripts shop is the first script in setup.cfg",
    )
    for broken in ("[options", "def ("):
        tree(tmp_path, {"setup.cfg": broken, "setup.py": broken})
        assert detect(tree(tmp_path, {"main.py": GUARDED})).target == "main.py"


@pytest.mark.parametrize(
    "points",
    [
        "{'console_scripts': ['{0}-web = {0}.cli:serve'.format(NAME)]}",
        "{'console_scripts': ['{a}-web={a}.cli:serve'.format(a=NAME), '%s=%s:x' % (A, B)]}",
        "{'console_scripts': [f'{NAME}-web = {NAME}.cli:serve']}",
        "{'console_scripts': ['%s-web = %s.cli:serve' % (NAME, NAME)]}",
        "{'console_scripts': [NAME + '-web = ' + NAME + '.cli:serve']}",
        "{'console_scripts': LINES}",
        "dict(console_scripts=LINES)",
        "'''[console_scripts]\n    shop-web = shop.cli:serve\n[other]\nx = y:z'''",
    ],
)
def test_setup_py_may_put_the_lines_together(tmp_path: Path, points: str) -> None:
    """What its own constants tell is read; what they do not tell names nothing that is missing."""
    setup = (
        f"NAME = 'shop'\nLINES = [f'{{NAME}}-web={{NAME}}.cli:serve']\nsetup(entry_points={points})"
    )
    files = {"setup.py": setup, "shop/cli.py": "def serve(): ...\ndef web(): ...\n"}
    found = detect(tree(tmp_path, files))
    assert (found.display, found.reason) == (
        "shop.cli:serve",
        "console_scripts shop-web is the first script in setup.py",
    )


@pytest.mark.parametrize(
    "line",
    ["'{}-web = {}.cli:serve'.format(*read())", "'{0:>999999999999}=a:b'.format(A)", "A + A + A"],
)
def test_what_only_running_setup_py_tells_is_no_script(tmp_path: Path, line: str) -> None:
    """Nor are texts without an end built up."""
    sums = "".join(f"A{n} = A{n + 1} + A{n + 1}\n" for n in range(40))
    setup = f"{sums}A = A0\nsetup(entry_points={{'console_scripts': [{line}]}})\n"
    assert detect(tree(tmp_path, {"setup.py": setup, "app.py": GUARDED})).target == "app.py"


def test_a_script_of_a_missing_module_is_an_error(tmp_path: Path) -> None:
    """Another file is not what its author meant."""
    toml = '[project]\nname = "shop"\n[project.scripts]\nshop = "shpo.cli:main"\n'
    with pytest.raises(
        EntrypointError, match="names a module that is not in the checkout"
    ) as caught:
        detect(tree(tmp_path, {"pyproject.toml": toml, "app.py": GUARDED}))
    assert (caught.value.where, caught.value.found) == ("pyproject.toml", "shpo.cli:main")
    found = detect(tree(tmp_path, {"requirements.txt": "shpo"}))
    assert found.display == "shpo.cli:main"


def test_a_package_is_imported_by_its_own_name(tmp_path: Path) -> None:
    """``pkg.__init__`` would be imported a second time."""
    files = {"shop/__init__.py": "def serve(): ...\n"}
    assert detect(tree(tmp_path, files), entrypoint="shop.__init__:serve").target == "shop"


def test_many_files_in_one_folder_hide_no_other(tmp_path: Path) -> None:
    """What is searched is bounded, and begins near the root."""
    files = {f"a/b/part{number}.py": "x = 1\n" for number in range(500)}
    root = tree(tmp_path, {**files, "web/board.py": SERVES, "requirements.txt": ""})
    assert detect(root).target == "web/board.py"


@pytest.mark.parametrize("name", [b"b\xff.py", b"b\xff/b.py", b"b\nb.py"])
def test_a_name_that_nobody_can_write_is_no_program(tmp_path: Path, name: bytes) -> None:
    """Nor does it end the search: git has such files from before UTF-8."""
    root = tree(tmp_path, {"board.py": SERVES})
    path = Path(os.fsdecode(os.fsencode(root) + b"/" + name))
    path.parent.mkdir(exist_ok=True)
    path.write_text(SERVES)
    assert detect(root).target == "board.py"


BOARD = "import streamlit as st\nst.title('Stock')\n"
SHOP = "from fastapi import FastAPI\napp = FastAPI()\n"
LOAD = "from stock.db import save\nif __name__ == '__main__':\n    save(open('a.csv'))\n"


@pytest.mark.parametrize(
    ("files", "program"),
    [
        ({"loading/__main__.py": LOAD, "pages/board.py": BOARD}, "loading"),
        ({"loading/__main__.py": LOAD, "web/board.py": BOARD}, "streamlit run web/board.py"),
        ({"loading/__main__.py": LOAD, "loading/board.py": BOARD}, "loading"),
        ({"loading/__main__.py": LOAD, "web/shop.py": SHOP}, "uvicorn web.shop:app"),
        ({"loading/__main__.py": f"import web.shop\n{LOAD}", "web/shop.py": SHOP}, "loading"),
        ({"stock/__main__.py": LOAD, "web/board.py": BOARD}, "stock"),
        ({"loading/__main__.py": SERVES, "web/board.py": BOARD}, "loading"),
    ],
)
def test_a_package_beside_what_serves(tmp_path: Path, files: dict[str, str], program: str) -> None:
    """One that ends, has another name than the project and nothing to do with what serves, is a
    command beside it."""
    files["requirements.txt"] = "streamlit\nfastapi\nuvicorn"
    found = detect(tree(tmp_path, files), slug="gh:acme/stock")
    assert found.display.partition(" --")[0] == program


RPC = (
    "from concurrent import futures\nimport grpc\n"
    "if __name__ == '__main__':\n    server = grpc.server(futures.ThreadPoolExecutor())\n"
    "    server.add_insecure_port('[::]:50051')\n    server.start()\n"
    "    server.wait_for_termination()\n"
)


def test_a_tie_names_the_servers_of_all_folders(tmp_path: Path) -> None:
    """Two are called server.py and therefore first; the third is as good, its client is not."""
    files = {f"{name}.py": RPC for name in ("cart/server", "mail/server", "stock/stock_server")}
    files |= {"stock/client.py": GUARDED, "requirements.txt": "grpcio"}
    with pytest.raises(EntrypointError, match="several programs") as caught:
        detect(tree(tmp_path, files))
    assert caught.value.found == "cart/server.py, mail/server.py, stock/stock_server.py"
