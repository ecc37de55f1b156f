from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file, repos_file
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import local_bases
from iac_wrapper.operations.infrastructure import is_recorded
from iac_wrapper.operations.intent import from_deployed, from_files, select
from iac_wrapper.operations.recorded_entries import written_entrypoint
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.program.detection import detect

DATA = Path(__file__).parents[2] / "data"

_FILES = {
    "requirements.txt": "flask\ngunicorn\n",
    "main.py": "print('detected')\n",
    "other.py": "def main():\n    print(1)\n",
    "web.py": "from flask import Flask\napp = Flask(__name__)\n",
    "my-web/app.py": "from flask import Flask\napp = Flask(__name__)\n",
    "pkg/__init__.py": "",
    "pkg/__main__.py": "print(1)\n",
    "pkg/mod.py": "def run():\n    print(1)\n",
    "src/inner/__init__.py": "",
    "src/inner/web.py": "from flask import Flask\napp = Flask(__name__)\n",
    "bin/serve": "#!/bin/sh\n",
    "made.py": "from flask import Flask\ndef make(name, number):\n    return Flask(name)\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "checkout" / "bin" / "serve").chmod(0o755)
    return tmp_path / "checkout"


def _deploy(workspace: Workspace, *apps: ResolvedApp) -> LockFile:
    """Make the state say that `apps` are deployed."""
    lock = LockFile(workspace.project, "iacnet-demo", "172.21.0.0/24", 15444, apps)
    state = workspace.layout.state(workspace.project)
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text(json.dumps({"outputs": {"lock": {"value": lock_file.dump(lock)}}}))
    for app in apps:
        workspace.layout.context(workspace.project, app.image).mkdir(parents=True, exist_ok=True)
    return lock


def _app(name: str, slug: str, entrypoint: Entrypoint | None = None) -> ResolvedApp:
    return ResolvedApp(
        name,
        slug,
        "1" * 40 if ":" in slug else None,
        "sha256:2",
        entrypoint or Entrypoint("script", "main.py", None, "main.py has a __main__ guard"),
        8080,
        True,
        {"A": "1", "KEY": "${KEY}"},
        "3.11",
        "iac/runtime:3.11-x",
        f"iac/demo-{name}:0",
    )


@pytest.mark.parametrize(
    "written",
    [
        "made:make('a b', number = 1)",
        *("main.py", "other.py", "other.py:main", "other", "other:main", "pkg", "pkg.mod:run"),
        *("pkg/mod.py:run", "web", "web.py", "my-web/app.py", "inner.web", "src/inner/web.py"),
        *("bin/serve", "/app/bin/serve", "gunicorn", "json.tool"),
    ],
)
def test_an_override_is_found_again(checkout: Path, written: str) -> None:
    """From entry to lock to entry: the same program, from repos.yaml or from the environment."""
    chosen = detect(checkout, entrypoint=written).entrypoint
    again = detect(checkout, entrypoint=written_entrypoint(chosen)).entrypoint
    assert again == chosen
    from_environment = detect(checkout, environment=written).entrypoint
    assert from_environment.reason == "ENTRYPOINT in the environment"
    once_more = detect(checkout, entrypoint=written_entrypoint(from_environment)).entrypoint
    assert once_more.source == "repos-file"
    same = replace(from_environment, reason=once_more.reason, source=once_more.source)
    assert once_more == same


def test_what_the_repository_decides_is_left_to_it(checkout: Path) -> None:
    """Detected, or from a label: a new commit may change it."""
    assert written_entrypoint(detect(checkout).entrypoint) is None
    (checkout / "Dockerfile").write_text("LABEL ENTRYPOINT=other.py\n")
    labelled = detect(checkout).entrypoint
    assert labelled.target == "other.py"
    assert written_entrypoint(labelled) is None


def test_an_earlier_lock_tells_who_chose(workspace: Workspace) -> None:
    """Written before the key `source`, by a deploy: the same entries come back, and the record in
    the state needs no apply for being in the older form."""
    old = DATA / "locks" / "before-source.lock.json"
    assert '"source"' not in old.read_text()
    lock = lock_file.load_lock(old)
    chosen = {app.name: written_entrypoint(app.entrypoint) for app in lock.apps}
    assert chosen == {"declared": "serve:start", "plain": "other.py"}

    state = workspace.layout.state(workspace.project)
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"outputs": {"lock": {"value": old.read_text()}}}))
    new = state.with_name("new.lock.json")
    lock_file.save_lock(lock, new)
    assert '"source"' in new.read_text()
    assert is_recorded(workspace, new)
    lock_file.save_lock(replace(lock, gateway_port=1), new)
    assert not is_recorded(workspace, new)


def test_a_deployed_service_is_deployed_again_as_it_is(workspace: Workspace) -> None:
    """Slug, port, env and override are those of the lock; the others stay, no commit is pinned."""
    override = Entrypoint("module", "pkg.mod", "run", "as somebody says", source="repos-file")
    web = _app("web", "gh:acme/web#v1:app", override)
    api = replace(_app("api", "gh:acme/api"), port=50051, port_declared=False)
    _deploy(workspace, api, web)
    intent = from_deployed(workspace, ["web", "web"])
    spec = intent.specs[0]
    assert len(intent.specs) == 1
    assert (spec.name, spec.slug.text, spec.entrypoint, spec.port, spec.env) == (
        "web",
        "gh:acme/web#v1:app",
        "pkg.mod:run",
        8080,
        {"A": "1", "KEY": "${KEY}"},
    )
    found = select(workspace, intent)
    assert (found.kept_apps, found.pinned_lock) == ((api,), None)
    assert from_deployed(workspace, ["api"]).specs[0].port is None
    locked = select(workspace, from_deployed(workspace, ["web"], locked=True)).pinned_lock
    assert locked
    assert locked.apps == (api, web)


def test_an_unknown_service_is_answered_with_those_there_are(workspace: Workspace) -> None:
    """So are projects in which nothing is deployed."""
    with pytest.raises(ConfigError, match="nothing is deployed"):
        from_deployed(workspace, ["web"])
    _deploy(workspace, _app("api", "gh:acme/api"), _app("web", "gh:acme/web"))
    with pytest.raises(ConfigError, match="no service x") as caught:
        from_deployed(workspace, ["web", "x"])
    assert caught.value.found == "api, web"


def _bases(workspace: Workspace, *names: str) -> list[Path]:
    return [spec.base for spec in from_deployed(workspace, names).specs]


def test_relative_paths_start_where_they_did(workspace: Workspace, tmp_path: Path) -> None:
    """The folder of the file that named them is noted at each deploy; the lock holds no path."""
    examples = tmp_path / "examples"
    greeter, clock = repos_file.from_slugs(["./greeter", "./clock"], base_dir=examples)
    lock = _deploy(workspace, _app("clock", "./clock"), _app("greeter", "./greeter"))
    local_bases.save_bases(workspace, [greeter, clock], lock)
    assert _bases(workspace, "greeter", "clock") == [examples, examples]

    moved = repos_file.from_slugs(["./clock"], base_dir=tmp_path)[0]
    local_bases.save_bases(workspace, [moved], lock)
    assert _bases(workspace, "greeter", "clock") == [examples, tmp_path]

    only = _deploy(workspace, _app("clock", "./clock"))
    local_bases.save_bases(workspace, [], only)
    assert local_bases.load_bases(workspace) == {"clock": str(tmp_path)}


def test_a_path_from_nowhere_is_not_guessed(workspace: Workspace, tmp_path: Path) -> None:
    """Deployed by other means: the project folder may hold another `greeter`, or its secrets."""
    _deploy(workspace, _app("greeter", "."), _app("web", f"{tmp_path}/web"))
    with pytest.raises(ConfigError, match="relative to") as caught:
        from_deployed(workspace, ["greeter"])
    assert caught.value.where == "service greeter"
    assert _bases(workspace, "web") == [workspace.layout.root]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_note_is_none(workspace: Workspace, text: str) -> None:
    """The deploy that follows writes a new one."""
    workspace.directory.mkdir(parents=True)
    (workspace.directory / "local-bases.json").write_text(text)
    assert local_bases.load_bases(workspace) == {}


def test_a_process_is_deployed_again_with_its_entry(workspace: Workspace) -> None:
    """Whichever of them is named: they share a commit. A line of the Procfile stays one."""
    command = "celery -A app worker"
    written = Entrypoint("command", "celery", None, "", source="repos-file", command=command)
    web, worker, clock = (
        replace(_app(name, "gh:acme/web"), image="iac/demo-web:0", process_of=of)
        for name, of in (("web", None), ("web-worker", "web"), ("web-clock", "web"))
    )
    worker = replace(worker, entrypoint=written)
    _deploy(workspace, _app("api", "gh:acme/api"), web, clock, worker)
    for named in ("web", "web-worker"):
        specs = from_deployed(workspace, [named]).specs
        assert [(s.name, s.process, s.entrypoint) for s in specs] == [
            ("web", "", None),
            ("web-clock", "clock", None),
            ("web-worker", "worker", command),
        ]


def test_an_entry_and_its_processes_are_resolved_together(
    workspace: Workspace, tmp_path: Path
) -> None:
    """A process that is new in the file needs the source of its entry, at the commit that runs."""
    web, api = _app("web", "gh:acme/web"), _app("api", "gh:acme/api")
    lock = _deploy(workspace, api, web)
    file = tmp_path / "repos.yaml"
    file.write_text(
        "- {slug: gh:acme/web, processes: {worker: celery worker -A x}}\n"
        "- gh:acme/api\n- gh:acme/x\n"
    )
    lock_file.save_lock(lock, lock_file.default_lock_path(file))

    found = select(workspace, from_files(file, chosen=["x"]))

    assert [spec.name for spec in found.fresh] == ["web", "web-worker", "x"]
    assert found.kept_apps == (api,)
    assert found.pinned_lock
    assert found.pinned_lock.apps == (api, web)
    chosen = from_files(file, chosen=["web-worker"])
    assert [spec.name for spec in chosen.chosen_specs] == ["web", "web-worker"]
    assert chosen.named == {"web", "web-worker"}
