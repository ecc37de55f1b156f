from __future__ import annotations

from iac_wrapper import render
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.crash_patterns import Finding
from iac_wrapper.model.diagnosis import Diagnosis
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.plan import Change, Plan
from iac_wrapper.model.report import Report, ServiceReport
from iac_wrapper.plain import plain


def _service(name: str, health: Health, probe: Probe, commit: str | None) -> ServiceReport:
    app = ResolvedApp(
        name, "gh:a/b", commit, "sha256:" + "ab" * 32,
        Entrypoint("script", "main.py", None, "root"),
        50051, False, {}, "3.11", "sha256:1", f"iac/p-{name}:0123456789ab",
    )  # fmt: skip
    return ServiceReport(app, f"spiffe://p/{name}", health, probe, rotated=True, diagnosis=None)


def test_the_table_says_what_was_proven_and_what_was_not() -> None:
    """One row a service; a service that answers a stranger is not good though it is SERVING."""
    report = Report(
        "p",
        (
            _service(
                "good",
                Health(
                    *("good", "SERVING", "RUNNING", "spiffe://p/good"),
                    seconds=1.24,
                    evidence="200 in 4 ms on 5000",
                ),
                Probe("good", refused=True, message=""),
                "0123456789abcdef" + "0" * 24,
            ),
            _service(
                "open",
                Health("open", "SERVING", "RUNNING", "spiffe://p/open"),
                Probe("open", refused=False, message="answered"),
                None,
            ),
        ),
    )
    lines = plain(render.report_table(report)).splitlines()
    assert lines[0].split()[0::6] == ["SERVICE", "SECONDS"]
    assert "0123456789ab  " in lines[1]
    assert lines[1].endswith("SERVING (200 in 4 ms on 5000)  1.2")
    assert "abababababab (local)" in lines[2]
    assert "SERVING !" in lines[2]
    assert lines[-1] == (
        "1 of 2 services SERVING over mTLS; 1 of 2 refused a caller without a certificate."
    )
    assert not report.good
    assert report.to_dict()["verdict"] == "unhealthy"


def test_plans_read_like_terraforms() -> None:
    """A sign per change, the drift first, the count last."""
    plan = Plan(
        (Change("docker_container.a", "replace", "image"), Change("docker_image.b", "create")),
        drift=("docker_container.a (update)",),
    )
    assert render.plan_text(plan).splitlines() == [
        "  drifted: docker_container.a (update)",
        "  ± docker_container.a  (image)",
        "  + docker_image.b",
        "Plan: 1 to create, 1 to replace.",
    ]
    assert render.plan_text(Plan(())) == "No changes."
    assert "record" in render.plan_text(Plan((), outputs_change=True))
    assert "certificate of web" in render.plan_text(Plan(()), renewals=["web"])


def test_a_diagnosis_is_one_cause_one_line_one_step_and_the_last_words() -> None:
    """In this order; what is not known is left out."""
    finding = Finding("missing-module", "the module yaml is missing", "No module…", "add PyYAML")
    text = Diagnosis(finding, "running, 0 restarts; exit code 1", ("one", "two")).render("web")
    assert text.splitlines() == [
        "web: the module yaml is missing",
        "  evidence: No module…",
        "  next: add PyYAML",
        "  app container: running, 0 restarts; exit code 1",
        "  last lines:",
        "    one",
        "    two",
    ]
    bare = Diagnosis(Finding("ended", "ended", "", "write"), "is gone").render("web")
    assert bare.splitlines() == ["web: ended", "  next: write", "  app container: is gone"]
