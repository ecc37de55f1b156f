"""Who is to blame for a service that is not good: the deploy, or what was there before it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.adapters.synthesized_stack import changed_services
from iac_wrapper.model import labels
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.plan import TerraformChange, TerraformPlan
from iac_wrapper.model.report import ProjectReport, ServiceReport
from iac_wrapper.operations.blame import Blame
from iac_wrapper.operations.intent import from_files, from_slugs
from iac_wrapper.operations.workspace import Workspace
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import Daemon, FakeContainer

MEMBERS = {
    "iac_gateway": ("gateway", "gateway"),
    "web_app": ("web", "app"),
    "web_envoy": ("web", "envoy"),
    "jobs_app": ("jobs", "app"),
}


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A synthesized stack of `web` and `jobs`."""
    containers = {
        name: {
            "labels": [
                {"label": labels.SERVICE, "value": service},
                {"label": labels.ROLE, "value": role},
            ]
        }
        for name, (service, role) in MEMBERS.items()
    }
    (tmp_path / "cdk.tf.json").write_text(
        json.dumps({"resource": {"docker_container": containers}})
    )
    return tmp_path


def _plan(*names: str) -> TerraformPlan:
    return TerraformPlan(
        tuple(TerraformChange(f"docker_container.{name}", "replace") for name in names)
    )


def test_a_service_is_changed_if_one_of_its_containers_is(stack: Path) -> None:
    """All are, if the gateway is: nobody reaches them but through it; a removed one is none."""
    assert changed_services(stack, _plan("web_envoy", "gone_app")) == {"web"}
    assert changed_services(stack, _plan("iac_gateway")) == {"web", "jobs"}
    assert changed_services(stack, _plan()) == frozenset()


def _report(*good: bool) -> ProjectReport:
    names = ("jobs", "web")
    services = [
        ServiceReport(
            app(name),
            "",
            Health(name, "SERVING" if fine else "NOT_SERVING"),
            Probe(name, True, ""),
            rotated=True,
            diagnosis=None,
        )
        for name, fine in zip(names, good, strict=True)
    ]
    return ProjectReport("demo", tuple(services))


def test_what_was_bad_and_was_not_touched_does_not_count(workspace: Workspace, stack: Path) -> None:
    """`jobs` was good before and is not now: this deploy's doing, though it did not touch it.
    `web` answered nobody before: known to be broken."""
    with service(workspace.layout, "jobs") as jobs:
        jobs.serving()
        deployed(workspace.layout, app("jobs"), app("web"), gateway_port=jobs.port)
        blame = Blame.before(workspace, stack, _plan("gone_app"))
    assert blame.changed == set()
    assert set(blame.broken or ()) == {"web"}
    marked = blame.mark(_report(False, False), strict=False)
    assert [s.broken_before for s in marked.services] == [False, True]
    assert [s.app.name for s in marked.failed] == ["jobs"]
    assert [s.app.name for s in blame.mark(_report(False, False), strict=True).failed] == [
        "jobs",
        "web",
    ]
    assert blame.given_up == {"web"}
    touched = blame.touched(["web"])  # by a restart for a new secret value: it gets its time
    assert touched.given_up == set()
    failed = touched.mark(_report(True, False), strict=False).failed
    assert [s.app.name for s in failed] == ["web"]


def test_a_deploy_without_changes_broke_nothing(workspace: Workspace, stack: Path) -> None:
    """Whatever is bad then was so before: nobody need look."""
    blame = Blame.before(workspace, stack, TerraformPlan(()))
    assert blame.mark(_report(False, True), strict=False).good
    assert not blame.touched(["jobs"]).mark(_report(False, True), strict=False).good


def test_what_was_named_counts(workspace: Workspace, stack: Path, tmp_path: Path) -> None:
    """Who asks for one service wants to know of that one; a whole list names none."""
    (tmp_path / "repos.yaml").write_text("- gh:acme/web\n- gh:acme/jobs\n")
    one = from_slugs(workspace, ["gh:acme/web"], cwd=tmp_path)
    assert one.named == {"web"}
    assert from_files(tmp_path / "repos.yaml", chosen=["web"]).named == {"web"}
    assert from_files(tmp_path / "repos.yaml").named == set()
    blame = Blame.before(workspace, stack, TerraformPlan(()), named=one.named)
    failed = blame.mark(_report(False, False), strict=False).failed
    assert [(s.app.name, s.changed) for s in failed] == [("web", False)]


def test_what_was_healed_was_touched(
    workspace: Workspace, stack: Path, engine_double: Daemon
) -> None:
    """It was started a moment ago: it gets its time, and counts."""
    engine_double.add(FakeContainer("1", "demo", "web", "app"))
    blame = Blame.before(workspace, stack, TerraformPlan(()), healed=["demo-web-app"])
    assert blame.changed == {"web"}
    assert replace(blame, broken=frozenset()).mark(_report(True, False), strict=False).failed
