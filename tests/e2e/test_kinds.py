"""Programs of every kind on the real engine, each asked through the mesh: one deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from iac_wrapper.files import lock_file
from iac_wrapper.model.lock import LockFile
from tests.e2e.conftest import ROOT, Project
from tests.support import kinds
from tests.support.git_server import GitServer
from tests.support.sentinel import showing
from tests.support.ssh_server import SshServer, ssh_server
from tests.support.stream import result_of

pytestmark = pytest.mark.integration

TOKEN = "ghp-sentinel" + "8Kx" * 4
"""Of the git host, whose repositories are private."""

ANSWERS = {
    "words/": "served",
    "shell/": "served",
    "mono/": "served",
    "pdm/": "idna 3.6",
    "pipenv/": "idna 3.6",
    "pylock/": "idna 3.6",
    "member/": "idna 3.6",
    "shop/": '{"hello":"world"}',
    "notes/": "notes",
    "board/": "<title>Streamlit</title>",
    "board/_stcore/health": "ok",
    "gradio/config": '"label":"Your name"',
    "aiohttp/": "aiohttp",
    "api/": "api",
    "script/": "idna 3.6",
    "ledger/": "private labels, private stamps, libpq 1",
    "own/": "its own image",
}
"""Service and path -> what its answer contains."""

ENTRYPOINTS = {
    "words": "gunicorn web:app",
    "shop": "uvicorn shop.api:app",
    "notes": "gunicorn notes.web:app",
    "site": "gunicorn site1.wsgi",
    "board": "streamlit run board.py",
    "gradio": "app.py",
    "aiohttp": "main.py",
    "greeter": "server.py",
    "bot": "bot.py",
    "tally": "tally:main",
    "script": "hello.py",
}
"""What runs: a beginning."""

FETCH = """
import json, sys, urllib.request
print(json.dumps({
    path: urllib.request.urlopen(f"http://{path}", timeout=20).read().decode()
    for path in sys.argv[1:]
}))
"""


@dataclass(frozen=True)
class Deployed:
    """The project, with the verdict by service, the lock and the lines of its deploy."""

    project: Project
    rows: dict[str, dict[str, Any]]
    lock: LockFile
    said: str

    def get(self, *paths: str) -> dict[str, str]:
        """What the service `words` gets from the others, by ``service/path``."""
        argv = ["/venv/bin/python", "-c", FETCH, *paths]
        found = self.project.container("words", "app").exec_run(argv)
        assert found.exit_code == 0, found.output
        answers: dict[str, str] = json.loads(found.output.decode().splitlines()[-1])
        return answers


@pytest.fixture(scope="module")
def ssh(git_server: GitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """The same repositories, opened by a key."""
    with ssh_server(tmp_path_factory.mktemp("ssh") / "sshd", git_server.folder) as running:
        yield running


@pytest.fixture(scope="module")
def deployed(project: Project, git_server: GitServer, ssh: SshServer) -> Deployed:
    """All of them, and the one that cannot serve."""
    git_server.token = TOKEN
    command = f"ssh -F none -oUserKnownHostsFile={ssh.known_hosts} -i {ssh.key}"
    own = {"GITHUB_TOKEN": TOKEN, "IAC_PROBATION": "3", "GIT_SSH_COMMAND": command}
    project.environment |= own
    kinds.write(project.folder, git_server, f"ssh://{ssh.user}@127.0.0.1:{ssh.port}")
    done = project.iac("deploy", "--file", str(project.file), "--json", code=7)
    rows = {row["name"]: row for row in result_of(done.stdout)["services"]}
    lock = lock_file.load_lock(project.folder / "repos.lock.json")
    return Deployed(project, rows, lock, done.stderr)


def test_each_answers_through_the_mesh(deployed: Deployed) -> None:
    """But for the command-line program, which is told from a service."""
    assert {name for name, row in deployed.rows.items() if row["status"] != "SERVING"} == {"tally"}
    answers = deployed.get(*ANSWERS)
    assert {path: said for path, said in answers.items() if ANSWERS[path] not in said} == {}


def test_what_was_chosen_is_what_its_kind_has(deployed: Deployed) -> None:
    """The program, and the evidence of those that nobody can ask over HTTP."""
    chosen = {app.name: app.entrypoint.display for app in deployed.lock.apps}
    wrong = {name for name, said in ENTRYPOINTS.items() if not chosen[name].startswith(said)}
    assert {name: chosen[name] for name in wrong} == {}
    assert deployed.rows["aiohttp"]["evidence"].endswith(" on 8080")
    bot = deployed.rows["bot"]
    assert (bot["run"], bot["evidence"]) == ("worker", "alive for more than 3 s")
    tally = deployed.rows["tally"]
    assert tally["message"] == "a command-line program: it printed its usage and ended"
    assert "`entrypoint: tally serve --port $PORT`" in tally["next_step"]


def test_grpc_is_answered_to_the_client_beside_its_server(deployed: Deployed) -> None:
    assert deployed.rows["greeter"]["evidence"].startswith("gRPC UNIMPLEMENTED in ")
    logs = deployed.project.container("greeter-client", "app").logs()
    assert logs.decode().splitlines() == ["Hello, you"]


def test_static_files_of_django_are_served(deployed: Deployed) -> None:
    """Collected in the build, under the names that the pages use, by what is supplied."""
    (path,) = deployed.get("site/").values()
    assert re.fullmatch(r"/static/site\.[0-9a-f]{12}\.css", path)
    assert deployed.get(f"site{path}") == {f"site{path}": "body { color: teal }\n"}
    notes = deployed.rows["site"]["notes"]
    assert any(note.startswith("static files are served by WhiteNoise") for note in notes)
    assert any("added to ALLOWED_HOSTS" in note for note in notes)


def test_a_private_requirement_leaves_no_token(deployed: Deployed) -> None:
    """Not in what the build saw, nor in the image."""
    project = deployed.project
    context = ROOT / ".iac" / "build" / project.name
    texts = [path.read_text("latin-1") for path in context.rglob("*") if path.is_file()]
    assert any("psycopg2" in text for text in texts)
    texts += [json.dumps(project.engine.api.history(tag)) for tag in project.image_tags()]
    assert [text[:200] for text in showing(texts, TOKEN)] == []


def test_debian_packages_are_those_of_the_program(deployed: Deployed) -> None:
    """By requirement, Aptfile and `packages:`; headers and compiler stay in the build."""
    ledger = deployed.project.container("ledger", "app")
    files = ledger.exec_run(["find", "/usr/bin", "/usr/lib", "/usr/include"]).output.decode()
    names = {line.rpartition("/")[2] for line in files.splitlines()}
    assert {"libpq.so.5", "libyaml-0.so.2", "xxd"} <= names
    assert not names & {"gcc", "git", "libpq-fe.h"}


def test_a_procfile_is_run(deployed: Deployed) -> None:
    """The lock says what runs, what for, and what does not."""
    mono, shell, words = (
        app for app in deployed.lock.apps if app.name in {"mono", "shell", "words"}
    )
    assert (words.entrypoint.kind, words.run) == ("command", "web")
    (note,) = words.notes
    assert note.startswith("Procfile: release: python cron_task.py is not run from there; ")
    assert (shell.entrypoint.kind, shell.run) == ("shell", "web")
    assert (mono.slug, mono.tree, mono.notes[1:]) == ("./mono", words.tree, words.notes)
    assert mono.notes[0] == "no program at the root: site/ is built, as for the slug ./mono#:site"
    row = deployed.rows["words"]
    assert (row["run"], row["notes"]) == ("web", list(words.notes))
    assert f"warning: words: {note}" in deployed.said


def test_a_command_is_traced_and_no_shell_stays(deployed: Deployed) -> None:
    """gunicorn's own script runs under OpenTelemetry; a line for a shell ends in its program.

    Spans are in the log of the one that asked for them.
    """
    words, shell = (deployed.project.container(name, "app") for name in ("words", "shell"))
    assert b'"name": "start gunicorn"' in words.logs()
    assert b'"trace_id"' not in shell.logs()
    commands = [line[-1] for line in shell.top()["Processes"]]
    assert not [command for command in commands if command.startswith("/bin/sh")]
    assert any("gunicorn web:app" in command for command in commands)


def test_a_version_from_a_tag(deployed: Deployed) -> None:
    """The image has what git would have said, and setuptools for a server that misses it."""
    asked = "import importlib.metadata as m, pkg_resources; print(m.version('shop.web'))"
    argv = ["/venv/bin/python", "-Wignore", "-c", asked]
    answer = deployed.project.container("shell", "app").exec_run(argv)
    assert answer.output.decode().strip() == "1.2.3"
    (shell,) = (app for app in deployed.lock.apps if app.name == "shell")
    assert any(note.startswith("gunicorn 20.1.0 imports pkg_res") for note in shell.notes)


def test_a_patch_release_that_is_not_there(deployed: Deployed) -> None:
    """requires-python is held against the image's own Python, before anything changes."""
    project = deployed.project
    pinned = '[project]\nname = "x"\nversion = "1"\nrequires-python = "==3.11.39"\n'
    files = {"main.py": "print()\n", "pyproject.toml": pinned}
    kinds.write_files(project.folder / "pinned", files)
    project.file.write_text(f"{kinds.ENTRIES}- ./pinned\n")
    before = project.container_ids()
    done = project.iac("deploy", "--file", str(project.file), "pinned", code=5)
    assert "pinned: python 3.11 (requires-python ==3.11.39 in pyproject.toml)" in done.stderr
    assert "requires-python ==3.11.39 is not met by the base's Python 3.11." in done.stderr
    assert project.container_ids() == before
