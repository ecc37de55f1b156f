"""A command in `entrypoint:` or `processes:` is read as one of a Procfile is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.files import lock_file
from iac_wrapper.model.command_words import joined
from iac_wrapper.operations.recorded_entries import written_entrypoint
from iac_wrapper.program.detection import detect, process_program
from tests.support.deployed import app
from tests.unit.program.detection.test_detection import GUARDED, executable, tree

Words = tuple[str, ...]


def checkout(root: Path) -> Path:
    names = ("main.py", "jobs/run.py", "my app.py", "notes.txt")
    return tree(root, {**dict.fromkeys(names, GUARDED), "Procfile": "clock: python jobs/run.py\n"})


@pytest.mark.parametrize(
    ("written", "kind", "target", "args", "run"),
    [
        (
            "gunicorn -b 0.0.0.0:$PORT shop.wsgi",
            "command",
            "gunicorn",
            ("-b", "0.0.0.0:$PORT", "shop.wsgi"),
            "web",
        ),
        ("celery -A app worker", "command", "celery", ("-A", "app", "worker"), "worker"),
        ("python -m http.server $PORT", "module", "http.server", ("$PORT",), "web"),
        ("./bin/server --flag", "command", "/app/bin/server", ("--flag",), None),
        ("python jobs/run.py --fast", "script", "jobs/run.py", ("--fast",), None),
        ("cd jobs && python run.py", "shell", "cd jobs && exec python run.py", (), None),
        ("sleep 1; exec celery beat", "shell", "sleep 1; exec celery beat", (), "worker"),
        ("main.py --fast", "script", "main.py", ("--fast",), None),
        (f"true && echo {'x' * 300}", "shell", f"true && exec echo {'x' * 300}", (), None),
        ("jobs.run:main --fast", "module", "jobs.run", ("--fast",), None),
        ("jobs/run.py:main --fast", "script", "jobs/run.py", ("--fast",), None),
        # One word is what it was, and so is a file with a blank in its name.
        ("gunicorn", "module", "gunicorn", (), "web"),
        ("my app.py", "script", "my app.py", (), None),
    ],
)
def test_commands(  # noqa: PLR0917 - the columns of the table above
    tmp_path: Path, written: str, kind: str, target: str, args: Words, run: str | None
) -> None:
    """From entry to lock, and back: the same program, and what it is for."""
    executable(checkout(tmp_path), "bin/server")
    chosen = detect(tmp_path, entrypoint=written).entrypoint
    assert (chosen.kind, chosen.target, chosen.args, chosen.run) == (kind, target, args, run)
    locked = lock_file.app_to_json(replace(app("web"), entrypoint=chosen))
    assert lock_file.app_from_json("web", locked).entrypoint == chosen
    assert detect(tmp_path, entrypoint=written_entrypoint(chosen)).entrypoint == chosen


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("python missing.py --fast", "it names missing.py, which is not in the checkout"),
        ("./bin/missing --flag", "it names bin/missing, which is not in the checkout"),
        ("./notes.txt x", "notes.txt is not executable"),
        ("jobs/missing.py:main --fast", "it names jobs/missing.py, which is not in the checkout"),
        ("gunicorn 'shop", "the command cannot be read: no closing quotation"),
    ],
)
def test_refusals(tmp_path: Path, written: str, message: str) -> None:
    """What the checkout has not is told before anything is built, with the line."""
    with pytest.raises(EntrypointError, match=message) as caught:
        detect(checkout(tmp_path), entrypoint=written, where="repos.yaml:3")
    assert caught.value.where == "repos.yaml:3"
    assert caught.value.found == f"entrypoint: {written}"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["celery", "-A", "app", "worker"], "celery -A app worker"),
        (
            ["gunicorn", "-b", "0.0.0.0:$PORT", "shop:make()"],
            "gunicorn -b 0.0.0.0:$PORT 'shop:make()'",
        ),
        (["echo", "$HOME", "a b:${PORT}", ""], "echo '$HOME' 'a b:'${PORT} ''"),
    ],
)
def test_a_list_means_its_words(words: list[str], line: str) -> None:
    """No shell reads them; $PORT alone is filled in."""
    assert joined(words) == line
    assert joined(words[:1]) is None


def test_a_process_runs_its_command_or_its_line_of_the_procfile(tmp_path: Path) -> None:
    """Its errors name the process and its line of repos.yaml."""
    root = checkout(tmp_path)
    beat = process_program(root, "beat", "celery -A app beat", "repos.yaml:4")
    assert (beat.display, beat.run, beat.source) == ("celery -A app beat", "worker", "repos-file")
    assert beat.reason == "processes: beat: in repos.yaml"
    clock = process_program(root, "clock", None, "repos.yaml:4")
    assert (clock.display, clock.run, clock.source) == ("jobs/run.py", "worker", "repository")
    assert process_program(root, "x", "jobs/run.py", "").kind == "script"
    with pytest.raises(EntrypointError, match="no process later in the Procfile") as caught:
        process_program(root, "later", None, "repos.yaml:4")
    assert caught.value.found == "the processes clock"
    assert caught.value.where == "repos.yaml:4"
