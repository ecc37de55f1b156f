"""What works without an end beside the program that serves is named with the line that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.detection import detect
from tests.unit.program.detection.test_detection import tree

WEB = "from fastapi import FastAPI\napp = FastAPI()\n"
POLLS = (
    "from telebot import TeleBot\nif __name__ == '__main__':\n    TeleBot('').infinity_polling()\n"
)
MAKES = "from celery import Celery\ndef make():\n    queue = Celery('shop')\n    return queue\n"
QUEUE = "from celery import Celery\nqueue = Celery('shop')\n"
EXTENSION = "from shop import make\nqueue = make().extensions['celery']\n"
REQUIREMENTS = {"requirements.txt": "fastapi\nuvicorn\ncelery\npytelegrambotapi", "web/api.py": WEB}


@pytest.mark.parametrize(
    ("files", "process"),
    [
        ({"run.py": POLLS}, "{worker: python run.py}"),
        ({"price_bot.py": POLLS}, "{price-bot: python price_bot.py}"),
        (
            {"bot/__init__.py": "", "bot/chat.py": f"from . import db\n{POLLS}", "bot/db.py": ""},
            "{chat: python -m bot.chat}",
        ),
        ({"shop/queue.py": QUEUE}, "{queue: celery -A shop.queue worker --loglevel INFO}"),
        ({"shop/jobs.py": f"{MAKES}queue = make()\n"}, "{jobs: celery -A shop.jobs worker"),
        ({"shop/celery_app.py": QUEUE}, "{worker: celery -A shop.celery_app worker"),
        (
            {"shop/__init__.py": MAKES, "shop/jobs.py": EXTENSION},
            "{jobs: celery -A shop.jobs:queue worker --loglevel INFO}",
        ),
        ({"app_utils.py": MAKES, "shop/jobs.py": QUEUE}, "{jobs: celery -A shop.jobs worker"),
    ],
)
def test_it_is_named(tmp_path: Path, files: dict[str, str], process: str) -> None:
    found = detect(tree(tmp_path, {**REQUIREMENTS, **files}))
    assert found.entrypoint.args[0] == "web.api:app"
    (note,) = [note for note in found.notes if "without an end" in note]
    assert f"`processes: {process}" in note


@pytest.mark.parametrize(
    "files",
    [
        {"worker.py": "print('done')\n"},
        {"test_bot.py": POLLS},
        {"chat.py": POLLS, "web/api.py": f"import chat\n{WEB}"},
        {"run.py": POLLS, "Procfile": "web: uvicorn web.api:app"},
    ],
)
def test_nothing_is_said(tmp_path: Path, files: dict[str, str]) -> None:
    """Neither of what ends, nor of what the application may start itself, nor where the author
    lists what runs."""
    found = detect(tree(tmp_path, {**REQUIREMENTS, **files}))
    assert not [note for note in found.notes if "without an end" in note]


def test_who_lists_processes_or_names_the_program_is_told_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path, {**REQUIREMENTS, "run.py": POLLS})
    assert not detect(root, declared=["bot"]).notes
    assert not detect(root, entrypoint="web.api:app").notes


def test_a_page_beside_the_application_is_named(tmp_path: Path) -> None:
    """A tool would have to run it; one that is run itself, or one of several, is no news."""
    page = "import streamlit as st\nst.title('Shop')\n"
    files = {**REQUIREMENTS, "board.py": page}
    (note,) = [note for note in detect(tree(tmp_path, files)).notes if "page of its own" in note]
    assert "`processes: {page: streamlit run board.py}`" in note
    tree(tmp_path, {"other.py": page})
    assert not [note for note in detect(tmp_path).notes if "page of its own" in note]
    (tmp_path / "other.py").unlink()
    (tmp_path / "web/api.py").unlink()
    found = detect(tmp_path)
    assert found.entrypoint.display == "streamlit run board.py"
    (note,) = found.notes
    assert note.startswith("Streamlit runs the script for each visitor: ")
