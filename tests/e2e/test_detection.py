"""What a repository says it runs, on the real engine: Procfile commands and a patch pin."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.files import lock_file
from tests.e2e.conftest import Project

pytestmark = pytest.mark.integration

APP = (
    "def app(environ, start_response):\n"
    "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
    "    return [b'served']\n"
)
FILE = "- {slug: ./words, env: {OTEL_TRACES_EXPORTER: console}}\n- ./shell\n- ./mono\n"
ASK = "import urllib.request as u; print(u.urlopen('http://{}:50051/').read().decode())"


def _write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture(scope="module")
def deployed(project: Project) -> Project:
    """One service started from words, one by a shell, one that is in the only folder of its
    repository; requirements as Windows writes them."""
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
    _write(project.folder / "shell", {**common, **shell})
    _write(project.folder / "mono" / "site", {**common, **words})
    project.file.write_text(FILE)
    project.deploy()
    return project


def test_a_procfile_is_run(deployed: Project) -> None:
    """Each answers over the mesh, and the lock says what runs, what for, and what does not."""
    lock = lock_file.load_lock(deployed.folder / "repos.lock.json")
    mono, shell, words = lock.apps
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


def test_a_patch_release_that_is_not_there(deployed: Project) -> None:
    """requires-python is held against the image's own Python, before anything changes."""
    pinned = '[project]\nname = "x"\nversion = "1"\nrequires-python = "==3.11.39"\n'
    _write(deployed.folder / "pinned", {"main.py": "print()\n", "pyproject.toml": pinned})
    deployed.file.write_text(f"{FILE}- ./pinned\n")
    before = deployed.container_ids()
    done = deployed.iac("deploy", "--file", str(deployed.file), code=5)
    assert "words: python 3.11 (the default), dependencies: requirements.txt" in done.stderr
    assert "warning: words: Procfile: release: python cron_task.py is not run" in done.stderr
    assert "requires-python ==3.11.39 is not met by the base's Python 3.11." in done.stderr
    assert deployed.container_ids() == before


TOOL = """import argparse
parser = argparse.ArgumentParser()
parser.add_subparsers().add_parser("serve")
parser.parse_args()
parser.print_help()
"""


def test_a_command_line_without_arguments_is_no_service(deployed: Project) -> None:
    """It ends with exit code 0 and has served nobody; `run: job` says that this is all."""
    _write(deployed.folder / "tool", {"tool.py": TOOL})
    deployed.file.write_text(f"{FILE}- ./tool\n- {{slug: ./tool, name: once, run: job}}\n")
    done = deployed.iac("deploy", "--file", str(deployed.file), code=7)
    once = deployed.health(code=7)["once"]
    assert (once["status"], once["phase"]) == ("SERVING", "COMPLETED")
    said = done.stdout + done.stderr
    assert "tool: a command-line program: it printed its usage and ended" in said
    assert "evidence: usage: tool.py [-h] {serve} ..." in said
    assert "such as `entrypoint: python tool.py serve --port $PORT`" in said
