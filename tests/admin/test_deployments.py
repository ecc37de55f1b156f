"""Deployments over HTTP and the socket: start, queue, cancel, resume, list; and the audit."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from admin.jobs import worker_lock
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.adapters.engine import free_port
from iac_wrapper.files import host
from iac_wrapper.files.ledger import Ledger
from iac_wrapper.operations import recording
from tests.support.admin_api import PROJECT, Api, admin_api, check_schema, code, wait_for
from tests.support.deployed import app, deployed
from tests.support.jobs_lab import until

pytestmark = pytest.mark.slow

DESTROY = {"confirm": PROJECT}
SLUG = {"slugs": ["gh:owner/repo#main"]}
UNKNOWN = "/deployments/20260101T000000-00000000"


def test_a_deployment_is_accepted_and_has_an_address(api: Api) -> None:
    """202 at once; what runs, for whom and how it ended is at its Location."""
    boss = api.http("boss")
    answer = boss.post("/destroy", json=DESTROY)
    assert answer.status_code == 202
    shown = answer.json()
    check_schema("Deployment", shown)
    assert answer.headers["Location"] == shown["links"]["self"]
    assert (shown["kind"], shown["project"], shown["status"]) == ("destroy", PROJECT, "running")
    assert (shown["actor"]["name"], shown["actor"]["via"]) == ("boss@example.org", "http")
    ended = wait_for(boss, shown)
    check_schema("Deployment", ended)
    assert (ended["status"], ended["destroyed"]["resources"]) == ("succeeded", 0)
    assert ended["release"] == 1
    assert ended["links"].keys() == {"self", "events"}


def test_a_failure_says_why(tmp_path: Path) -> None:
    """The operation's error with everything a person needs; it is not offered to be resumed."""
    (tmp_path / "open" / "nothing").mkdir(parents=True)
    with admin_api(tmp_path, IAC_ADMIN_PATHS=str(tmp_path / "open")) as api:
        client = api.http("deployer")
        answer = client.post("/deploy", json={"slugs": ["./open/missing"]})
        assert (answer.status_code, answer.json()["found"]) == (422, "./open/missing")
        shown = client.post("/deploy", json={"slugs": ["./open/nothing"]}).json()
        assert shown["request"] == {"slugs": ["./open/nothing"]}
        ended = wait_for(client, shown)
        check_schema("Deployment", ended)
        assert (ended["status"], ended["error"]["error"]) == ("failed", "EntrypointError")
        answer = client.post(f"{ended['links']['self']}/resume")
        assert (answer.status_code, code(answer)) == (409, "not-resumable")


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/deploy", {**SLUG, "dry_run": True}, "plan"),
        ("/plan", SLUG, "plan"),
        ("/deploy", {**SLUG, "dry_run": False}, "deploy"),
        ("/deploy", {"apps": ["gh:o/r"]}, "deploy"),
        (
            "/plan",
            {"apps": [{"slug": "gh:o/r", "port": 80}], "prune": True, "locked": True},
            "plan",
        ),
        ("/plan", {**SLUG, "offline": True}, "plan"),
        ("/deploy", {**SLUG, "all": True}, "deploy"),
    ],
)
def test_what_is_asked_for(api: Api, path: str, body: dict[str, Any], kind: str) -> None:
    """A dry run is a plan; the rest is kept as it was asked."""
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        shown = api.http("deployer").post(f"{path}?wait=60", json=body).json()
        check_schema("Deployment", shown)
        assert (shown["kind"], shown["status"]) == (kind, "queued")
        asked = {name: value for name, value in body.items() if name != "dry_run"}
        assert shown["request"] == asked
        api.socket().post(shown["links"]["cancel"])


def test_a_busy_project_says_who_and_since_when(api: Api) -> None:
    """409 also for the second of two; another project is not concerned."""
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        held = workspace_lock.holder(api.layout.project(PROJECT))
        assert held
        answer = api.http("deployer").post("/deploy", json=SLUG)
        assert (answer.status_code, code(answer)) == (409, "busy")
        problem = answer.json()
        assert f"`iac deploy` (process {os.getpid()}) since {held.since}" in problem["found"]
        assert "?wait=" in problem["next_step"]
        assert problem["retryable"] is True
        assert int(answer.headers["Retry-After"]) > 0
        assert api.audited(action="deploy", outcome="busy")["actor"]["name"]
    api.block()
    first = api.http("boss").post("/destroy", json=DESTROY)
    second = api.http("deployer").post("/deploy", json=SLUG)
    assert second.status_code == 409
    assert "iac admin: destroy" in second.json()["found"]
    assert "by boss@example.org" in second.json()["found"]
    other = {"project": "other", "confirm": "other"}
    assert api.http("boss").post("/destroy", json=other).status_code == 202
    api.let_go()
    wait_for(api.http("boss"), first.json())


def test_who_waits_is_served_when_the_project_is_free(api: Api) -> None:
    """In the order in which they came; who does not want to wait is told of the queue."""
    boss = api.http("boss")
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        waiting = boss.post("/destroy?wait=60", json=DESTROY).json()
        assert (waiting["status"], waiting["wait_until"] > waiting["created_at"]) == (
            "queued",
            True,
        )
        answer = boss.post("/destroy", json=DESTROY)
        assert answer.status_code == 409
        assert "waiting for it" in answer.json()["found"]
    assert wait_for(boss, waiting)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("body", "where", "found"),
    [
        ({"slugs": ["gh:o/r", "./app"]}, "/slugs/1", "./app"),
        ({"slugs": ["/etc"]}, "/slugs/0", "/etc"),
        ({"apps": ["gh:o/r", {"slug": "../x"}]}, "/apps/1", "../x"),
        ({"slugs": ["git+file:///etc/x"]}, "/slugs/0", "git+file:///etc/x"),
        ({"slugs": ["git+http://127.0.0.1/x.git"]}, "/slugs/0", "git+http://127.0.0.1/x.git"),
        ({"slugs": ["git+ssh://git@host/x.git"]}, "/slugs/0", "git+ssh://git@host/x.git"),
        ({"apps": [{"slug": "gh:o/r", "env": {"A": "${HOME}"}}]}, "/apps/0", "${HOME}"),
        (
            {"apps": [{"slug": "gh:o/r", "env": {"A": "${SUPABASE_SERVICE_ROLE_KEY}"}}]},
            "/apps/0",
            "${SUPABASE_SERVICE_ROLE_KEY}",
        ),
        ({"slugs": ["gh:o/r"], "project": "build"}, "/project", "'build'"),
        ({"slugs": ["no slug"]}, "/slugs/0", None),
        ({"slugs": ["gh:o/r", "gh:p/r"]}, None, None),
    ],
)
def test_what_callers_over_http_may_not_name(
    api: Api, body: dict[str, Any], where: str | None, found: str | None
) -> None:
    """422 that points into the request, before a job is made; also for the service role."""
    answer = api.http("service").post("/deploy", json=body)
    assert (answer.status_code, code(answer)) == (422, "unprocessable"), answer.text
    problem = answer.json()
    if where:
        assert problem["where"] == where
    if found:
        assert problem["found"] == found
    assert api.http("service").get("/deployments").json() == {"deployments": []}


@pytest.mark.parametrize(
    "text", ["./a\0b", "./" + "a/" * 500, "~nobody-there/x", "./\u202e", "./é"]
)
def test_odd_paths_of_owners_do_no_harm(api: Api, text: str) -> None:
    """Whatever a path is, it is an answer of ours."""
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        answer = api.socket().post("/plan", json={"slugs": [text]})
        assert answer.status_code in (409, 422), answer.text


def test_what_was_opened_for_callers(tmp_path: Path) -> None:
    """Folders of IAC_ADMIN_PATHS and variables of IAC_ADMIN_ENV, but never a secret setting."""
    opened = tmp_path / "open"
    (opened / "app").mkdir(parents=True)
    (opened / "out").symlink_to("/etc")
    names = "GREETING,SUPABASE_SERVICE_ROLE_KEY"
    with (
        admin_api(tmp_path, IAC_ADMIN_PATHS=str(opened), IAC_ADMIN_ENV=names) as api,
        workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"),
    ):

        def post(slug: str, **env: str) -> int:
            body = {"apps": [{"slug": slug, "env": env}]}
            return api.http("deployer").post("/plan", json=body).status_code

        assert post("./open/app") == 409
        assert post(str(opened / "app"), A="${GREETING}") == 409
        assert post("./open/../other") == 422
        assert post("./open/out/app") == 422
        assert post("./open/app", A="${OTHER}") == 422
        assert post("./open/app", A="${SUPABASE_SERVICE_ROLE_KEY}") == 422
        owner = api.socket().post("/plan", json={"apps": [{"slug": "/etc", "env": {"A": "${X}"}}]})
        assert owner.status_code == 409


def test_secrets_are_not_echoed(tmp_path: Path) -> None:
    """Neither a password in a slug nor a secret of the server that a caller guessed."""
    with admin_api(tmp_path, GITHUB_TOKEN="sentinel-of-a-token") as api:
        for slug in ("git+https://me:pass-sentinel@host.example/x", "./sentinel-of-a-token"):
            answer = api.http("service").post("/deploy", json={"slugs": [slug]})
            assert answer.status_code == 422
            assert "sentinel" not in answer.text


def test_a_destroy_is_confirmed_by_name(api: Api) -> None:
    """Of the project that is meant, which need not be the server's own."""
    boss = api.http("boss")
    answer = boss.post("/destroy", json={"confirm": "other"})
    assert (answer.status_code, code(answer)) == (422, "not-confirmed")
    assert (answer.json()["where"], answer.json()["expected"]) == ("/confirm", PROJECT)
    assert boss.post("/destroy", json={"project": "x", "confirm": PROJECT}).status_code == 422
    assert boss.post("/destroy", json={}).status_code == 400
    assert api.http("deployer").post("/destroy", json=DESTROY).status_code == 403
    assert boss.get("/deployments").json() == {"deployments": []}


def test_what_is_not_there_cannot_be_removed(api: Api) -> None:
    """404 with what there is, and no job: a project of no trace, a service that is not deployed."""
    boss = api.http("boss")
    deployed(api.layout, app("web"), app("jobs"))
    answer = boss.post("/destroy", json={"project": "dmeo", "confirm": "dmeo"})
    assert (answer.status_code, code(answer)) == (404, "no-such-project")
    assert answer.json()["found"] == "the projects demo"
    answer = boss.delete("/services/wbe")
    assert (answer.status_code, code(answer)) == (404, "no-such-service")
    assert answer.json()["found"] == "the services jobs, web"
    assert boss.get("/deployments").json() == {"deployments": []}
    assert not api.layout.project("dmeo").exists()


def test_a_rollback_is_a_job_as_a_deploy_is(api: Api) -> None:
    """With the same scope, ledger and errors; a release that is not there is a 404 at once."""
    client = api.http("deployer")
    for kind in ("deploy", "deploy"):
        number = Ledger(api.layout.ledger(PROJECT)).append({"type": "started", "kind": kind})
        Ledger(api.layout.ledger(PROJECT)).append(
            {"type": "ended", "verdict": "failed", "lock": None}, number=number
        )
    missing = client.post("/rollback", json={"to": 9})
    assert (missing.status_code, code(missing)) == (404, "no-such-release")
    assert missing.json()["found"] == "1 to 2"
    assert api.http("reader").post("/rollback", json={}).status_code == 403
    assert client.post("/rollback", json={"slugs": ["gh:o/r"]}).status_code == 400
    body = {"to": 2, "services": ["web"], "dry_run": True}
    shown = client.post("/rollback", json=body).json()
    assert (shown["kind"], shown["request"]) == ("rollback", body)
    for asked in (shown, client.post("/rollback?wait=60", json={"to": 2}).json()):
        ended = wait_for(client, asked)
        check_schema("Deployment", ended)
        assert (ended["status"], ended["error"]["exit_code"]) == ("failed", 2)
        assert "release" not in ended  # refused before anything changed


def test_hooks_run_for_jobs_if_nobody_else_can_change_them(tmp_path: Path) -> None:
    """They are told who asked. One that others can write is an error, whoever asks."""
    with admin_api(tmp_path, IAC_HOME=str(tmp_path / ".iac")) as api:
        host.save_host(
            host.Host("d", "t", "n", "embedded", "iac/envoy:x", {}),
            api.backend.settings.machine_home,
        )
        old, new = app("web"), replace(app("web"), commit="c" * 40, image="iac/demo-web:2")
        api.engine.images += [{"RepoTags": [each.image]} for each in (old, new)]
        for version in (old, new):
            with recording.release(api.backend.workspace(PROJECT), "deploy") as release:
                release.start()
                deployed(api.layout, version, gateway_port=free_port())
        hook = tmp_path / "hooks" / "pre-deploy"
        hook.parent.mkdir(mode=0o755)
        hook.write_text("#!/bin/sh\ncat > told.json\necho tests are red\nexit 3\n")
        client = api.http("deployer")
        for mode, code_of_exit in ((0o757, 2), (0o755, 5)):
            hook.chmod(mode)
            ended = wait_for(client, client.post("/rollback", json={}).json())
            assert (ended["status"], ended["error"]["exit_code"]) == ("failed", code_of_exit), ended
            assert (tmp_path / "told.json").exists() == (mode == 0o755)
        told = json.loads((tmp_path / "told.json").read_text())
        assert (told["by"]["name"], told["by"]["job"]) == ("deployer@example.org", ended["id"])
        release = client.get(f"/releases/{ended['release']}").json()
        check_schema("ReleaseDetail", release)
        assert [each["output"] for each in release["hooks"]] == ["tests are red"]


def test_a_service_is_removed_by_a_job(api: Api) -> None:
    """With the scope destroy; shown as what it is, and audited."""
    deployed(api.layout, app("web"))
    assert api.http("deployer").delete("/services/web").status_code == 403
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        boss = api.http("boss")
        assert boss.delete("/services/web").status_code == 409
        shown = boss.delete("/services/web?wait=60").json()
        check_schema("Deployment", shown)
        assert (shown["kind"], shown["request"]) == ("remove", {"services": ["web"]})
        deployer = api.http("deployer").post(shown["links"]["cancel"])
        assert (deployer.status_code, code(deployer)) == (403, "insufficient-scope")
        boss.post(shown["links"]["cancel"])
    assert api.audited(action="removeService", outcome="accepted")["deployment"] == shown["id"]


def test_a_key_makes_repeating_harmless(api: Api) -> None:
    """The same key and request: the same deployment, for the same caller only."""
    key = {"Idempotency-Key": "build-17"}
    boss = api.http("boss")
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        first = boss.post("/destroy?wait=60", json=DESTROY, headers=key)
        assert "Idempotency-Replayed" not in first.headers
        again = boss.post("/destroy", json=DESTROY, headers=key)
        assert (again.status_code, again.headers["Idempotency-Replayed"]) == (202, "true")
        assert again.json()["id"] == first.json()["id"]
        assert again.headers["Location"] == first.headers["Location"]
        other = boss.post("/deploy", json=SLUG, headers=key)
        assert (other.status_code, code(other)) == (422, "idempotency-key-reused")
        theirs = api.http("service").post("/destroy?wait=60", json=DESTROY, headers=key)
        assert theirs.json()["id"] != first.json()["id"]
        for answer in (first, theirs):
            boss.post(answer.json()["links"]["cancel"])
    ended = boss.post("/destroy", json=DESTROY, headers=key)
    assert (ended.status_code, ended.json()["status"]) == (202, "cancelled")
    bad = boss.post("/destroy", json=DESTROY, headers={"Idempotency-Key": "x" * 256})
    assert bad.status_code == 400


def test_a_key_outlives_what_was_deployed(api: Api) -> None:
    """The answer to a repeated call is the first one's, whatever has become of the path."""
    (api.root / "app").mkdir()
    again: dict[str, Any] = {"json": {"slugs": ["./app"]}, "headers": {"Idempotency-Key": "k"}}
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        first = api.socket().post("/plan?wait=60", **again).json()
        (api.root / "app").rmdir()
        assert api.socket().post("/plan?wait=60", **again).json()["id"] == first["id"]
        api.socket().post(first["links"]["cancel"])


def test_cancel(api: Api) -> None:
    """A queued one has ended at once, a running one ends in order, an ended one is left alone."""
    api.block()
    boss = api.http("boss")
    running = boss.post("/destroy", json=DESTROY).json()
    queued = boss.post("/destroy?wait=60", json=DESTROY).json()
    deployer = api.http("deployer").post(queued["links"]["cancel"])
    assert (deployer.status_code, code(deployer)) == (403, "insufficient-scope")
    answer = boss.post(queued["links"]["cancel"])
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    until(lambda: len(api.backend.jobs.events(running["id"]).read(0)[0]) == 2)
    answer = boss.post(running["links"]["cancel"])
    assert (answer.status_code, answer.json()["cancel_requested"]) == (202, True)
    assert boss.post(running["links"]["cancel"]).status_code in (202, 409)  # 409: it has ended
    ended = wait_for(boss, running)
    check_schema("Deployment", ended)
    assert (ended["status"], ended["resumable"]) == ("cancelled", True)
    answer = boss.post(running["links"]["cancel"])
    assert (answer.status_code, code(answer)) == (409, "already-ended")


def test_who_may_destroy_may_cancel_that(tmp_path: Path) -> None:
    """Cancel and resume take the scope of what is cancelled, not another one."""
    users = "boss@example.org=read+destroy,deployer@example.org=read+deploy"
    with (
        admin_api(tmp_path, IAC_ADMIN_USERS=users) as api,
        workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"),
    ):
        boss, deployer = api.http("boss"), api.http("deployer")
        queued = boss.post("/destroy?wait=60", json=DESTROY).json()
        assert deployer.post(queued["links"]["cancel"]).status_code == 403
        cancelled = boss.post(queued["links"]["cancel"])
        assert cancelled.status_code == 202
        assert boss.post(cancelled.json()["links"]["resume"]).status_code == 409
        queued = deployer.post("/deploy?wait=60", json=SLUG).json()
        assert boss.post(queued["links"]["cancel"]).status_code == 403


def test_values_of_variables_are_shown_to_nobody(api: Api) -> None:
    """Neither to readers nor in the audit; names and references are."""
    env = {"GREETING": "sentinel", "URL": "${DATABASE_URL}"}
    app = {"slug": "gh:owner/repo", "env": env}
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        shown = api.socket().post("/deploy?wait=60", json={"apps": [app]}).json()
        assert shown["request"]["apps"][0]["env"] == {**env, "GREETING": "[redacted]"}
        assert "sentinel" not in api.http("reader").get(shown["links"]["self"]).text
        assert "sentinel" not in json.dumps(api.audit())
        api.socket().post(shown["links"]["cancel"])


def test_resume(api: Api) -> None:
    """A new deployment with the same request, for whoever asks and has the scope."""
    boss = api.http("boss")
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        waiting = boss.post("/destroy?wait=60", json=DESTROY).json()
        assert boss.post(f"{waiting['links']['self']}/resume").status_code == 409
        cancelled = boss.post(waiting["links"]["cancel"]).json()
        resume = cancelled["links"]["resume"]
        assert api.http("deployer").post(resume).status_code == 403
        assert boss.post(resume).status_code == 409
    answer = api.http("service").post(resume)
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["resumes"], shown["kind"]) == (cancelled["id"], "destroy")
    assert shown["actor"]["kind"] == "service_role"
    assert wait_for(boss, shown)["status"] == "succeeded"


def test_an_interrupted_deployment_can_be_resumed(api: Api) -> None:
    """A worker that was killed leaves one that says so."""
    api.block()
    client = api.socket()
    shown = client.post("/destroy", json=DESTROY).json()
    until(lambda: len(api.backend.jobs.events(shown["id"]).read(0)[0]) == 2)
    folder = api.layout.data / "jobs" / shown["id"]
    os.kill(int(worker_lock.path_in(folder).read_text()), signal.SIGKILL)
    ended = wait_for(client, shown)
    assert (ended["status"], ended["resumable"]) == ("interrupted", True)
    api.let_go()
    resumed = client.post(ended["links"]["resume"]).json()
    assert wait_for(client, resumed)["status"] == "succeeded"
    assert (
        api.audited(action="destroy.finished", outcome="interrupted")["deployment"] == shown["id"]
    )


def test_to_resume_takes_the_right_to_name_what_is_resumed(api: Api) -> None:
    """What an owner started with a local path is not open to callers over HTTP afterwards."""
    (api.root / "app").mkdir()
    with workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"):
        shown = api.socket().post("/deploy?wait=60", json={"slugs": ["./app"]}).json()
        resume = api.socket().post(shown["links"]["cancel"]).json()["links"]["resume"]
        for who in ("boss", "service"):
            answer = api.http(who).post(f"{resume}?wait=60")
            assert (answer.status_code, answer.json()["where"]) == (422, "/slugs/0")
        assert api.socket().post(resume).status_code == 409


def test_pages(api: Api) -> None:
    """Newest first; `next` leads through all of them, once each."""
    boss = api.http("boss")
    with (
        workspace_lock.hold(api.layout.project(PROJECT), "iac deploy"),
        workspace_lock.hold(api.layout.project("other"), "iac deploy"),
    ):
        made = [
            boss.post("/destroy?wait=60", json={"project": name, "confirm": name}).json()
            for name in ("demo", "other", "demo", "demo", "other")
        ]
        boss.post(made[2]["links"]["cancel"])
        reader = api.http("reader")

        def ids(query: str) -> list[str]:
            path, found = f"/deployments?{query}", []
            while path:
                page = reader.get(path).json()
                check_schema("Deployments", page)
                assert 0 < len(page["deployments"]) <= 2
                found += [shown["id"] for shown in page["deployments"]]
                path = page.get("next")
            return found

        every = [shown["id"] for shown in reversed(made)]
        assert ids("limit=2") == every
        assert ids("limit=1&project=demo") == [every[1], every[2], every[4]]
        assert ids("limit=2&project=demo&status=queued") == [every[1], every[4]]
        assert ids("limit=2&status=cancelled") == [every[2]]
        assert reader.get("/deployments").json()["deployments"][0]["id"] == every[0]
        for query in ("limit=0", "limit=201", "status=done", "before=x"):
            assert reader.get(f"/deployments?{query}").status_code == 400
        for shown in made:
            boss.post(f"{shown['links']['self']}/cancel")


@pytest.mark.parametrize("path", ["", "/events", "/cancel", "/resume"])
def test_unknown_deployments(shared_api: Api, path: str) -> None:
    """404 with where to look; 400 for what can be no id."""
    method = "POST" if path in ("/cancel", "/resume") else "GET"
    answer = shared_api.socket().request(method, f"{UNKNOWN}{path}")
    assert (answer.status_code, code(answer)) == (404, "no-such-deployment")
    assert "GET /deployments" in answer.json()["next_step"]
    for text in ("x", "..%2F..", "20260101T000000-0000000g", "20260101T000000-00000000%0A"):
        assert shared_api.socket().request(method, f"/deployments/{text}{path}").status_code == 400


def test_the_audit_says_who_did_what_and_how_it_went(api: Api) -> None:
    """A line when it is accepted or refused, and one when it has ended."""
    boss = api.http("boss")
    answer = boss.post("/destroy", json=DESTROY)
    wait_for(boss, answer.json())
    api.http().post("/deploy", json=SLUG)
    api.http("reader").post("/deploy", json=SLUG)
    accepted = api.audited(action="destroy", outcome="accepted")
    finished = api.audited(action="destroy.finished")
    for line in (accepted, finished):
        assert line["actor"]["name"] == "boss@example.org"
        assert (line["project"], line["deployment"]) == (PROJECT, answer.json()["id"])
    assert (accepted["peer"], accepted["status"]) == ("127.0.0.1", 202)
    assert accepted["request_id"] == answer.headers["X-Request-Id"]
    assert (finished["outcome"], finished["release"]) == ("succeeded", 1)
    assert api.audited(action="deploy", status=401)["actor"] is None
    assert api.audited(action="deploy", status=403)["actor"]["name"] == "reader@example.org"
    boss.post("/destroy", json={"project": "other", "confirm": "oter"})
    assert api.audited(action="destroy", outcome="not-confirmed")["project"] == "other"
    api.http("deployer").post("/deploy", json={"slugs": ["/etc"]})
    assert api.audited(outcome="unprocessable")["asked"] == {"slugs": ["/etc"]}
    assert not [line for line in api.audit() if line["action"] in ("getDeployment", "getEvents")]


def test_no_token_is_written_down(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Neither good nor bad ones, in no file of the project folder and in no log."""
    boss = api.http("boss")
    shown = boss.post("/destroy", json=DESTROY, headers={"Cookie": "sentinel-cookie"}).json()
    wait_for(boss, shown)
    bad = api.token("boss")[:-4] + "AAAA"
    for token in (bad, "sentinel.bad.token"):
        headers = {"Authorization": f"Bearer {token}"}
        assert api.http().post("/destroy", json=DESTROY, headers=headers).status_code == 401
    api.http("service").post("/deploy", json={"slugs": [api.token("boss")]})
    api.audited(action="destroy.finished")
    api.audited(action="deploy", status=422)
    written = caplog.text
    for path in api.layout.data.rglob("*"):
        if path.is_file():
            written += path.read_text(errors="replace")
    assert shown["id"] in written
    for sentinel in (api.token("boss"), bad, "sentinel", api.auth.service_key):
        assert sentinel not in written
        assert sentinel.rpartition(".")[2] not in written
