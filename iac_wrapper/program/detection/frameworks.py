"""Frameworks that bring a way of their own to be run: one row each. Data; the docs show it too.

The rows are asked in their order. What is left out of a command is what a framework does anyway.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.options import Run
from iac_wrapper.program.detection.origins import Origins
from iac_wrapper.program.detection.syntax import Function

Where = Literal["tool", "object", "itself"]
"""What runs: a tool of the framework with a file, a server with an object, or a file by itself."""


@dataclass(frozen=True)
class Framework:
    """One framework.

    `packages` are canonical names, one of which the requirements have; `mark` is a pattern of the
    dotted names (`origins`) that its program calls, decorates or derives from, and `mark_words`
    says the same to people. `needs` is a file at the root that a project of it has.
    `command` are the words that run it, in which ``{file}``, ``{module}`` and ``{name}`` stand for
    the file, its dotted name and the name that is marked; empty without a tool. `serves` is what
    serves an object of it where the requirements name no server.
    `draws`: only a file that does its work when it is run is a program.
    `variables` tell it port, address and what else it must know; ``$PORT`` stands for the port.
    `writable` are folders below the root that it writes to, where the repository has none of the
    name, and only if a file holds one of `writes`, if that is said; `links` are files that it
    writes at the root, likewise.
    `run` is what its program is for. `is_last`: such files lie beside other programs as well, and
    are run only where there is no other.
    """

    name: str
    packages: tuple[str, ...]
    where: Where
    mark_words: str
    mark: str = ""
    needs: str = ""
    draws: bool = False
    command: tuple[str, ...] = ()
    serves: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    writable: tuple[str, ...] = ()
    writes: str = ""
    links: tuple[str, ...] = ()
    run: Run = "web"
    is_last: bool = False

    @property
    def imports(self) -> str:
        """The package that its files import, empty without a `mark`."""
        match = re.match(r"\w+", self.mark)
        return match[0] if match else ""

    @property
    def is_named(self) -> bool:
        """Whether its tool is told the name that is marked."""
        return any("{name}" in word for word in self.command)

    def entrypoint(self, relative: str, module: str, name: str) -> Entrypoint:
        """Its tool with the file `relative`, the module `module`, in which `name` is marked."""
        words = [word.format(file=relative, module=module, name=name) for word in self.command]
        reason = f"{relative} is for {self.name}: {self.mark_words}"
        return Entrypoint("command", words[0], None, reason, args=tuple(words[1:]), run=self.run)


@dataclass(frozen=True)
class Mark:
    """What makes a file a program of `framework`; `name` is the function that is marked or what a
    spider is called, where the tool is told it."""

    framework: Framework
    name: str = ""


def marks(nodes: Iterable[ast.AST], origins: Origins) -> tuple[Mark, ...]:
    """What the file holds of frameworks that have a tool, each once."""
    packages = origins.packages()
    rows = [row for row in FRAMEWORKS if row.imports in packages]
    if not rows:
        return ()
    used = list(_used(nodes, origins))
    found = (
        Mark(row, name if row.is_named else "")
        for row in rows
        for dotted, name in used
        if re.fullmatch(row.mark, dotted) and (name or not row.is_named)
    )
    return tuple(dict.fromkeys(found))


def _used(nodes: Iterable[ast.AST], origins: Origins) -> Iterator[tuple[str, str]]:
    """Dotted names that are called, decorate or are derived from, and what they mark."""
    for node in nodes:
        match node:
            case ast.Call(func=function):
                yield origins.dotted(function), ""
            case ast.ClassDef(bases=bases):
                yield from ((origins.dotted(base), _own_name(node)) for base in bases)
        if isinstance(node, Function):
            for each in node.decorator_list:
                inner = each.func if isinstance(each, ast.Call) else each
                yield origins.dotted(inner), node.name


def _own_name(node: ast.ClassDef) -> str:
    """``name = "…"`` in its body, else what it is called."""
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str() as name)):
                return name
    return node.name


_ADDRESS = ("--host", "127.0.0.1", "--port", "$PORT")

FRAMEWORKS = (
    Framework(
        "Streamlit",
        ("streamlit",),
        "tool",
        "a file that draws with streamlit when it is run, and that no other of these imports",
        mark=r"streamlit\.(?!(web\.)?(cli|bootstrap)\.).*",
        draws=True,
        command=("streamlit", "run", "{file}"),
        variables=(
            ("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false"),
            ("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"),
            ("STREAMLIT_SERVER_FILE_WATCHER_TYPE", "none"),
            ("STREAMLIT_SERVER_HEADLESS", "true"),
            ("STREAMLIT_SERVER_PORT", "$PORT"),
        ),
    ),
    Framework(
        "Gradio",
        ("gradio",),
        "itself",
        "a file that calls launch()",
        variables=(
            ("GRADIO_ANALYTICS_ENABLED", "False"),
            ("GRADIO_SERVER_NAME", "127.0.0.1"),
            ("GRADIO_SERVER_PORT", "$PORT"),
        ),
    ),
    Framework(
        "Chainlit",
        ("chainlit",),
        "tool",
        "a file with functions for @on_message or @on_chat_start",
        mark=r"chainlit\.(on_\w+|set_\w+|set_starters|password_auth_callback)",
        command=("chainlit", "run", "{file}", "--headless", *_ADDRESS),
        writable=(".chainlit", ".chainlit/translations", ".files"),
        links=("chainlit.md",),
    ),
    Framework(
        "Panel",
        ("panel",),
        "tool",
        "a file that calls servable()",
        mark=r"panel\..*\.servable|panel\.state\..*",
        command=(
            *("panel", "serve", "{file}", "--address", "127.0.0.1", "--port", "$PORT"),
            "--allow-websocket-origin=*",
        ),
    ),
    Framework(
        "Bokeh",
        ("bokeh",),
        "tool",
        "a file that adds to curdoc()",
        mark=r"bokeh\.(io|plotting)\.curdoc\(\)\.add_root",
        command=(
            *("bokeh", "serve", "{file}", "--address", "127.0.0.1", "--port", "$PORT"),
            "--allow-websocket-origin=*",
        ),
    ),
    Framework(
        "marimo",
        ("marimo",),
        "tool",
        "a notebook: App() of marimo",
        mark=r"marimo\.App",
        command=("marimo", "run", "{file}", "--headless", "--no-token", *_ADDRESS),
    ),
    Framework(
        "Shiny",
        ("shiny",),
        "tool",
        "App() of shiny, or an import of shiny.express",
        mark=r"shiny\.App|shiny\.express\..*",
        command=("shiny", "run", "{file}", *_ADDRESS),
    ),
    Framework(
        "Solara",
        ("solara",),
        "tool",
        "a function Page with @solara.component",
        mark=r"solara\.component",
        command=("solara", "run", "{file}", "--production", *_ADDRESS),
    ),
    Framework(
        "functions-framework",
        ("functions-framework",),
        "tool",
        "one function with @functions_framework.http or cloud_event",
        mark=r"functions_framework\.(http|cloud_event|typed)",
        command=(
            *("functions-framework", "--target", "{name}", "--source", "{file}"),
            *_ADDRESS,
        ),
    ),
    Framework(
        "NiceGUI",
        ("nicegui",),
        "itself",
        "a file that calls ui.run()",
        variables=(("NICEGUI_STORAGE_PATH", "/tmp/nicegui"),),  # noqa: S108 - in its container
    ),
    Framework("Dash", ("dash",), "itself", "a file that calls run(); an object `server` is served"),
    Framework(
        "Robyn",
        ("robyn",),
        "itself",
        "a file that calls start()",
        variables=(("ROBYN_HOST", "127.0.0.1"), ("ROBYN_PORT", "$PORT")),
    ),
    Framework(
        "Django",
        ("django",),
        "object",
        "manage.py at the root or in one folder; the object that the settings name",
        serves="gunicorn",
    ),
    Framework(
        "Flask",
        ("flask",),
        "object",
        "Flask(), or what makes it",
        serves="gunicorn",
        writable=("instance",),
        writes=r"instance_path|instance_relative_config|sqlite:///[^/:]",
    ),
    Framework("Bottle", ("bottle",), "object", "Bottle(), default_app()", serves="gunicorn"),
    Framework("Falcon", ("falcon",), "object", "App() of falcon", serves="gunicorn or uvicorn"),
    Framework("FastAPI", ("fastapi",), "object", "FastAPI(), or what makes it", serves="uvicorn"),
    Framework("Starlette", ("starlette",), "object", "Starlette()", serves="uvicorn"),
    Framework("Litestar", ("litestar",), "object", "Litestar()", serves="uvicorn"),
    Framework("Quart", ("quart",), "object", "Quart()", serves="uvicorn"),
    Framework(
        "FastHTML",
        ("python-fasthtml",),
        "object",
        "FastHTML() or fast_app(); a file that calls serve() runs itself",
        serves="uvicorn",
        links=(".sesskey",),
    ),
    Framework("Sanic", ("sanic",), "object", "Sanic(), or what makes it", serves="sanic"),
    Framework(
        "aiohttp",
        ("aiohttp",),
        "object",
        "Application() of aiohttp.web; a file that calls run_app() runs itself",
        serves="gunicorn with aiohttp's worker",
    ),
    Framework(
        "Telegram, Discord and Slack bots",
        ("python-telegram-bot", "aiogram", "pytelegrambotapi", "telethon", "discord-py"),
        "itself",
        "a file that polls or runs the client",
        run="worker",
    ),
    Framework(
        "Celery",
        ("celery",),
        "tool",
        "Celery() in a file, beside no other program",
        mark=r"celery\.Celery",
        command=("celery", "-A", "{module}", "worker", "--loglevel", "INFO"),
        run="worker",
        is_last=True,
    ),
    Framework(
        "Locust",
        ("locust",),
        "tool",
        "a class of HttpUser or User, beside no other program",
        mark=r"locust\.(\w*HttpUser|User|\w+\.FastHttpUser)",
        command=(
            *("locust", "--locustfile", "{file}", "--web-host", "127.0.0.1"),
            *("--web-port", "$PORT"),
        ),
        is_last=True,
    ),
    Framework(
        "Scrapy",
        ("scrapy",),
        "tool",
        "scrapy.cfg and one spider, beside no other program",
        mark=r"scrapy\.(Spider|spiders\..*Spider)",
        needs="scrapy.cfg",
        command=("scrapy", "crawl", "{name}"),
        run="job",
        is_last=True,
    ),
)
