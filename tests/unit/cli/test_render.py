from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.cli import render
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.crash_patterns import Finding
from iac_wrapper.model.diagnosis import Diagnosis
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.health import Health, Phase, Probe
from iac_wrapper.model.plain import plain
from iac_wrapper.model.plan import TerraformChange
from iac_wrapper.model.report import ProjectReport, ServiceReport, UrlFault
from iac_wrapper.model.service_change import Reason, ServiceChange, UnhealthyService
from iac_wrapper.model.text_table import WHOLE
from iac_wrapper.operations.releases import StoppedService


def _service(name: str, health: Health, probe: Probe, commit: str | None) -> ServiceReport:
    app = ResolvedApp(
        name,
        "gh:a/b",
        commit,
        "sha256:" + "ab" * 32,
        Entrypoint("script", "main.py", None, "main.py root"),
        50051,
        False,
        {},
        "3.11",
        "sha256:1",
        f"iac/p-{name}:0123456789ab",
    )
    return ServiceReport(app, f"spiffe://p/{name}", health, probe, rotated=True, diagnosis=None)


def test_the_table_says_what_was_proven_and_what_was_not() -> None:
    """One row a service; a service that answers a stranger is not good though it is SERVING."""
    report = ProjectReport(
        "p",
        (
            _service(
                "good",
                Health(
                    *("good", "SERVING", "RUNNING", "spiffe://p/good"),
                    seconds=1.24,
                    evidence="200 in 4 ms on 5000",
                    listening="127.0.0.1:5000",
                ),
                Probe("good", refused=True, message=""),
                "0123456789abcdef" + "0" * 24,
            ),
            _service(
                "open",
                Health("open", "SERVING", "RUNNING", "spiffe://p/open", cause="stranger"),
                Probe("open", refused=False, message="answered"),
                None,
            ),
        ),
    )
    lines = plain(render.report_table(report, WHOLE)).splitlines()
    assert lines[0].split() == ["SERVICE", "COMMIT", "IMAGE", "ENTRYPOINT", "HEALTH", "SECONDS"]
    assert lines[1].split()[:4] == ["good", "0123456789ab", "0123456789ab", "main.py"]
    assert "  SERVING (200 in 4 ms on 5000)  " in lines[1]
    assert lines[1].endswith("  1.2")
    assert "abababababab (local)" in lines[2]
    assert "SERVING (clients not verified)" in lines[2]
    assert lines[3:] == [
        "",
        "Identities: spiffe://p/<service>. Images: iac/p-<service>:<image>.",
        "1 of 2 services SERVING over mTLS; 1 of 2 refused a caller without a certificate.",
    ]
    assert not report.good
    assert report.to_dict()["verdict"] == "unhealthy"


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (
            150,
            [
                "billing  0123456789ab          0123456789ab"
                "  gunicorn shop.wsgi (Procfile: its web: process)",
                "orders   abababababab (local)  0123456789ab  main.py (root)",
            ],
        ),
        (
            120,
            [
                "billing  0123456789ab          0123456789ab  gunicorn shop.wsgi (Procfile: it…",
                "orders   abababababab (local)  0123456789ab  main.py (root)",
            ],
        ),
        (
            100,
            [
                "billing  0123456  0123456  gunicorn shop.wsgi (Procfile: …",
                "orders   local    0123456  main.py (root)",
            ],
        ),
        (80, ["billing  0123456  0123456  gunicorn s…", "orders   local    0123456  main.py (r…"]),
    ],
)
def test_the_table_fits_its_terminal(width: int, rows: list[str]) -> None:
    """What runs gives way first, then hashes; how a service is, never."""
    billing = _good("billing", "RUNNING", "127.0.0.1:50051", "200 in 14 ms on 50051")
    entrypoint = Entrypoint("command", "gunicorn shop.wsgi", None, "Procfile: its web: process")
    app = replace(billing.app, entrypoint=entrypoint, commit="0123456789abcdef")
    health = replace(billing.health, seconds=1.24)
    local = _good("orders", "RUNNING", "127.0.0.1:50051", "200 in 14 ms on 50051")
    services = (replace(billing, app=app, health=health), replace(local, health=health))
    lines = plain(render.report_table(ProjectReport("p", services), width)).splitlines()
    assert max(map(len, lines[:3])) <= width
    for line, row in zip(lines[1:3], rows, strict=True):
        assert line.startswith(row)
        assert line.endswith("  SERVING (200 in 14 ms on 50051)  1.2")


def _good(name: str, phase: Phase, listening: str = "", evidence: str = "") -> ServiceReport:
    health = Health(name, "SERVING", phase, listening=listening, evidence=evidence)
    return _service(name, health, Probe(name, refused=True, message=""), None)


def test_what_serves_nothing_is_not_called_serving() -> None:
    """A worker is RUNNING, what ended well COMPLETED, in its row and in the verdict; JSON as is."""
    web = _good("web", "RUNNING", "127.0.0.1:5000", "200 in 4 ms on 5000")
    said = _good("worker", "RUNNING", evidence="alive for more than 5 s, listens nowhere")
    worker = replace(said, app=replace(said.app, run="worker"))
    job = _good("job", "COMPLETED", evidence="exited with code 0")
    report = ProjectReport("p", (web, replace(web), worker, job))
    lines = plain(render.report_table(report)).splitlines()
    assert "SERVING (200 in 4 ms on 5000)" in lines[1]
    assert "  RUNNING (alive, listens nowhere)  " in lines[3]
    assert "  COMPLETED (exit code 0)  " in lines[4]
    assert lines[-1] == (
        "4 of 4 services healthy: 2 SERVING, 1 RUNNING, 1 COMPLETED;"
        " 4 of 4 refused a caller without a certificate."
    )
    assert {row["status"] for row in report.to_dict()["services"]} == {"SERVING"}
    assert "  RUNNING (alive, taken for a worker)  " in plain(
        render.report_table(ProjectReport("p", (said,)), WHOLE)
    )
    alone = plain(render.report_table(ProjectReport("p", (web,))))
    assert "1 of 1 services SERVING over mTLS; 1 of 1 refused" in alone


def test_a_row_that_is_not_good_says_the_cause_not_the_phase() -> None:
    """The cause code in words, in place of the phase that the program happens to be in."""
    health = Health("web", "NOT_SERVING", "STARTING", cause="no-listener")
    found = Diagnosis(Finding("wrong-port", "listens elsewhere", "", "write port"), "running")
    row = replace(_service("web", health, Probe("web", True, ""), None), diagnosis=found)
    assert "  NOT_SERVING (wrong port)  " in plain(render.report_table(ProjectReport("p", (row,))))
    gone = Health("web", "UNREACHABLE", cause="unreachable")
    row = _service("web", gone, Probe("web", True, ""), None)
    assert "  UNREACHABLE (nobody answers)  " in plain(
        render.report_table(ProjectReport("p", (row,)))
    )


def test_a_deploy_ends_with_what_to_type_next() -> None:
    """For the first web service, a URL first, else for one of gRPC, else nothing."""
    job, web = _good("a-job", "COMPLETED"), _good("web", "RUNNING", "127.0.0.1:5000")
    web = replace(web, health=replace(web.health, protocol="HTTP"))
    grpc = replace(web, app=replace(web.app, name="b"), health=replace(web.health, protocol="GRPC"))
    bad = _service("x", Health("x", "NOT_SERVING", "FAILED"), Probe("x", True, ""), None)

    def line(*rows: ServiceReport, options: str = "") -> str:
        return render.next_line(ProjectReport("p", rows), options)

    assert line(job, grpc, web, options=" --project p") == "Next: iac open web --project p"
    exposed = replace(web, app=replace(web.app, name="z"), urls=("http://z.localhost:1/",))
    assert line(web, exposed) == "Next: iac open z"
    assert line(job, grpc) == "Next: iac proxy b"
    assert line(job) == line(web, bad) == line() == ""


def test_a_plan_is_told_in_words_of_services() -> None:
    """A line per service with what happens and why, the count, and what removing takes."""
    changes = (
        ServiceChange("api", "replace", (Reason("commit", "commit a → b"), Reason("port", "port"))),
        ServiceChange("jobs", "restart", (Reason("env", "env: changed TOKEN"),)),
        ServiceChange("old", "remove"),
    )
    assert render.plan_text(changes, empty=False).splitlines() == [
        "  ± api: replaced (commit a → b; port)",
        "  ~ jobs: restarted (env: changed TOKEN)",
        "  - old: removed",
        "Plan: 1 replaced, 1 restarted, 1 removed.",
        "`iac deploy` asks before it removes; without a terminal it needs --prune.",
    ]
    assert render.plan_text((), empty=True) == "No changes."
    assert "record" in render.plan_text((), empty=False)
    ill = UnhealthyService("web", "NOT_SERVING", "it answers 500", "iac logs web")
    lines = [
        "  ! web: is not healthy, and a deploy leaves it so (it answers 500)",
        "      next: iac logs web",
    ]
    assert render.plan_text((), (), [ill], empty=True).splitlines() == [*lines, "No changes."]
    assert render.plan_text(changes, (), [ill], empty=False).splitlines()[-4:-2] == lines
    assert [change.interrupts for change in changes] == [True, True, True]


def test_what_is_beside_the_services_has_a_line_each() -> None:
    """By its address in Terraform, and it is counted apart."""
    others = [
        TerraformChange("docker_network.extra", "create"),
        TerraformChange("output.url", "update"),
    ]
    lines = [
        "  + docker_network.extra: new (of your own in main.py)",
        "  ~ output.url: changed in place (of your own in main.py)",
        "Plan: 2 beside the services.",
    ]
    assert render.plan_text([], others, empty=False).splitlines() == lines
    both = render.plan_text([ServiceChange("web", "replace")], others, empty=False)
    assert both.splitlines()[-1] == "Plan: 1 replaced, 2 beside the services."


def test_what_was_broken_before_is_told_apart() -> None:
    """It is shown as bad and named in a line of its own; the verdict is on the rest."""
    bad = _service("old", Health("old", "NOT_SERVING", "FAILED"), Probe("old", True, ""), None)
    before = replace(bad, changed=False, broken_before=True)
    report = ProjectReport("p", (before,))
    text = plain(render.report_table(report))
    assert "NOT_SERVING (failed)" in text
    assert text.splitlines()[-1] == (
        "Already broken before this deploy: old. Next: iac logs old --project p"
    )
    assert report.good
    assert not replace(report, strict=True).good
    assert not ProjectReport("p", (before, bad)).good
    assert report.to_dict()["services"][0]["broken_before"] is True


def test_what_a_deploy_has_stopped_names_the_command_that_starts_it() -> None:
    """A later deploy leaves it alone, so its table says what to do."""
    why = StoppedService(cause="GET /: 500", next_step="iac logs web --project p")
    health = why.health("web", "iac deploy --file repos.yaml web --project p")
    bad = replace(_service("web", health, Probe("web", None, ""), None), broken_before=True)
    assert plain(render.report_table(ProjectReport("p", (bad,)))).splitlines()[-1] == (
        "Already broken before this deploy: web. Next: iac logs web --project p; then"
        " iac deploy --file repos.yaml web --project p"
    )


def test_a_version_that_failed_names_the_one_that_serves() -> None:
    """Its row is bad, and a line says what requests get."""
    bad = _service("web", Health("web", "NOT_SERVING", "FAILED"), Probe("web", True, ""), None)
    row = replace(bad, previous=replace(bad.app, commit="d" * 40))
    text = plain(render.report_table(ProjectReport("p", (row,))))
    assert "NOT_SERVING (failed)" in text
    assert text.splitlines()[-1] == "web: the previous version (dddddddddddd) still serves."
    assert row.to_dict()["previous"]["commit"] == "d" * 40
    text = plain(render.report_table(ProjectReport("p", (replace(row, put_back=True),))))
    assert text.splitlines()[-1] == "web: the previous version (dddddddddddd) was put back."


def test_a_removal_says_what_stays_and_what_would_undo_it() -> None:
    """Data volumes, and the line of repos.yaml that brings the service back."""
    text = render.removed_text(["web"], ["demo-web-data"], ["repos.yaml:3"])
    assert text.splitlines() == [
        "Removed web, with keys and secret values.",
        "Data volumes stay: demo-web-data (`iac volumes remove` deletes one).",
        "repos.yaml:3: the next `iac deploy --file` brings it back.",
    ]
    assert "A repos file that still lists it" in render.removed_text(["web"], [], [])


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


def test_urls_of_exposed_services_follow_the_verdict() -> None:
    """A line for each: the next thing that people want."""
    health = Health("web", "SERVING", "RUNNING", "spiffe://p/web")
    web = _service("web", health, Probe("web", refused=True, message=""), None)
    urls = ("https://app.example.com/", "http://web.localhost:15080/")
    exposed = replace(web, urls=urls)
    lines = plain(render.report_table(ProjectReport("p", (exposed,)))).splitlines()
    assert lines[-2:] == [f"web: {url}" for url in urls]
    assert exposed.to_dict()["urls"] == list(urls)


def test_a_url_that_leads_nowhere_says_why() -> None:
    """Only an outage spoils the verdict: a certificate that could not be had may be had later."""
    health = Health("web", "SERVING", "RUNNING", "spiffe://p/web")
    web = _service("web", health, Probe("web", refused=True, message=""), None)
    url = "https://app.example.com/"
    none = UrlFault(url, "no certificate yet: unauthorized", outage=False)
    report = ProjectReport("p", (replace(web, urls=(url,), url_faults=(none,)),))
    text = plain(render.report_table(report)).splitlines()
    assert text[-1] == f"web: {url} (no certificate yet: unauthorized)"
    assert report.good
    dead = UrlFault(url, "does not answer: timed out", outage=True)
    report = ProjectReport("p", (replace(web, urls=(url,), url_faults=(none, dead)),))
    text = plain(render.report_table(report)).splitlines()
    assert text[-2].endswith("caller without a certificate; 1 of 1 not reached by people.")
    assert report.to_dict()["verdict"] == "unhealthy"
    assert report.to_dict()["services"][0]["url_faults"][1]["outage"] is True
