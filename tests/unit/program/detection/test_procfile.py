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
        ("gunicorn shop:make() -w 2", ("command", "gunicorn", ("shop:make()", "-w", "2"))),
        ("sh -c 'gunicorn shop:make() '", ("command", "sh", ("-c", "gunicorn shop:make() "))),
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


def test_without_web_the_worker_is_the_service_else_the_only_process(tmp_path: Path) -> None:
    """What others are for is read from their command or their code; `release:` ends."""
    chosen = found(
        tmp_path, "worker: celery -A shop worker\nbeat: celery -A shop beat\n"
    ).entrypoint
    assert (chosen.display, chosen.run) == ("celery -A shop worker", "worker")
    clock = found(tmp_path, "release: python web.py\nclock: python cron_task.py\n").entrypoint
    assert (clock.display, clock.run, clock.reason) == (
        "cron_task.py",
        None,
        "clock: in the Procfile",
    )
    api = found(tmp_path, "api: gunicorn shop:make()\n").entrypoint
    assert (api.kind, api.display, api.run) == ("command", "gunicorn shop:make()", "web")
    assert found(tmp_path, "release: python web.py\n").entrypoint.target == "main.py"
    assert detect(tmp_path, declared=["clock"]).entrypoint.target == "main.py"


def test_several_processes_without_web_leave_it_to_other_files(tmp_path: Path) -> None:
    """None is meant more than another; without a program of another kind that is the answer."""
    two = "clock: python web.py\nmail: python cron_task.py\n"
    assert found(tmp_path, two).entrypoint.target == "main.py"
    (tmp_path / "main.py").unlink()
    with pytest.raises(EntrypointError, match="several processes") as caught:
        detect(tmp_path)
    assert caught.value.found == "clock, mail"


def test_a_program_of_another_language_is_not_looked_for_in_vain(tmp_path: Path) -> None:
    """It is in no image for Python; Python beside it makes the command its own business."""
    files = {"Procfile": "web: bundle exec rackup -p $PORT\n", "Gemfile": ""}
    with pytest.raises(EntrypointError, match="not in an image for Python") as caught:
        detect(tree(tmp_path, files))
    assert caught.value.where == "Procfile:1"
    assert "Ruby (Gemfile) needs a Dockerfile" in str(caught.value.next_step)
    python = tree(tmp_path, {"requirements.txt": "", "a.py": ""})
    assert detect(python).entrypoint.target == "bundle"


def test_a_command_of_another_language_is_answered_with_what_would_work(tmp_path: Path) -> None:
    """The file that it names comes from a build that is not made here."""
    files = {"Procfile": "web: bin/shop\n", "go.mod": "module example.test/shop\n"}
    with pytest.raises(EntrypointError, match="bin/shop, which is not in the checkout") as caught:
        detect(tree(tmp_path, files))
    assert "Go (go.mod) needs a Dockerfile" in str(caught.value.next_step)


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


STALE = "web: gunicorn site:app --bind 0.0.0.0:$PORT"


def test_a_line_of_before_a_move_is_refused(tmp_path: Path) -> None:
    """The module lies in a folder by now: the server would end at once."""
    files = {"shop/site.py": "from flask import Flask\napp = Flask(__name__)\n"}
    root = tree(tmp_path, {**files, "requirements.txt": "flask\ngunicorn", "Procfile": STALE})
    with pytest.raises(EntrypointError, match="names the module site, which cannot be") as caught:
        detect(root)
    assert caught.value.where == "Procfile:1"
    named = "entrypoint: gunicorn shop.site:app --bind 0.0.0.0:$PORT"
    assert named in str(caught.value.next_step)
    assert detect(root, entrypoint=named.partition(": ")[2]).entrypoint.target == "gunicorn"


@pytest.mark.parametrize(
    "files",
    [
        {"site.py": ""},
        {"site/__init__.py": ""},
        {"src/site.py": ""},
        {"other/site.py": ""},
        {"requirements.txt": "gunicorn\nsite"},
        {"setup.py": "setup(package_dir={'': 'shop'})"},
        {"gunicorn.conf.py": "chdir = 'shop'"},
        {"Procfile": STALE.replace("site:app", "--chdir shop site:app")},
    ],
)
def test_a_module_that_may_be_found_is_not(tmp_path: Path, files: dict[str, str]) -> None:
    """Something else brings it, or several files could be meant."""
    usual = {"shop/site.py": "", "requirements.txt": "gunicorn", "Procfile": STALE}
    assert detect(tree(tmp_path, {**usual, **files})).entrypoint.target == "gunicorn"
