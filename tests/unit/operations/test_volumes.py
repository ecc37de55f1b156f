"""Data volumes, decided on an engine double; tests/e2e asks the real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import AppSpec, Checkout, ResolvedApp
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.options import Options
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations import volumes
from iac_wrapper.operations.workspace import Workspace
from tests.support import deployed
from tests.support.docker_daemon import Daemon

LABELS = {"org.karstkit.project": "demo", "org.karstkit.service": "web"}


def _web(**folders: str) -> ResolvedApp:
    return replace(deployed.app("web"), options=Options(volumes=folders))


def _lock(*apps: ResolvedApp) -> LockFile:
    return LockFile("demo", "iacnet-demo", "172.29.0.0/24", 1, apps)


def test_what_is_somebody_elses_is_refused(workspace: Workspace, engine_double: Daemon) -> None:
    """By labels, not by name: another service's, another project's, nobody's."""
    lock = _lock(_web(data="/srv"))
    volumes.check(workspace, lock)
    for found, labels in (
        ("one without our labels", None),
        ("one of project demo, service api", {**LABELS, "org.karstkit.service": "api"}),
        ("one of project x, service web", {**LABELS, "org.karstkit.project": "x"}),
    ):
        engine_double.volumes[:] = [{"Name": "demo-web-data", "Labels": labels}]
        with pytest.raises(ConfigError, match="volume demo-web-data is not this") as caught:
            volumes.check(workspace, lock)
        assert caught.value.found == found
    engine_double.volumes[:] = [{"Name": "demo-web-data", "Labels": LABELS}]
    volumes.check(workspace, lock)
    assert engine_double.calls == []


def test_a_plan_says_what_becomes_of_data(workspace: Workspace, engine_double: Daemon) -> None:
    """New, found, and left behind: by a renamed volume, by a service that goes."""
    made = {"Name": "demo-web-b", "Labels": LABELS, "CreatedAt": "2026-11-27T10:00:00Z"}
    engine_double.volumes.append(made)
    before, after = [_web(a="/a")], [_web(b="/b", c="/c")]
    assert volumes.changes(workspace, before, after) == {
        "web": [
            "volume demo-web-b at /b: found with its data, made 2026-11-27",
            "volume demo-web-c at /c: new",
            "volume demo-web-a stays with its data;"
            " `iac volumes remove demo-web-a --project demo` deletes it",
        ]
    }
    assert [service for service, _ in volumes.left("demo", before, [])] == ["web"]
    assert volumes.changes(workspace, before, [_web(a="/elsewhere")]) == {}


def test_a_volume_over_files_of_the_source_is_said(tmp_path: Path) -> None:
    """They are there in the image, and nobody sees them."""
    (tmp_path / "data" / "seed").mkdir(parents=True)
    folders = {"data": "/app/data", "x": "/srv"}
    spec = AppSpec("web", Slug.parse("./web"), options=Options(volumes=folders))
    checkout = Checkout(spec, tmp_path, "sha256:" + "0" * 64, None, "local")
    assert list(volumes.hidden(checkout)) == []
    (tmp_path / "data" / "seed" / "a.db").touch()
    assert list(volumes.hidden(checkout)) == ["volume data hides what the source has in data/"]


def test_a_volume_that_is_not_there_names_those_that_are(
    workspace: Workspace, engine_double: Daemon
) -> None:
    """What has no label of the project does not count."""
    engine_double.volumes += [
        {"Name": "demo-web-data", "Labels": LABELS},
        {"Name": "demo-web-other", "Labels": None},
    ]
    with pytest.raises(ConfigError, match="no volume demo-web-other in project demo") as caught:
        volumes.named(workspace, "demo-web-other")
    assert caught.value.found == "the volumes demo-web-data"
