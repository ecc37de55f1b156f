from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import host
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.intent import Intent
from iac_wrapper.model.plan import TerraformPlan
from iac_wrapper.model.report import ProjectReport, ServiceReport, UrlFault
from iac_wrapper.operations import intent
from iac_wrapper.operations.deploy import DeployResult, DeployUnhealthyError, deploy, lock
from iac_wrapper.operations.plan import plan
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app


def _row(name: str, *, previous: bool = False, put_back: bool = False) -> ServiceReport:
    health = Health(name, "NOT_SERVING", "FAILED")
    row = ServiceReport(app(name), "", health, Probe(name, True, ""), True, None)
    return replace(row, previous=app(name) if previous else None, put_back=put_back)


def _error(*rows: ServiceReport, moved: tuple[str, ...] = ()) -> DeployUnhealthyError:
    return DeployUnhealthyError(
        DeployResult(TerraformPlan(()), "", ProjectReport("demo", rows), moved)
    )


def test_the_error_names_who_moved_and_who_stayed() -> None:
    """Both groups, and whether anything is down."""
    error = _error(_row("c", previous=True), moved=("a", "b"))
    assert error.message == "1 of 1 services are not healthy; the previous version still serves"
    assert error.found == "deployed: a, b; stayed on the previous version: c"


def test_the_error_tells_an_outage_from_a_version_that_stayed() -> None:
    """Only where a previous version serves is that said."""
    error = _error(_row("c", previous=True), _row("d"))
    assert error.message.endswith("for 1 of them the previous version still serves")
    assert error.found == "stayed on the previous version: c; not healthy: d"
    assert _error(_row("d")).message == "1 of 1 services are not healthy"


def test_the_error_tells_what_people_do_not_reach_from_what_does_not_serve() -> None:
    """The service itself is what was deployed."""
    health, fault = Health("a", "SERVING", "RUNNING"), UrlFault("https://a.b/", "is silent", True)
    row = ServiceReport(app("a"), "", health, Probe("a", True, ""), True, None)
    row = replace(row, url_faults=(fault,))
    error = _error(row, moved=("a",))
    assert error.message == "1 of 1 services are not reached by people"
    assert error.found == "deployed: a; not reached by people: a"
    both = _error(row, _row("c", previous=True), moved=("a",))
    assert both.message == (
        "1 of 2 services are not healthy; 1 of 2 services are not reached by people;"
        " the previous version still serves"
    )


@pytest.mark.parametrize("operation", [deploy, lock, plan])
def test_unset_variables_are_refused_before_anything_is_fetched_or_written(
    workspace: Workspace, operation: Callable[[Workspace, Intent], object]
) -> None:
    """All of them: those of services that come, whose sources are not even looked for."""
    file = workspace.layout.root / "repos.yaml"
    file.write_text(
        "- {slug: ./web, env: {A: '${UNSET_ONE}'}}\n- {slug: ./jobs, env: {B: '${UNSET_TWO}'}}\n"
    )
    record = host.Host("d", "t", "n", "embedded", "iac/envoy:x", {})
    host.save_host(record, workspace.settings.machine_home)
    before = _files(workspace.layout.root)
    with pytest.raises(ConfigError, match="not set: UNSET_ONE, UNSET_TWO") as caught:
        operation(workspace, intent.from_files(file))
    assert f"{file}:1: service web: env A refers to" in (caught.value.detail or "")
    assert _files(workspace.layout.root) - before <= {".iac/projects/demo/workspace.lock"}


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_what_was_stopped_for_its_new_version_did_not_go_on_serving() -> None:
    """A worker, or what holds data, was put back; that is not called serving still."""
    back = _row("jobs", previous=True, put_back=True)
    assert _error(back).message == (
        "1 of 1 services are not healthy; the previous version was put back"
    )
    error = _error(_row("web", previous=True), back)
    assert error.message == (
        "2 of 2 services are not healthy; for 1 of them the previous version still serves;"
        " for 1 of them the previous version was put back"
    )
    assert error.found == (
        "stayed on the previous version: web; put back to the previous version: jobs"
    )
