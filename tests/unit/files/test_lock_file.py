from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import lock_file
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.exposure import Exposure
from iac_wrapper.model.foreign_image import ForeignImage
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import Options

APP = ResolvedApp(
    name="b",
    slug="gh:a/b#v1",
    commit="a" * 40,
    tree="sha256:" + "b" * 64,
    entrypoint=Entrypoint(
        "module", "b.main", "run", "a reason", ("main.py: no",), source="environment"
    ),
    port=50051,
    port_declared=False,
    env={"Z": "1", "A": "${KEY}"},
    python="3.11",
    base="sha256:" + "c" * 64,
    image="iac/iacnet-b:0123456789ab",
)
LOCK = LockFile("iacnet", "iacnet", "172.20.0.0/16", 15443, (APP, replace(APP, name="c")))


def test_round_trip(tmp_path: Path) -> None:
    """What is saved is loaded again, equal, and saved again it is the same text."""
    path = tmp_path / "repos.lock.json"
    lock_file.save_lock(LOCK, path)
    assert lock_file.load_lock(path) == LOCK
    assert lock_file.dump(lock_file.load_lock(path)) == path.read_text()
    assert LOCK.trust_domain == "iacnet"


def test_a_stopped_service_is_kept_whole_and_apart(tmp_path: Path) -> None:
    """It starts again as it was, at the port that it had; other locks have no key for it."""
    expose = Options(expose=(Exposure(None),))
    lock = replace(LOCK, apps=(replace(APP, options=expose), replace(APP, name="c")))
    lock = replace(lock, ingress_port=15080).parking({"b"})
    lock_file.save_lock(lock, tmp_path / "x.json")
    found = lock_file.load_lock(tmp_path / "x.json")
    assert found == lock
    assert ([app.name for app in found.apps], found.routes) == (["c"], ())
    assert [app.name for app in found.without({"c"}).all_apps] == ["b"]
    assert found.parking(()).parked == ()
    assert "stopped" not in lock_file.dump(LOCK)


def test_options_and_notes(tmp_path: Path) -> None:
    """What was said of how a service runs is kept; a lock that says nothing has no such keys."""
    entrypoint = replace(APP.entrypoint, run="web", web_object="web:app")
    served = {"variables": (("A", "1"), ("B", "$PORT")), "supplied": "gunicorn"}
    served["writable"] = ("/app/instance",)
    entrypoint = replace(entrypoint, **served)  # type: ignore[arg-type]
    options = Options(run="web", tmpfs={"/app/tmp": 9})
    said = replace(APP, run="web", options=options, notes=("a note",), entrypoint=entrypoint)
    lock_file.save_lock(replace(LOCK, apps=(said,)), tmp_path / "x.json")
    assert lock_file.load_lock(tmp_path / "x.json").apps == (said,)
    silent = json.loads(lock_file.dump(LOCK))["apps"]["b"]
    assert {"run", "options", "notes"}.isdisjoint(silent)
    assert {"run", "web_object", "variables", "supplied"}.isdisjoint(silent["entrypoint"])


def test_a_foreign_image_is_kept_whole(tmp_path: Path) -> None:
    """Also what is 0, as root's uid is; a lock without such an image has no key for it."""
    foreign = ForeignImage("r@sha256:aa", 0, 0, "root", volumes=("/data",), has_shell=True)
    for said in (foreign, ForeignImage("", 9, 0, "image", dockerfile="Dockerfile")):
        lock = replace(LOCK, apps=(replace(APP, foreign=said),))
        lock_file.save_lock(lock, tmp_path / "x.json")
        assert lock_file.load_lock(tmp_path / "x.json") == lock
    assert "foreign" not in lock_file.dump(LOCK)


def test_only_a_choice_from_outside_the_repository_is_written() -> None:
    """Locks of what a repository decides by itself stay the text that they were."""
    found = replace(APP, entrypoint=replace(APP.entrypoint, source="repository"))
    texts = [lock_file.dump(replace(LOCK, apps=(app,))) for app in (APP, found)]
    assert ['"source": "environment"' in text for text in texts] == [True, False]
    assert lock_file.parse_lock(texts[1], where="x").apps == (found,)


def test_text_is_stable() -> None:
    """Order of apps and of environment does not show: the file is safe to commit and compare."""
    shuffled = replace(
        LOCK, apps=(LOCK.apps[1], replace(APP, env=dict(reversed(list(APP.env.items())))))
    )
    assert lock_file.dump(shuffled) == lock_file.dump(LOCK)
    assert lock_file.dump(LOCK).endswith("}\n")


def test_default_path() -> None:
    """The lock lies beside its repos file."""
    assert lock_file.default_lock_path(Path("x/repos.yaml")) == Path("x/repos.lock.json")
    assert lock_file.default_lock_path(Path("dev.yml")) == Path("dev.lock.json")


def test_the_environment_is_recorded(tmp_path: Path) -> None:
    """Each has a lock of its own; without one, the lock says nothing of it."""
    path = lock_file.default_lock_path(tmp_path / "repos.yaml", "staging")
    assert path == tmp_path / "repos.staging.lock.json"
    lock_file.save_lock(replace(LOCK, environment="staging"), path)
    assert lock_file.load_lock(path).environment == "staging"
    assert "environment" not in json.loads(lock_file.dump(LOCK))
    path.unlink()
    for known, command in ((False, "repos.staging.yaml"), (True, "repos.yaml --env staging")):
        if known:
            (tmp_path / "repos.yaml").touch()
        with pytest.raises(ConfigError, match="no lock file") as caught:
            lock_file.load_lock(path)
        assert caught.value.next_step == f"iac lock --file {command}"


def test_missing(tmp_path: Path) -> None:
    """A missing lock says which command writes it."""
    with pytest.raises(ConfigError, match="iac lock"):
        lock_file.load_lock(tmp_path / "repos.lock.json")


def _changed(change: dict[str, Any]) -> str:
    return json.dumps({**json.loads(lock_file.dump(LOCK)), **change})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "[" * 100_000,
        _changed({"version": 99}),
        _changed({"gateway_port": "many"}),
        _changed({"network": None}),
        _changed({"apps": [1]}),
        _changed({"apps": {"b": {}}}),
        _changed({"apps": {"b": 1}}),
        _changed({"apps": {"b": {**json.loads(lock_file.dump(LOCK))["apps"]["b"], "new": 1}}}),
    ],
)
def test_broken(tmp_path: Path, text: str) -> None:
    """Anything else than a lock of this version is refused with the way out."""
    path = tmp_path / "repos.lock.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        lock_file.load_lock(path)
    assert caught.value.where == str(path)
    assert "iac lock" in str(caught.value.next_step)


def test_not_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and a directory, are refused too."""
    path = tmp_path / "repos.lock.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        lock_file.load_lock(path)
    with pytest.raises(ConfigError, match="cannot read"):
        lock_file.load_lock(tmp_path)
