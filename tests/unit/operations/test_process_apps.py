from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import EntrypointError
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.options import Options
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations.process_apps import process_app
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app

ENTRY = app("shop", "gh:acme/shop")


def spec(command: str | None, process: str = "beat", **more: object) -> AppSpec:
    slug = Slug.parse("gh:acme/shop")
    made = AppSpec(f"shop-{process}", slug, command, where="repos.yaml:4", process_of="shop")
    return replace(made, **more)  # type: ignore[arg-type]


def test_it_has_the_source_and_the_image_of_its_entry(workspace: Workspace, tmp_path: Path) -> None:
    """And a command, port, environment and options of its own."""
    wanted = spec("celery beat -b redis", env={"A": "1"}, options=Options(memory_mb=64))
    made = process_app(workspace, wanted, replace(ENTRY, env={"B": "2"}, run="web"), tmp_path)
    assert (made.name, made.process_of, made.group) == ("shop-beat", "shop", "shop")
    assert (made.image, made.commit, made.tree) == (ENTRY.image, ENTRY.commit, ENTRY.tree)
    assert (made.env, made.options.memory_mb, made.run) == ({"A": "1"}, 64, "worker")
    web = process_app(workspace, spec("sleep 5", port=8080), ENTRY, tmp_path)
    assert (web.port, web.port_declared, web.run) == (8080, True, "web")


def test_one_called_worker_is_a_worker(workspace: Workspace, tmp_path: Path) -> None:
    """Unless its command or its code says otherwise."""
    (tmp_path / "run.py").write_text("import sys\nsys.exit(0)\n")
    runs = {
        process_app(workspace, spec(command, process), ENTRY, tmp_path).run
        for process, command in (("worker", "gunicorn x:y"), ("beat", "python run.py now"))
    }
    assert runs == {"web", None}
    assert process_app(workspace, spec("python run.py", "worker"), ENTRY, tmp_path).run == "worker"


def test_an_image_without_python_starts_no_python(workspace: Workspace, tmp_path: Path) -> None:
    """A shell finds programs there; a Python program is told to have an entry of its own."""
    (tmp_path / "run.py").write_text("")
    entry = replace(ENTRY, python=None)
    made = process_app(workspace, spec("serve -p $PORT 'a b'"), entry, tmp_path)
    assert made.entrypoint.argv(80) == ("/bin/sh", "-c", "exec serve -p $PORT 'a b'")
    made = process_app(workspace, spec('serve "a b" -p $PORT'), entry, tmp_path)
    assert made.entrypoint.argv(80) == ("/bin/sh", "-c", "exec serve 'a b' -p $PORT")
    with pytest.raises(EntrypointError, match="the image of shop has no Python") as caught:
        process_app(workspace, spec("python run.py"), entry, tmp_path)
    assert caught.value.where == "repos.yaml:4"
