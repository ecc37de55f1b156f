"""A server that would end at once is left to one that serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.detection import detect
from tests.unit.program.detection.test_detection import tree

APP = (
    "import uvicorn\nfrom fastapi import FastAPI\nfrom config import RELOAD\n\napp = FastAPI()\n\n"
)
GUARD = 'if __name__ == "__main__":\n    '


def started(root: Path, call: str, requirements: str = "fastapi\nuvicorn\n") -> str:
    files = {
        "main.py": f"{APP}{GUARD}{call}\n",
        "config.py": "RELOAD = True\n",
        "requirements.txt": requirements,
    }
    return detect(tree(root, files)).entrypoint.display


@pytest.mark.parametrize(
    "call",
    [
        "uvicorn.run(app, reload=True)",
        "uvicorn.run(app, host='0.0.0.0', reload=RELOAD)",
        "uvicorn.run(app=app, workers=4)",
    ],
)
def test_an_object_is_not_reloaded(tmp_path: Path, call: str) -> None:
    """Uvicorn would warn and end at once."""
    served = "uvicorn main:app --host 127.0.0.1 --port $PORT"
    assert started(tmp_path, call) == served
    assert started(tmp_path, call, "fastapi\n") == served


@pytest.mark.parametrize(
    "call",
    [
        "uvicorn.run('main:app', reload=True)",
        "uvicorn.run(app)",
        "uvicorn.run(app, reload=False, workers=1)",
        "uvicorn.run(f'{__name__}:app', workers=2)",
    ],
)
def test_what_uvicorn_takes_is_started_as_it_is(tmp_path: Path, call: str) -> None:
    assert started(tmp_path, call) == "main.py"
