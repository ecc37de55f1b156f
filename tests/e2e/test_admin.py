"""The admin API as its users meet it: a server process, real tokens, `curl -N`, a Python client.

The tests share one project and run in order. The auth server is the double of tests/support; all
else is real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.transport import UnixHTTPAdapter

from tests.e2e.conftest import IAC, NO_SPARE, ROOT, Project
from tests.support.auth_server import AuthServer
from tests.support.git_server import GitServer
from tests.support.receiver import Receiver, receiving
from tests.support.sentinel import SENTINEL, files_showing, showing

pytestmark = pytest.mark.integration

HELLO = {"main.py": "def main():\n    print('hello')\n"}
DEAF = {"main.py": "import time\nif __name__ == '__main__':\n    time.sleep(600)\n"}

Event = dict[str, Any]


class Server:
    """`iac admin serve` in a process of its own, and clients for both of its ways in."""

    def __init__(
        self, project: Project, folder: Path, auth: AuthServer, receiver: Receiver
    ) -> None:
        self.receiver = receiver
        self.user = auth.add_user("ci@example.org")
        self.token = auth.sign_in(self.user)
        self.socket = folder / "api.sock"
        self.environment = {
            **os.environ,
            **NO_SPARE,
            **project.environment,
            **receiver.environment,
            "IAC_PROJECT": project.name,
            "IAC_ACME_DIRECTORY": "https://127.0.0.1:1/",  # it renews all projects of the folder
            "IAC_ADMIN_BIND": "127.0.0.1:0",
            "IAC_ADMIN_GRPC": "off",
            "IAC_ADMIN_SOCKET": str(self.socket),
            "IAC_ADMIN_USERS": "ci@example.org",
            "SUPABASE_URL": auth.url,
            "SUPABASE_SERVICE_ROLE_KEY": auth.service_key,
        }
        self.local = requests.Session()
        self.local.mount("http+unix://", UnixHTTPAdapter(f"http+unix://{self.socket}"))
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [IAC, "admin", "serve"],
            cwd=ROOT,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if match := re.search(r"HTTP +(http://\S+)", line):
                self.url = match[1]
                break
        assert self.url, "".join(said)
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(requests.ConnectionError):
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            time.sleep(0.05)

    def stop(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=20)

    def call(self, method: str, path: str, body: object = None, **more: Any) -> requests.Response:
        """Over HTTP, with the user's token."""
        return requests.request(
            method,
            self.url + path,
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=60,
            **more,
        )

    def ask_locally(self, method: str, path: str, **more: Any) -> requests.Response:
        """Over the Unix socket, without a token."""
        return self.local.request(method, f"http+unix://localhost{path}", timeout=60, **more)

    def deploy(self, *slugs: str) -> str:
        """Start a deploy over HTTP and return its address."""
        answer = self.call("POST", "/deploy", {"slugs": slugs})
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def ended(self, address: str, *, within: float = 60) -> dict[str, Any]:
        """The deployment once it has ended."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.call("GET", address).json()
            if found["status"] not in ("queued", "running"):
                return found
            time.sleep(0.1)
        pytest.fail(f"{address} did not end")


@pytest.fixture(scope="module")
def server(
    project: Project, git_server: GitServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server whose gh: slugs come from the local git host, where all is private."""
    git_server.token = SENTINEL
    project.environment["GITHUB_TOKEN"] = SENTINEL
    for name, files in (("hello", HELLO), ("again", HELLO), ("deaf", DEAF)):
        git_server.repository(f"acme/{name}").commit(files)
    with AuthServer("ES256") as auth, receiving() as receiver:
        made = Server(project, tmp_path_factory.mktemp("api"), auth, receiver)
        made.start()
        try:
            yield made
        finally:
            made.stop(signal.SIGTERM)
            for record in (ROOT / ".iac" / "jobs").glob("*/job.json"):
                if json.loads(record.read_text())["request"]["project"] == project.name:
                    shutil.rmtree(record.parent)


def events_of(stream: requests.Response) -> Iterator[Event]:
    """The events of an SSE response, as a small client reads them."""
    for block in stream.iter_lines(chunk_size=1, delimiter=b"\n\n"):
        data = [line[6:] for line in block.split(b"\n") if line.startswith(b"data: ")]
        if data:
            yield json.loads(data[0])


def test_a_deploy_streams_from_the_post_to_serving(server: Server) -> None:
    """`curl -N` sees every event of its POST; a second POST meanwhile is told who is at work."""
    curl = subprocess.Popen(
        [
            *("curl", "-sSN", f"{server.url}/deploy", "-H", "Accept: text/event-stream"),
            *("-H", f"Authorization: Bearer {server.token}"),
            *("-H", "Content-Type: application/json", "-d", '{"slugs":["gh:acme/hello"]}'),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert curl.stdout is not None
    first = [curl.stdout.readline() for _ in range(3)]
    second = server.call("POST", "/deploy", {"slugs": ["gh:acme/hello"]})
    rest, _ = curl.communicate(timeout=60)
    text = "".join(first) + rest

    assert second.status_code == 409
    assert "ci@example.org" in second.json()["found"]
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("queued", "finished")
    result = events[-1]["data"]
    assert result["status"] == "succeeded"
    assert [s["status"] for s in result["report"]["services"]] == ["SERVING"]
    services = server.call("GET", "/services").json()
    assert (services["verdict"], services["services"][0]["name"]) == ("ok", "hello")
    lines = server.call("GET", "/services/hello/logs").text.splitlines()
    assert "hello" in [json.loads(line)["line"] for line in lines]


def test_a_deploy_outlives_its_server(server: Server) -> None:
    """The server is killed in the middle: the next one has every event, the deploy succeeds."""
    address = server.deploy("gh:acme/again")
    seen: list[Event] = []
    with suppress(requests.RequestException):
        stream = server.ask_locally("GET", f"{address}/events", stream=True)
        for event in events_of(stream):
            seen.append(event)
            if event["kind"] == "step":
                server.stop(signal.SIGKILL)
    server.start()
    rest = server.ask_locally(
        "GET", f"{address}/events", stream=True, headers={"Last-Event-ID": str(seen[-1]["id"])}
    )
    seen += events_of(rest)

    assert [event["id"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["data"]["status"] == "succeeded"
    assert {s["name"] for s in seen[-1]["data"]["report"]["services"]} == {"hello", "again"}


def test_a_rollback_is_asked_for(server: Server, project: Project) -> None:
    """By number and service; it is proven, and in the ledger under its job."""
    answer = server.call("POST", "/rollback", {"to": 1, "services": ["hello"]})
    done = server.ended(answer.headers["Location"])
    assert (done["status"], done["kind"]) == ("succeeded", "rollback"), done
    found = {each["name"]: each["status"] for each in done["report"]["services"]}
    assert found["hello"] == "SERVING"
    release = server.call("GET", f"/releases/{done['release']}").json()
    assert (release["kind"], release["to"], release["named"]) == ("rollback", 1, ["hello"])
    assert release["by"]["job"] == done["id"]


def test_the_token_of_the_git_host_is_shown_nowhere(server: Server, project: Project) -> None:
    """Not to callers, and in nothing that their deployments left."""
    jobs = server.call("GET", "/deployments").json()["deployments"]
    paths = [path for job in jobs for path in (job["links"]["self"], job["links"]["events"])]
    logs = ["/services/hello/logs", "/services/again/logs?envoy=true"]
    answers = [server.call("GET", path).text for path in (*paths, *logs, "/services")]
    assert len(answers) > 5
    assert not [text[:200] for text in showing([*answers, *project.traces()])]
    for folder in (".iac/jobs", ".iac/admin"):
        assert not files_showing(ROOT / folder)


def test_cancelled_and_killed_deploys_can_be_resumed(server: Server) -> None:
    """Cancel ends a deploy that waits; a killed worker is reported; resuming finishes a job."""
    deaf = {"apps": [{"slug": "gh:acme/deaf", "port": 8080}]}
    address = server.call("POST", "/deploy", deaf).headers["Location"]
    for event in events_of(server.call("GET", f"{address}/events", stream=True)):
        if event["message"].startswith("deaf: NOT_SERVING"):
            assert server.call("POST", f"{address}/cancel").status_code == 202
    cancelled = server.ended(address, within=1)
    assert (cancelled["status"], cancelled["resumable"]) == ("cancelled", True)

    address = server.call("POST", "/plan", {"slugs": ["gh:acme/hello"]}).headers["Location"]
    assert server.call("POST", f"{address}/cancel").status_code == 202
    assert server.ended(address)["status"] == "cancelled"
    resumed = server.call("POST", f"{address}/resume")
    assert resumed.status_code == 202
    worker = _worker(resumed.json()["id"])
    os.kill(worker, signal.SIGKILL)
    interrupted = server.ended(resumed.headers["Location"])
    assert interrupted["status"] == "interrupted"
    again = server.call("POST", interrupted["links"]["resume"])
    assert server.ended(again.headers["Location"])["status"] == "succeeded"


def test_one_service_is_taken_away(server: Server, project: Project) -> None:
    """DELETE removes its containers and key and leaves the others; one that is not there is 404."""
    before = project.container_ids()
    done = server.call("DELETE", "/services/again")
    ended = server.ended(done.headers["Location"])
    assert (ended["status"], ended["kind"]) == ("succeeded", "remove"), ended
    assert ended["removed"] == {"services": ["again"], "volumes_kept": []}
    after = project.container_ids()
    assert set(before) - set(after) == {f"{project.name}-again-{r}" for r in ("app", "envoy")}
    assert after.items() <= before.items()
    missing = server.call("DELETE", "/services/again")
    assert (missing.status_code, missing.json()["found"]) == (404, "the services deaf, hello")


def test_destroy_asks_twice_and_leaves_an_audit(server: Server, project: Project) -> None:
    """The name must be repeated; afterwards nothing is left, and the audit says who did it."""
    wrong = server.call("POST", "/destroy", {"confirm": "something"})
    assert wrong.status_code == 422
    done = server.call("POST", "/destroy", {"confirm": project.name})
    assert server.ended(done.headers["Location"])["status"] == "succeeded"
    assert project.container_ids() == {}
    page = server.call("GET", f"/releases?project={project.name}").json()
    assert page["releases"][0]["kind"] == "destroy"
    assert page["releases"][0]["by"]["job"] == done.json()["id"]
    assert "interrupted" in [release["verdict"] for release in page["releases"]]
    assert page["remarks"] == []
    ended = [message["data"] for message in server.receiver.messages]
    ours = [each for each in ended if each["project"] == project.name]
    assert {each["operation"] for each in ours} >= {"deploy", "rollback", "remove", "destroy"}
    assert {each["by"]["source"] for each in ours} == {"api"}
    assert not showing([body.decode() for _, body in server.receiver.got])

    lines = [json.loads(line) for line in (ROOT / ".iac/admin/audit.jsonl").open()]
    own = [line for line in lines if line["project"] == project.name]
    deploys = [line for line in own if line["action"] == "deploy.finished"]
    assert [line["outcome"] for line in deploys] == ["succeeded", "succeeded", "cancelled"]
    assert all(re.fullmatch("[0-9a-f]{64}", line["plan_hash"]) for line in deploys[:2])
    assert {line["actor"]["name"] for line in own} == {"ci@example.org"}
    assert server.token not in (ROOT / ".iac/admin/audit.jsonl").read_text()


def _worker(job: str) -> int:
    """The process that works on a job, as soon as there is one."""
    record = ROOT / ".iac" / "jobs" / job / "worker.lock"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError):
            return int(record.read_text())
        time.sleep(0.02)
    pytest.fail(f"{job} has no worker")
