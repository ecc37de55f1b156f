from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.exposure import Exposure
from iac_wrapper.model.options import Options, Run
from iac_wrapper.model.slug import Slug
from iac_wrapper.operations.prepare import _check_exposed, check_live_names
from iac_wrapper.operations.process_apps import wanted_run
from tests.support import deployed


def test_no_service_has_the_name_of_anothers_candidate() -> None:
    """Callers of `web` would be sent to it."""
    check_live_names("demo", {"web", "web-live", "demo-live"})
    with pytest.raises(ConfigError, match="cannot be called demo-web-live"):
        check_live_names("demo", {"web", "demo-web-live"})


@pytest.mark.parametrize("detected", [None, "worker", "web"])
@pytest.mark.parametrize(
    ("port", "options", "run"),
    [
        (8080, Options(), "web"),
        (None, Options(health="/up"), "web"),
        (None, Options(run="worker"), "worker"),
        (8080, Options(run="web"), "web"),
    ],
)
def test_what_is_written_down_to_be_asked_is_asked(
    detected: Run | None, port: int | None, options: Options, run: Run
) -> None:
    """A port or a page makes a server, whatever the code looks like; `run:` is the last word."""
    entrypoint = Entrypoint("script", "main.py", None, "", run=detected)
    spec = AppSpec("web", Slug.parse("gh:acme/web"), port=port, options=options)
    assert wanted_run(spec, entrypoint) == run
    assert wanted_run(AppSpec("web", spec.slug), entrypoint) == detected


@pytest.mark.parametrize("detected", [None, "worker", "web"])
def test_tcp_ports_are_all_there_is_unless_more_is_said(detected: Run | None) -> None:
    """A server of any protocol looks like one of HTTP to who reads its code."""
    entrypoint = Entrypoint("script", "main.py", None, "", run=detected)
    spec = AppSpec("db", Slug.parse("gh:acme/db"), options=Options(tcp=(5432,)))
    assert wanted_run(spec, entrypoint) is None
    both = AppSpec("db", spec.slug, port=8080, options=Options(tcp=(5432,)))
    assert wanted_run(both, entrypoint) == "web"


def test_tcp_alone_is_not_exposed() -> None:
    """Its TCP ports would be proven, and its URL would never answer."""
    options = Options(tcp=(5432,), expose=(Exposure(),))
    spec = AppSpec("db", Slug.parse("gh:acme/db"), options=options, where="repos.yaml:1")
    db = replace(deployed.app("db"), options=options, run=None)
    with pytest.raises(ConfigError, match="db has `expose:`") as caught:
        _check_exposed([spec], [db])
    assert caught.value.where == "repos.yaml:1"
    _check_exposed([spec], [replace(db, run="web")])
    _check_exposed([spec], [replace(db, options=replace(options, expose=()))])
