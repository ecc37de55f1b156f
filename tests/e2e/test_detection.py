"""What a repository says it runs, on the real engine: Procfile commands and a patch pin."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.files import lock_file
from tests.e2e.conftest import Project
from tests.support import locks, own_venv
from tests.support.git_server import Repository

pytestmark = pytest.mark.integration

APP = (
    "def app(environ, start_response):\n"
    "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
    "    return [b'served']\n"
)
TAGGED = """\
[build-system]
requires = ["setuptools", "setuptools-scm>=8"]
build-backend = "setuptools.build_meta"
[project]
name = "shop.web"
dynamic = ["version"]
[tool.setuptools]
py-modules = ["web"]
[tool.setuptools_scm]
"""
ASK = "import urllib.request as u; print(u.urlopen('http://{}:50051/').read().decode())"


def _write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


SHOWS = (
    "from importlib.metadata import version\n"
    "from wsgiref.simple_server import make_server\n"
    "TEXT = f'idna {version(\"idna\")}'\n"
    "def app(environ, start_response):\n"
    "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
    "    return [TEXT.encode()]\n"
    "if __name__ == '__main__':\n"
    "    make_server('', 50051, app).serve_forever()\n"
)
"""A program that needs nothing to serve, and answers with the version that was installed."""

BUILD = '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
ONE = 'version = "1"\ndescription = "x"\nrequires-python = ">=3.11"\n'

LOCKED: dict[str, dict[str, str | bytes]] = {
    "poetry": {"pyproject.toml": locks.POETRY_PROJECT, "poetry.lock": locks.POETRY},
    "pdm": {"pyproject.toml": locks.PDM_PROJECT, "pdm.lock": locks.PDM},
    "pipenv": {"Pipfile": locks.PIPFILE, "Pipfile.lock": locks.PIPENV},
    "pylock": {
        "pyproject.toml": f'{BUILD}[project]\nname = "board"\n{ONE}',
        "board.py": "",
        "pylock.toml": locks.PYLOCK,
    },
}
WORKSPACE: dict[str, str | bytes] = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["libs/core", "libs/other", "member"]\n',
    "member/main.py": f"import core\n{SHOWS}",
    "member/pyproject.toml": f'[project]\nname = "member"\n{ONE}dependencies = ["core"]\n'
    "[tool.uv.sources]\ncore = { workspace = true }\n",
    "libs/core/core.py": "",
    "libs/core/pyproject.toml": f'{BUILD}[project]\nname = "core"\n{ONE}'
    'dependencies = ["idna==3.6"]\n',
    "libs/other/pyproject.toml": f'{BUILD}[project]\nname = "other"\n{ONE}',
}


@pytest.fixture(scope="module")
def deployed(project: Project) -> Project:
    """One service started from words, one by a shell, one that is in the only folder of its
    repository; requirements as Windows writes them.

    The second has its version from a tag, and a gunicorn from before setuptools lost pkg_resources.
    And one for each kind of lock.
    """
    command = "gunicorn web:app --bind 127.0.0.1:${PORT:-5000}"
    common: dict[str, str | bytes] = {
        "web.py": APP,
        "cron_task.py": "if __name__ == '__main__':\n    print('tick')\n",
        "base.txt": "gunicorn==23.0.0\r\n".encode("utf-16"),
        "requirements.txt": "-r base.txt\r\n".encode("utf-16"),
    }
    words = {"Procfile": f"release: python cron_task.py\nweb: {command}\n"}
    shell = {"Procfile": f"web: python cron_task.py && {command}\n"}
    _write(project.folder / "words", {**common, **words})
    tagged = Repository.create(project.folder / "shell")
    tagged.commit({**common, **shell, "base.txt": "gunicorn==20.1.0\n", "pyproject.toml": TAGGED})
    tagged.git("tag", "v1.2.3")
    _write(project.folder / "mono" / "site", {**common, **words})
    for name, files in LOCKED.items():
        _write(project.folder / name, {"main.py": SHOWS, **files})
    _write(project.folder / "workspace", WORKSPACE)
    own_venv.uv("lock", "--quiet", cwd=project.folder / "workspace")
    project.file.write_text(ENTRIES)
    project.deploy()
    return project


ENTRIES = "".join(
    f"- {entry}\n"
    for entry in (
        *("{slug: ./words, env: {OTEL_TRACES_EXPORTER: console}}", "./shell", "./mono"),
        *(f"./{name}" for name in LOCKED),
        '"./workspace#:member"',
    )
)


def test_every_lock_is_honoured(deployed: Project) -> None:
    """The version of the lock answers, also of a workspace's for a member without its own."""
    for name in (*LOCKED, "member"):
        python = ["/venv/bin/python", "-c", ASK.format(name)]
        answer = deployed.container("words", "app").exec_run(python)
        assert (name, answer.output.decode().strip()) == (name, "idna 3.6")


def test_a_procfile_is_run(deployed: Project) -> None:
    """Each answers over the mesh, and the lock says what runs, what for, and what does not."""
    lock = lock_file.load_lock(deployed.folder / "repos.lock.json")
    mono, shell, words = (app for app in lock.apps if app.name in {"mono", "shell", "words"})
    assert (words.entrypoint.kind, words.run) == ("command", "web")
    (note,) = words.notes
    assert note.startswith("Procfile: release: python cron_task.py is not run from there; ")
    assert (shell.entrypoint.kind, shell.run) == ("shell", "web")
    assert (mono.slug, mono.tree, mono.notes[1:]) == ("./mono", words.tree, words.notes)
    assert mono.notes[0] == "no program at the root: site/ is built, as for the slug ./mono#:site"
    row = deployed.health()["words"]
    assert (row["run"], row["notes"]) == ("web", list(words.notes))
    for here, there in (("words", "shell"), ("shell", "words"), ("words", "mono")):
        python = ["/venv/bin/python", "-c", ASK.format(there)]
        answer = deployed.container(here, "app").exec_run(python)
        assert answer.output.decode().strip() == "served"


def test_a_command_is_traced_and_no_shell_stays(deployed: Project) -> None:
    """gunicorn's own script runs under OpenTelemetry; a line for a shell ends in its program.

    Spans are in the log of the one that asked for them.
    """
    assert b'"name": "start gunicorn"' in deployed.container("words", "app").logs()
    assert b'"trace_id"' not in deployed.container("shell", "app").logs()
    commands = [line[-1] for line in deployed.container("shell", "app").top()["Processes"]]
    assert not [command for command in commands if command.startswith("/bin/sh")]
    assert any("gunicorn web:app" in command for command in commands)


def test_a_version_from_a_tag(deployed: Project) -> None:
    """The image has what git would have said, and setuptools for a server that misses it."""
    asked = "import importlib.metadata as m, pkg_resources; print(m.version('shop.web'))"
    answer = deployed.container("shell", "app").exec_run(
        ["/venv/bin/python", "-Wignore", "-c", asked]
    )
    assert answer.output.decode().strip() == "1.2.3"
    lock = lock_file.load_lock(deployed.folder / "repos.lock.json")
    assert any(note.startswith("gunicorn 20.1.0 imports pkg_res") for note in lock.apps[0].notes)


def test_a_patch_release_that_is_not_there(deployed: Project) -> None:
    """requires-python is held against the image's own Python, before anything changes."""
    pinned = '[project]\nname = "x"\nversion = "1"\nrequires-python = "==3.11.39"\n'
    _write(deployed.folder / "pinned", {"main.py": "print()\n", "pyproject.toml": pinned})
    deployed.file.write_text(f"{ENTRIES}- ./pinned\n")
    before = deployed.container_ids()
    done = deployed.iac("deploy", "--file", str(deployed.file), code=5)
    assert "words: python 3.11 (the default), dependencies: requirements.txt" in done.stderr
    assert "warning: words: Procfile: release: python cron_task.py is not run" in done.stderr
    assert "requires-python ==3.11.39 is not met by the base's Python 3.11." in done.stderr
    assert deployed.container_ids() == before
