"""The main job, with nothing replaced: git host, images, Terraform, Envoy, certificates, engine.

The tests of this module share one project and run in order: each starts from what the one before
left, as a person's day does.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Project
from tests.support.envoy_lab import eventually
from tests.support.git_server import Content, GitServer, Link, Repository
from tests.support.machine import record
from tests.support.proxying import containers, plain, proxying
from tests.support.stream import result_of

pytestmark = pytest.mark.integration

SENTINEL = "sentinel-" + "5ecret" * 3

HELLO: dict[str, Content] = {
    "data": Link("/nowhere/on/this/machine"),
    "main.py": "import os, sys\n"
    "def main():\n"
    "    print('hello', file=sys.stderr)\n"
    "    print('the token has', len(os.environb[b'TOKEN']), 'bytes')\n",
}
SERVER = {
    "main.py": "import http.server, os, time\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        if self.path == '/socket':\n"
    "            self.wfile.write(b'HTTP/1.1 101 Switching Protocols\\r\\n'\n"
    "                b'Upgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n' + b'frame')\n"
    "            return\n"
    "        self.send_response(200); self.end_headers()\n"
    "        if self.path == '/events':\n"
    "            self.wfile.write(b'data: 1\\n\\n'); time.sleep(1)\n"
    "            self.wfile.write(b'data: 2\\n\\n')\n"
    "            return\n"
    "        self.wfile.write(os.environ['GREETING'].encode())\n"
    "if __name__ == '__main__':\n"
    "    address = ('127.0.0.1', int(os.environ['PORT']))\n"
    "    http.server.ThreadingHTTPServer(address, Handler).serve_forever()\n"
}

CLIENT = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
"""


def _write(project: Project) -> None:
    project.file.write_text(
        "- slug: gh:acme/hello-main#v1\n"
        "  env:\n"
        "    TOKEN: ${TEST_TOKEN}\n"
        '    LINES: "a\\r\\nb"\n'
        "- slug: gh:acme/web#main:services/web\n"
        "  port: 8080\n"
        "  env:\n"
        "    GREETING: good morning\n"
    )


@pytest.fixture(scope="module")
def first(project: Project, git_server: GitServer) -> dict[str, Any]:
    """The first deploy: two repositories made on the fly."""
    hello = git_server.repository("acme/hello-main")
    hello.commit(HELLO)
    hello.tag("v1", annotated=True)
    web = git_server.repository("acme/web")
    web.commit({f"services/web/{name}": text for name, text in SERVER.items()})
    project.environment["TEST_TOKEN"] = SENTINEL
    _write(project)
    return project.deploy()


@pytest.mark.core
def test_slugs_become_proven_services(first: dict[str, Any], project: Project) -> None:
    """Both are SERVING under the identity they proved, and refused a stranger."""
    assert first["verdict"] == "ok"
    services = {s["name"]: s for s in first["services"]}
    assert {n: s["phase"] for n, s in services.items()} == {
        "hello-main": "COMPLETED",
        "web": "RUNNING",
    }
    for name, service in services.items():
        assert service["status"] == "SERVING"
        assert service["identity"] == f"spiffe://iacnet-{project.name}/{name}"
        assert service["identity_proven"]
        assert service["no_certificate_refused"]
        assert len(service["commit"]) == 40
    assert services["hello-main"]["entrypoint"] == "main.py:main"


@pytest.mark.core
def test_its_events_say_what_was_done_to_each_service(
    first: dict[str, Any], project: Project
) -> None:
    """`--json` prints them as they come, by the schema, and the result last."""
    del first
    stages: dict[str, list[str]] = {}
    for line in project.said:
        if "service" in line and "stage" in line:
            stages.setdefault(line["service"], []).append(line["stage"])
    for name in ("hello-main", "web"):
        seen = list(dict.fromkeys(stages[name]))
        assert [s for s in seen if s != "start"] == [
            *("resolve", "fetch", "detect", "build", "apply", "prove", "done")
        ]
    assert any("copying files" in line["message"] for line in project.said)
    assert SENTINEL not in json.dumps(project.said)


@pytest.mark.core
def test_the_lock_holds_facts_and_neither_paths_nor_secrets(
    first: dict[str, Any], project: Project
) -> None:
    """repos.lock.json can be committed."""
    text = (project.folder / "repos.lock.json").read_text()
    assert str(ROOT) not in text
    assert str(project.folder) not in text
    assert SENTINEL not in text
    link = "the symbolic link data (-> /nowhere/on/this/machine, which leaves the source), left out"
    assert json.loads(text)["apps"]["hello-main"]["notes"] == [link]
    commits = {s["name"]: s["commit"] for s in first["services"]}
    assert {n: a["commit"] for n, a in json.loads(text)["apps"].items()} == commits


@pytest.mark.core
def test_nothing_of_terraform_holds_a_secret(first: dict[str, Any], project: Project) -> None:
    """State, synthesized JSON and logs have neither a private key nor the token."""
    files = [p for p in (ROOT / ".iac" / "projects" / project.name).rglob("*") if p.is_file()]
    assert any(p.name == "terraform.tfstate" for p in files)
    assert any(p.name == "cdk.tf.json" for p in files)
    for path in files:
        if ".terraform" not in path.parts:
            text = path.read_text(errors="replace")
            assert "PRIVATE KEY" not in text, path
            assert SENTINEL not in text, path


@pytest.mark.core
def test_the_app_got_its_secret(first: dict[str, Any], project: Project) -> None:
    """`${TEST_TOKEN}` reached the program through a file; its output comes back by `iac logs`."""
    printed = project.iac("logs", "--service", "hello-main").stdout
    assert f"the token has {len(SENTINEL)} bytes" in printed
    assert "hello-main | hello" in printed.splitlines()
    app = project.container("hello-main", "app")
    assert app.exec_run(["printenv", "LINES"]).output == b"a\r\nb\n"


def test_logs_of_a_live_service_come_from_its_runner(
    first: dict[str, Any], project: Project
) -> None:
    """StreamLogs through gateway and sidecar: `iac logs --json` says when, and on which stream."""
    lines = project.iac("logs", "--service", "hello-main", "--json").stdout.splitlines()
    found = {each["line"]: each for each in map(json.loads, lines)}
    assert found["hello"]["stream"] == "stderr"
    assert datetime.fromisoformat(found["hello"]["time"]).tzinfo


def test_the_engine_has_the_lines_of_a_time_and_those_with_a_word(
    first: dict[str, Any], project: Project
) -> None:
    """Both services merged; each line has its time, and those of the future are none."""
    printed = project.iac("logs", "--since", "1h", "-t").stdout.splitlines()
    times = [line.split()[0] for line in printed]
    assert times == sorted(times)
    assert {line.split()[1] for line in printed} == {"hello-main", "web"}
    (found,) = project.iac("logs", "--grep", "^hello$", "-t").stdout.splitlines()
    assert found.endswith("Z hello-main | hello")
    assert datetime.fromisoformat(found.split()[0]).tzinfo
    assert project.iac("logs", "--until", "1h").stdout == ""


def test_the_doctor_finds_a_deployed_project_well(first: dict[str, Any], project: Project) -> None:
    """Its certificates are those that are served, and nothing is left of the deploy."""
    done = project.iac("doctor", "--json", code=None)  # what this machine lacks is its own
    checks = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    of_project = {name for name, each in checks.items() if each["part"].startswith("project ")}
    assert {"certificates", "leftovers", "ports", "network", "secrets"} <= of_project
    failed = {name: each["evidence"] for name, each in checks.items() if each["exit_code"]}
    assert failed.keys() & of_project == set(), failed
    assert checks["leftovers"]["outcome"] == "PASSED"
    assert checks["certificates"]["evidence"].startswith("3 are good")
    assert checks["engine"]["outcome"] == "PASSED"


def test_the_status_has_what_programs_use(first: dict[str, Any], project: Project) -> None:
    """Of a real engine; the narrow table keeps to 80 columns with real names."""
    found = json.loads(project.iac("status", "--json").stdout)
    services = {each["name"]: each for each in found["services"]}
    assert (found["good"], services["hello-main"]["state"]) == (True, "COMPLETED")
    assert 0 <= services["web"]["processors"] < 4
    assert 2**20 < services["web"]["memory_bytes"] < services["web"]["memory_limit_bytes"]
    table, _, below = project.iac("services").stdout.partition("\n\n")
    assert max(map(len, table.splitlines())) <= 80
    assert "2 of 2 services are good." in below


@pytest.mark.core
def test_after_a_deploy_the_plan_is_empty(first: dict[str, Any], project: Project) -> None:
    """Its detailed exit code is 0."""
    planned = project.iac("plan", "--file", str(project.file), "--detailed-exitcode")
    assert "warning: hello-main: the symbolic link data" in planned.stderr


def test_a_second_deploy_touches_nothing(first: dict[str, Any], project: Project) -> None:
    """The same containers with the same ids."""
    before = project.container_ids()
    again = project.deploy()
    assert again["plan"]["empty"], again["plan"]
    assert project.container_ids() == before
    assert len(before) == 5  # two services with a sidecar each, and the gateway


@pytest.mark.core
def test_services_call_each_other_by_name(first: dict[str, Any], project: Project) -> None:
    """Plain HTTP to a name becomes mTLS between the sidecars."""
    app = project.container("hello-main", "app")
    code, output = app.exec_run(["/venv/bin/python", "-c", CLIENT, "http://web:8080/"])
    assert (code, output) == (0, b"good morning\n")


def test_a_person_reaches_a_service(first: dict[str, Any], project: Project) -> None:
    """HTTP/1.1, HTTP/2, a WebSocket and events as they come, by a name of loopback alone; the
    command's key is on no disk and in nothing that the engine tells."""
    kept = sorted((ROOT / "secrets" / project.name).rglob("*"))
    with proxying(project, "web") as proxy:
        url = f"http://localhost:{proxy.port}/"
        with plain(url, timeout=5) as answer:
            assert answer.read() == b"good morning"
        curl = ["curl", "-sS", "--noproxy", "*", "-w", " %{http_version} %{http_code}"]
        said = subprocess.check_output([*curl, "--http2-prior-knowledge", url], text=True)
        assert said == "good morning 2 200"
        said = subprocess.check_output([*curl, "-H", "Host: evil.example", url], text=True)
        assert said.startswith("this is not a name of service web here: open http://localhost:")
        assert said.endswith(" 1.1 421")
        with plain(f"{url}events", timeout=5) as answer:
            began = time.monotonic()
            assert answer.readline() == b"data: 1\n"
            assert time.monotonic() - began < 0.5
            assert answer.read() == b"\ndata: 2\n\n"
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
            client.sendall(f"GET /socket HTTP/1.1\r\n{WEBSOCKET}".encode())
            got = b""
            while not got.endswith(b"frame"):
                got += client.recv(4096) or pytest.fail(got.decode())
        assert got.startswith(b"HTTP/1.1 101 ")

        (container,) = containers(project)
        assert "PRIVATE KEY" not in json.dumps(container.attrs)
        assert b"PRIVATE KEY" not in container.logs()
        (uid,) = (v[14:] for v in container.attrs["Config"]["Env"] if v[:14] == "IAC_ENVOY_UID=")
        look = ["/opt/iac/python3", "-c", LEAF]
        assert container.exec_run(look, user=uid) == (0, b"tmpfs 0600 True\n")
        assert b"PermissionError" in container.exec_run(look)[1]  # root, without capabilities
        _is_closed_to_the_network(project, container)
    assert sorted((ROOT / "secrets" / project.name).rglob("*")) == kept


LEAF = """
import os
(kind,) = [line.split()[2] for line in open('/proc/mounts') if line.split()[1] == '/run']
found = os.stat('/run/envoy/leaf.yaml')
print(kind, f'{found.st_mode & 0o777:04o}', found.st_uid == os.geteuid())
"""
WEBSOCKET = (
    "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _is_closed_to_the_network(project: Project, container: Any) -> None:
    """Another container of the network cannot speak with the person's identity."""
    network = f"iacnet-{project.name}"
    address = container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    probe = (
        "import socket\n"
        f"try: socket.create_connection(({address!r}, 15443), 0.7); print('open')\n"
        "except OSError: print('closed')\n"
    )
    output = project.engine.containers.run(
        record().bases["3.11"].image, ["python3", "-c", probe], network=network, remove=True
    )
    assert output == b"closed\n"


def test_a_way_ends_with_its_command(first: dict[str, Any], project: Project) -> None:
    """By Ctrl-C and SIGTERM within a second or two; after SIGKILL the engine sees to it. Nothing is
    left, and nothing that is deployed has changed."""
    before = project.container_ids()
    for number in (signal.SIGINT, signal.SIGTERM):
        with proxying(project, "web") as proxy:
            assert proxy.end(number) < 3
            assert proxy.process.returncode == 130
            assert containers(project) == []
    with proxying(project, "web", str(proxy.port)) as again:
        assert again.port == proxy.port
        taken = project.iac("proxy", "web", str(again.port), code=2).stderr
        assert f"port {again.port} on 127.0.0.1 is in use" in taken
        again.end(signal.SIGKILL)
        eventually(lambda: containers(project) == [], 5)
    assert project.container_ids() == before


def test_services_are_listed_at_a_glance(first: dict[str, Any], project: Project) -> None:
    """In the words of `iac health`, and quicker."""
    text = project.iac("services").stdout
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert "COMPLETED" in rows["hello-main"]
    assert "SERVING" in rows["web"]
    told = json.loads(project.iac("services", "--json").stdout)["services"]
    web = {row["name"]: row for row in told}["web"]
    assert (web["state"], web["restarts"], web["identity_proven"]) == ("SERVING", 0, True)
    assert web["certificate_expires"]


@pytest.mark.core
def test_a_stranger_on_the_network_reaches_nothing(first: dict[str, Any], project: Project) -> None:
    """Without a certificate: app port, stats and outbound listener are closed, 15000 refuses.

    In TLS 1.3 the refusal comes after the client's side of the handshake: the probe has to read.
    """
    probe = (
        "import socket, ssl\n"
        "for port in (8080, 50051, 9901, 15001, 15020):\n"
        "    try: socket.create_connection(('web', port), 0.7); print(port, 'open')\n"
        "    except OSError: print(port, 'closed')\n"
        "context = ssl.create_default_context(); context.check_hostname = False\n"
        "context.verify_mode = ssl.CERT_NONE\n"
        "with context.wrap_socket(socket.create_connection(('web', 15000), 2)) as stream:\n"
        "    try: print('15000', stream.recv(1))\n"
        "    except ssl.SSLError as error: print('15000', error.reason)\n"
    )
    base = record().bases["3.11"].image
    output = project.engine.containers.run(
        base, ["python3", "-c", probe], network=f"iacnet-{project.name}", remove=True
    )
    assert output.decode().splitlines() == [
        *(f"{port} closed" for port in (8080, 50051, 9901, 15001, 15020)),
        "15000 TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ]


def test_a_plan_sees_what_was_done_by_hand(first: dict[str, Any], project: Project) -> None:
    """To containers, to the network and to images: a reason for each."""
    network = project.engine.networks.get(f"iacnet-{project.name}")
    hello, envoy = project.container("hello-main", "app"), project.container("web", "envoy")
    gateway = project.engine.containers.get(f"{project.name}-gateway")
    image = hello.image
    (name,) = image.tags
    plan = ("plan", "--file", str(project.file), "--detailed-exitcode")
    image.tag("kept", project.name)  # the engine removes no last name of what runs
    project.engine.images.remove(name)
    limit = ["docker", "update", "--pids-limit", "60", hello.name, envoy.name]
    project.run(limit)
    network.disconnect(envoy)
    gateway.stop(timeout=1)
    try:
        done = project.iac(*plan, code=2).stdout
    finally:
        gateway.start()
        network.connect(envoy)
        project.run([*limit[:3], "1152", *limit[4:]])
        image.tag(*name.split(":"))
        project.engine.images.remove(f"kept:{project.name}")
    assert done.splitlines() == [
        "  ~ gateway: restarted (it is stopped)",
        "  ± hello-main: replaced (limit of processes of its app container was changed by hand;"
        f" the name {name} of its image was removed by hand)",
        "  ± web: replaced (limit of processes of its sidecar was changed by hand;"
        " network of its sidecar was changed by hand)",
        "Plan: 2 replaced, 1 restarted.",
    ]


def test_a_plan_says_what_and_why(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """In words of services, with the names of variables but none of their values: what people
    changed, what drifted, and a secret's new value; unset, it is the error that deploy gives."""
    head = Repository(git_server.folder / "acme" / "web").commit({"services/web/more.txt": "x"})
    text = project.file.read_text()
    project.file.write_text(text.replace("GREETING: good", "OTHER: sentinel"))
    container = project.container("hello-main", "app")
    container.update(mem_limit="300m", memswap_limit="300m")
    token = project.environment["TEST_TOKEN"]
    project.environment["TEST_TOKEN"] = SENTINEL + "new"
    file = ("--file", str(project.file))
    try:
        done = project.iac("plan", *file, "--detailed-exitcode", code=2).stdout
        told = json.loads(project.iac("plan", *file, "--json").stdout)
        full = project.iac("plan", *file, "--full").stdout
        del project.environment["TEST_TOKEN"]
        unset = project.iac("plan", *file, code=2).stderr
    finally:
        project.environment["TEST_TOKEN"] = token
        project.file.write_text(text)
        container.update(mem_limit="512m", memswap_limit="512m")
    before = {s["name"]: s["commit"][:12] for s in first["services"]}["web"]
    hello, web, count = done.splitlines()
    assert hello == (
        "  ~ hello-main: restarted (env: changed TOKEN; "
        "memory of its app container was changed by hand)"
    )
    assert web == (
        f"  ± web: replaced (commit {before} → {head[:12]};"
        " env: added OTHER and removed GREETING)"
    )
    assert count == "Plan: 1 replaced, 1 restarted."
    assert "sentinel" not in done
    assert [(s["service"], s["interrupts"]) for s in told["services"]] == [
        ("hello-main", True),
        ("web", True),
    ]
    assert "# docker_container.web_app_" in full
    assert SENTINEL not in full
    assert "TEST_TOKEN" in unset


def test_a_new_commit_replaces_only_its_service(
    first: dict[str, Any], project: Project, git_server: GitServer
) -> None:
    """A push to the branch is planned, and that plan is deployed; the other service's containers
    stay. The plan is refused when something has moved: before, and once it was applied."""
    before = project.container_ids()
    web = Repository(git_server.folder / "acme" / "web")
    changed = SERVER["main.py"].replace("'GREETING'].encode()", "'GREETING'].upper().encode()")
    head = web.commit({"services/web/main.py": changed})
    saved = project.folder / "web.plan"
    planned = project.iac("plan", "--file", str(project.file), "--out", str(saved)).stdout
    assert f"Next: iac deploy --plan {saved} --project {project.name}\n" in planned
    assert SENTINEL not in saved.read_text()
    assert saved.stat().st_mode & 0o777 == 0o600
    project.environment["TEST_TOKEN"] = SENTINEL + "new"
    refused = project.iac("deploy", "--plan", str(saved), code=2).stderr
    project.environment["TEST_TOKEN"] = SENTINEL
    assert "changed since it was made: the value of TOKEN of hello-main\n" in refused
    web.commit({"services/web/later.txt": "not in the plan"})
    done = project.iac("deploy", "--plan", str(saved), "--json")
    report = result_of(done.stdout)
    assert {s["name"]: s["commit"] for s in report["services"]}["web"] == head
    web.git("reset", "--quiet", "--hard", head)
    release = json.loads(project.iac("show", str(report["release"]), "--json").stdout)
    assert release["plan_file"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    refused = project.iac("deploy", "--plan", str(saved), code=2).stderr
    assert "repos.lock.json, what is deployed\n" in refused
    after = project.container_ids()
    changed_names = {name for name, id_ in after.items() if before.get(name) != id_}
    assert changed_names == {f"{project.name}-web-app"}
    assert report["verdict"] == "ok"
    app = project.container("hello-main", "app")
    answer = app.exec_run(["/venv/bin/python", "-c", CLIENT, "http://web:8080/"])[1]
    assert answer == b"GOOD MORNING\n"


def test_new_secrets_and_certificates_reach_their_containers(
    first: dict[str, Any], project: Project
) -> None:
    """Terraform sees no change; the app gets the new value, a stranded Envoy its new leaf.

    The value is bytes, with line ends of all kinds; deployed again, it restarts nothing. A lost
    directory of certificates is made again, but Envoy's mount still shows the old one: the verdict
    is good only if the certificate on disk is the one in the handshake.
    """
    value = SENTINEL.encode() + b"\r\n\r\xff\n"
    project.environment["TEST_TOKEN"] = os.fsdecode(value)
    shutil.rmtree(ROOT / "secrets" / project.name / "web")
    report = project.deploy()
    assert report["plan"]["empty"]
    assert report["verdict"] == "ok"
    printed = project.iac("logs", "--service", "hello-main").stdout
    assert f"the token has {len(value)} bytes" in printed
    started = project.container("hello-main", "app").attrs["State"]["StartedAt"]
    project.deploy()
    assert project.container("hello-main", "app").attrs["State"]["StartedAt"] == started


def test_killing_the_app_is_seen(first: dict[str, Any], project: Project) -> None:
    """kill -9 of the user's program turns it NOT_SERVING, though the runner starts it again."""
    app = project.container("web", "app")
    app.exec_run(["/venv/bin/python", "-c", KILL_CHILDREN])
    web = project.health(code=7)["web"]
    assert (web["status"], web["signal"]) == ("NOT_SERVING", signal.SIGKILL)
    assert "signal 9" in project.iac("logs", "--service", "web").stdout


KILL_CHILDREN = """
import os, signal
for pid in filter(str.isdigit, os.listdir('/proc')):
    argv = open(f'/proc/{pid}/cmdline').read().split('\\0')
    if '/opt/iac/launch.py' in argv and 'runner' not in argv:
        os.kill(int(pid), signal.SIGKILL)
"""


def test_stats_are_where_the_readme_says(first: dict[str, Any], project: Project) -> None:
    """Envoy's Prometheus page answers inside the namespace, and nothing else of its admin does."""
    app = project.container("web", "app")
    url = "http://127.0.0.1:9901"
    stats = app.exec_run(["/venv/bin/python", "-c", CLIENT, f"{url}/stats/prometheus"])[1]
    assert b"envoy_server_live" in stats
    refused = app.exec_run(["/venv/bin/python", "-c", CLIENT, f"{url}/quitquitquit"])[1]
    assert b"404" in refused


@pytest.mark.core
def test_destroy_leaves_nothing(first: dict[str, Any], project: Project) -> None:
    """No container, network, image tag, certificate, secret or state of the project remains."""
    project.iac("destroy", "--yes")
    engine = project.engine
    assert engine.containers.list(all=True, filters=project.label, ignore_removed=True) == []
    assert engine.networks.list(filters=project.label) == []
    assert project.image_tags() == []
    left = [p for p in _own_files() if project.name in p.name]
    assert left == []
    done = project.iac("health", code=2)
    assert "nothing is deployed" in done.stderr
    assert "there is no project" in project.iac("destroy", "--yes", code=2).stderr


def _own_files() -> list[Path]:
    folders = (ROOT / "secrets", ROOT / ".iac" / "projects", ROOT / ".iac" / "build")
    return [path for folder in folders for path in folder.iterdir()]
