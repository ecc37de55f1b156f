"""The Procfile is the author's own word: what it runs, how, and what of it is not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.program.detection import Detection, detect
from tests.unit.program.detection.test_detection import GUARDED, executable, tree

GUNICORN = ("command", "gunicorn", ("app:app", "--bind", "0.0.0.0:$PORT"))


def found(root: Path, procfile: str, **wishes: str) -> Detection:
    files = dict.fromkeys(("web.py", "cron_task.py", "main.py", "bin/run.py"), GUARDED)
    return detect(tree(root, {**files, "Procfile": procfile}), **wishes)


def test_it_comes_before_every_place(tmp_path: Path) -> None:
    """`web: python web.py` beside a main.py and a cron_task.py runs web.py."""
    chosen = found(tmp_path, "web: python web.py --fast\n").entrypoint
    assert (chosen.kind, chosen.target, chosen.args) == ("script", "web.py", ("--fast",))
    assert (chosen.run, chosen.reason) == ("web", "web: in the Procfile")
    assert "main.py: comes after web.py --fast" in chosen.rejected
    by_hand = found(tmp_path, "web: python web.py", entrypoint="main.py")
    assert by_hand.entrypoint.target == "main.py"
    (note,) = by_hand.notes
    assert note.startswith("Procfile: web: python web.py is not run")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("gunicorn app:app --bind 0.0.0.0:$PORT", GUNICORN),
        ('gunicorn "app:app" --bind "0.0.0.0:${PORT:-5000}"', GUNICORN),
        ("pipenv run gunicorn app:app --bind 0.0.0.0:${PORT}", GUNICORN),
        ("gunicorn 'shop:create_app()'", ("command", "gunicorn", ("shop:create_app()",))),
        ("python3 -u -m shop.web --port=$PORT", ("module", "shop.web", ("--port=$PORT",))),
        ("python bin/run.py", ("script", "bin/run.py", ())),
        ("python bin", ("command", "python", ("bin",))),
        ("python -c 'print(1)'", ("command", "python", ("-c", "print(1)"))),
        ("./serve --fast", ("command", "/app/serve", ("--fast",))),
        (
            'python manage.py migrate && gunicorn app:app -b ":${PORT:-80}"',
            ("shell", 'python manage.py migrate && exec gunicorn app:app -b ":${PORT:-80}"', ()),
        ),
        ("gunicorn app:app -w $WORKERS", ("shell", "exec gunicorn app:app -w $WORKERS", ())),
        ("cd src && python web.py", ("shell", "cd src && exec python web.py", ())),
        ("A=1 python web.py", ("shell", "A=1 python web.py", ())),
        ("cd src &&", ("shell", "cd src &&", ())),
        ("sh -c 'a && b'", ("command", "sh", ("-c", "a && b"))),
        ("python web.py | tee log", ("shell", "python web.py | tee log", ())),
        ("echo 'a && b' > x; ./serve", ("shell", "echo 'a && b' > x; ./serve", ())),
        ("sh -c 'echo $PORT'", ("shell", "exec sh -c 'echo $PORT'", ())),
    ],
)
def test_commands(tmp_path: Path, command: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    """Words start a program as they are; only what needs a shell gets one."""
    executable(tmp_path, "serve")
    chosen = found(tmp_path, f"web: {command}\n").entrypoint
    assert (chosen.kind, chosen.target, chosen.args) == expected


def test_other_processes_are_named(tmp_path: Path) -> None:
    """One process of a repository is run; release: and the rest are said, with the line to write,
    but for those that the entry has among its `processes:`."""
    text = "# comment\nrelease: python migrate.py\nweb: gunicorn a:b\n\nworker: celery worker\n"
    release = (
        "Procfile: release: python migrate.py is not run from there;"
        " `release: python migrate.py` in its entry runs it before each version"
    )
    assert found(tmp_path, text).notes == (
        release,
        "Procfile: worker: celery worker is not run; `processes: [worker]` in its entry runs it as"
        " a service of its own",
    )
    assert detect(tmp_path, declared=["worker"]).notes == (release,)
    assert detect(tmp_path, declared=["worker", "release"]).notes == ()


def test_a_worker_alone(tmp_path: Path) -> None:
    """Without web: the worker is the service; a clock alone leaves it to the other rules."""
    chosen = found(tmp_path, "worker: celery -A shop worker\n").entrypoint
    assert (chosen.display, chosen.run) == ("celery -A shop worker", "worker")
    other = found(tmp_path, "clock: python clock.py\n")
    assert other.entrypoint.target == "main.py"
    assert other.notes[0].startswith("Procfile: clock: python clock.py is not run")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("python missing.py", "it names missing.py, which is not in the checkout"),
        ("./start.sh", "start.sh is not executable"),
        ("gunicorn 'app:app", "the command cannot be read: no closing quotation"),
    ],
)
def test_refusals(tmp_path: Path, command: str, message: str) -> None:
    """A line that cannot work is an error with its place, not a reason to run something else."""
    tree(tmp_path, {"start.sh": "#!/bin/sh\n"})
    with pytest.raises(EntrypointError, match=message) as caught:
        found(tmp_path, f"release: x\nweb: {command}\n")
    assert caught.value.where == "Procfile:2"
    assert caught.value.found == f"web: {command}"
