"""Frameworks with a way of their own to be run: one small program each."""

# ruff: noqa: E501, S108 - one program a line; folders in a container

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.operations.recorded_entries import written_entrypoint
from iac_wrapper.program import detection
from iac_wrapper.program.detection.frameworks import FRAMEWORKS
from tests.unit.program.detection.test_detection import FLASK, GUARDED, detect, tree

ADDRESS = "--host 127.0.0.1 --port $PORT"
STREAMLIT = "import streamlit as st\nst.title('Board')\n"
FUNCTION = (
    "import functions_framework\n@functions_framework.http\ndef hello(request):\n    return 'x'\n"
)
CELERY = "from celery import Celery\nqueue = Celery('jobs')\n@queue.task\ndef add(a, b): ...\n"
SPIDER = "import scrapy\nclass Quotes(scrapy.Spider):\n    name = 'quotes'\n"


@pytest.mark.parametrize(
    ("file", "text", "requirements", "display", "run"),
    [
        ("app.py", STREAMLIT, "streamlit", "streamlit run app.py", "web"),
        ("main.py", f"{STREAMLIT}def main(): ...\nif __name__ == '__main__':\n    main()\n", "streamlit", "streamlit run main.py", "web"),
        ("ui/board.py", STREAMLIT, "", "streamlit run ui/board.py", "web"),
        ("bot.py", "import chainlit as cl\n@cl.on_message\nasync def on(m): ...\n", "chainlit", f"chainlit run bot.py --headless {ADDRESS}", "web"),
        ("dash.py", "import panel as pn\npn.Column('x').servable()\n", "panel", "panel serve dash.py --address 127.0.0.1 --port $PORT --allow-websocket-origin=*", "web"),
        ("plot.py", "from bokeh.io import curdoc\ncurdoc().add_root(p)\n", "bokeh", "bokeh serve plot.py --address 127.0.0.1 --port $PORT --allow-websocket-origin=*", "web"),
        ("note.py", "import marimo\napp = marimo.App()\n@app.cell\ndef _(): ...\nif __name__ == '__main__':\n    app.run()\n", "marimo", f"marimo run note.py --headless --no-token {ADDRESS}", "web"),
        ("app.py", "from shiny import App\napp = App(ui, server)\n", "shiny", f"shiny run app.py {ADDRESS}", "web"),
        ("app.py", "from shiny.express import ui\nui.input_slider('n')\n", "shiny", f"shiny run app.py {ADDRESS}", "web"),
        ("page.py", "import solara\n@solara.component\ndef Page(): ...\n", "solara", f"solara run page.py --production {ADDRESS}", "web"),
        ("main.py", FUNCTION, "functions-framework", f"functions-framework --target hello --source main.py {ADDRESS}", "web"),
        ("jobs/tasks.py", CELERY, "celery", "celery -A jobs.tasks worker --loglevel INFO", "worker"),
        ("shop/celery.py", CELERY, "celery", "celery -A shop.celery worker --loglevel INFO", "worker"),
        ("locustfile.py", "from locust import HttpUser\nclass U(HttpUser): ...\n", "locust", "locust --locustfile locustfile.py --web-host 127.0.0.1 --web-port $PORT", "web"),
    ],
)  # fmt: skip
def test_each_framework_with_a_tool(  # noqa: PLR0917
    tmp_path: Path, file: str, text: str, requirements: str, display: str, run: str
) -> None:
    """Its own start command, headless, on the port that the app is given."""
    found = detect(tree(tmp_path, {file: text, "requirements.txt": requirements}))
    assert (found.kind, found.display, found.run) == ("command", display, run)


@pytest.mark.parametrize(
    ("text", "requirements", "variables"),
    [
        ("import gradio as gr\ngr.Blocks().launch()\n", "gradio", {"GRADIO_SERVER_PORT": "8080", "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_ANALYTICS_ENABLED": "False"}),
        ("from nicegui import ui\nui.run()\n", "nicegui", {"NICEGUI_STORAGE_PATH": "/tmp/nicegui"}),
        ("from robyn import Robyn\napp = Robyn(__file__)\napp.start()\n", "robyn", {"ROBYN_HOST": "127.0.0.1", "ROBYN_PORT": "8080"}),
        ("import os\nos.system('streamlit run ui.py')\n", "streamlit", {"STREAMLIT_SERVER_HEADLESS": "true", "STREAMLIT_SERVER_PORT": "8080"}),
    ],
)  # fmt: skip
def test_a_program_that_runs_itself_is_told_by_variables(
    tmp_path: Path, text: str, requirements: str, variables: dict[str, str]
) -> None:
    """Port and address, no questions and no telemetry."""
    found = detect(tree(tmp_path, {"main.py": text, "requirements.txt": requirements}))
    assert (found.display, found.run) == ("main.py", "web")
    assert variables.items() <= found.environment(8080).items()
    assert list(found.variables) == sorted(found.variables)


def test_the_file_that_imports_the_others_is_run(tmp_path: Path) -> None:
    """Helpers draw as well, pages are the tool's own, and two of equal right are a question."""
    files = {
        "dashboard.py": "import helper\n" + STREAMLIT,
        "helper.py": STREAMLIT,
        "pages/1_more.py": STREAMLIT,
        "notes.py": "import streamlit as st\ndef note():\n    st.write('x')\n",
    }
    root = tree(tmp_path, files)
    assert detect(root).display == "streamlit run dashboard.py"
    tree(root, {"app.py": STREAMLIT})
    assert detect(root).display == "streamlit run app.py"
    (root / "app.py").unlink()
    tree(root, {"notes.py": STREAMLIT})
    with pytest.raises(EntrypointError, match="several programs") as caught:
        detect(root)
    assert caught.value.found == "dashboard.py, notes.py"


def test_an_entry_in_repos_yaml_may_name_the_file(tmp_path: Path) -> None:
    """The tool is added, and the entry is written back as it was."""
    root = tree(tmp_path, {"one.py": STREAMLIT, "two.py": STREAMLIT})
    found = detect(root, entrypoint="two.py")
    assert found.display == "streamlit run two.py"
    assert written_entrypoint(found) == "two.py"


def test_what_lies_beside_programs_is_run_only_alone(tmp_path: Path) -> None:
    """A Celery application and a load test belong to what they lie beside."""
    files = {"tasks.py": CELERY, "requirements.txt": "celery\nlocust\nflask\n"}
    root = tree(tmp_path, {**files, "locustfile.py": "import locust\nclass U(locust.User): ...\n"})
    (root / "tasks.py").unlink()
    assert detect(root).target == "locust"
    tree(root, {"server.py": FLASK + "if __name__ == '__main__':\n    app.run()\n", **files})
    assert detect(root).display == "server.py"
    tree(root, {"server.py": FLASK})
    assert detect(root).display == "gunicorn server:app --bind 127.0.0.1:$PORT"


def test_several_functions_or_spiders_are_a_question(tmp_path: Path) -> None:
    """Each command that the error lists runs the one that it names."""
    root = tree(tmp_path, {"main.py": FUNCTION, "requirements.txt": "functions-framework"})
    tree(root, {"main.py": FUNCTION + FUNCTION.replace("hello", "bye")})
    with pytest.raises(EntrypointError, match="several programs") as caught:
        detect(root)
    assert "--target bye" in str(caught.value.detail)


def test_a_spider_is_a_job(tmp_path: Path) -> None:
    """Only in a project of Scrapy: the command needs its file."""
    files = {
        "quotes/spiders/q.py": SPIDER,
        "requirements.txt": "scrapy",
        "scrapy.cfg": "[settings]",
    }
    found = detect(tree(tmp_path, files))
    assert (found.display, found.run) == ("scrapy crawl quotes", "job")
    (tmp_path / "scrapy.cfg").unlink()
    with pytest.raises(EntrypointError, match="nothing to run"):
        detect(tmp_path)


def test_folders_that_are_written_to(tmp_path: Path) -> None:
    """Only where the code says so and the repository has none; that they are lost is said."""
    root = tree(tmp_path, {"app.py": FLASK, "requirements.txt": "flask"})
    assert detect(root).writable == ()
    tree(root, {"settings.py": "URI = 'sqlite:///notes.db'\n"})
    found = detection.detect(root)
    assert found.entrypoint.writable == ("/app/instance",)
    assert any("`volumes: {instance: /app/instance}`" in note for note in found.notes)
    tree(root, {"instance/config.py": ""})
    assert detect(root).writable == ()


def test_nothing_is_added_without_a_framework(tmp_path: Path) -> None:
    """Locks of other programs stay the text that they were."""
    found = detect(tree(tmp_path, {"main.py": GUARDED, "requirements.txt": "requests\nflask\n"}))
    assert (found.variables, found.writable, found.supplied) == ((), (), None)


def test_the_table_is_whole() -> None:
    """A row with a tool can be marked, one with an object says what serves it, names are sorted."""
    for row in FRAMEWORKS:
        assert bool(row.command) == bool(row.mark) == (row.where == "tool"), row.name
        assert bool(row.serves) == (row.where == "object"), row.name
        assert list(row.variables) == sorted(row.variables), row.name
        assert row.imports or not row.command
