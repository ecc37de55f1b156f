"""Two services and a gateway on a real engine: what may pass, what may not, and what heals."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.identity.handshake import meet
from iac_wrapper.identity.http2_client import Http2Client
from iac_wrapper.model.proof import ProofRequest
from tests.support import mesh_lab
from tests.support.mesh_lab import DOMAIN, ENVOY_UID, Lab, eventually

pytestmark = pytest.mark.integration

PROBE = """
import json, socket, ssl, sys
def tcp(port):
    try:
        socket.create_connection((sys.argv[1], port), 0.3).close()
        return "open"
    except TimeoutError:
        return "dropped"
def without_certificate():
    context = ssl._create_unverified_context()
    try:
        raw = socket.create_connection((sys.argv[1], 15000), 2)
        context.wrap_socket(raw, server_hostname="b").recv(1)
    except ssl.SSLError as error:
        return error.reason
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        query = bytes.fromhex("12340100000100000000000001620000010001")
        client.sendto(query, (sys.argv[1], 15053))
        try:
            return client.recv(100).hex()
        except TimeoutError:
            return "dropped"
ports = {port: tcp(port) for port in (8080, 9901, 15001, 15020, 15053)}
print(json.dumps({**ports, "udp": udp(), "mtls": without_certificate()}))
"""


FIREWALL_TWICE = """
import json, subprocess, sys
sys.path.insert(0, "/opt/iac/sidecar")
from runner.sidecar import environment, firewall
def rules():
    firewall.establish(environment.SidecarEnvironment("sidecar", sys.argv[1], 10101, "x"))
    saved = subprocess.run(["/usr/sbin/iptables-nft-save"], capture_output=True, text=True)
    return [line for line in saved.stdout.splitlines() if line[:1] in ":-"]
print(json.dumps([[line.partition(" [")[0] for line in rules()] for _ in range(2)]))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Services a and b (b also answers to the name imposter), a gateway, and a stranger."""
    made = mesh_lab.start(tmp_path_factory.mktemp("lab") / "secrets")
    try:
        made.leaf("control-plane", os.geteuid())
        made.service("a")
        made.service("b", "imposter")
        made.envoy("gateway", ports={15443: ("127.0.0.1", 0)}, **made.on_network())
        made.python("stranger", "import time; time.sleep(3600)", **made.on_network())
        made.containers["gateway"].reload()
        made.port = int(made.containers["gateway"].ports["15443/tcp"][0]["HostPort"])
        eventually(made.handshake, 10)
        eventually(lambda: check(made.fetch("http://b:8080/")[0] == 200), 10)
        yield made
    finally:
        made.close()


def check(condition: bool) -> None:
    """An assertion that `eventually` can repeat."""
    assert condition


def address(lab: Lab, name: str) -> str:
    """The container's address on the lab's network."""
    container = lab.containers[name]
    container.reload()
    found: str = container.attrs["NetworkSettings"]["Networks"][lab.prefix]["IPAddress"]
    return found


def test_the_control_plane_reaches_a_service_through_the_gateway(lab: Lab) -> None:
    """TLS 1.3 and h2 end to end: the certificate is the service's, not the gateway's."""
    names = lab.handshake("b")["subjectAltName"]
    assert names == (("DNS", "b"), ("URI", f"spiffe://{DOMAIN}/b"))


def test_without_a_certificate_or_with_a_strange_one_there_is_no_way_in(
    lab: Lab, tmp_path: Path
) -> None:
    """None, one of another CA, one of another trust domain, and TLS 1.2 are refused."""
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        lab.handshake(leaf=tmp_path / "none")
    strange = ensure_leaf(
        ensure_ca(tmp_path), tmp_path / "x", name="a", trust_domain=DOMAIN, owner_uid=os.geteuid()
    )
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        lab.handshake(leaf=strange.directory)
    other = ensure_leaf(
        ensure_ca(lab.secrets),
        tmp_path / "y",
        name="control-plane",
        trust_domain="iacnet-other",
        owner_uid=os.geteuid(),
    )
    with pytest.raises(ssl.SSLError, match="CERTIFICATE"):
        lab.handshake(leaf=other.directory)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        lab.handshake(newest=ssl.TLSVersion.TLSv1_2)


@pytest.mark.parametrize("sni", [None, "b.example", "localhost", "nobody"])
def test_the_gateway_is_no_open_proxy(lab: Lab, sni: str | None) -> None:
    """No name, a name with a dot, itself, an unknown service: closed without an answer."""
    with pytest.raises(ssl.SSLEOFError):
        lab.handshake(sni)


def test_a_plain_call_is_answered_and_the_callee_knows_the_caller(lab: Lab) -> None:
    """The identity header comes from the certificate; the one that the caller wrote is gone."""
    status, text = lab.fetch("http://b:8080/")
    assert status == 200
    identity = json.loads(text)["x-forwarded-client-cert"]
    assert identity.endswith(f"URI=spiffe://{DOMAIN}/a")
    assert "control-plane" not in identity


def test_a_service_that_shows_anothers_certificate_is_refused(lab: Lab) -> None:
    """DNS leads from the name imposter to b; b cannot prove that name."""
    assert lab.fetch("http://imposter:8080/")[0] == 503


def test_an_address_is_refused_with_the_way_to_write_it(lab: Lab) -> None:
    """A peer without a name proves nothing."""
    status, text = lab.fetch(f"http://{address(lab, 'b')}:8080/")
    assert status == 421
    assert "http://NAME:PORT/" in text


def test_a_service_cannot_reach_anothers_runner(lab: Lab) -> None:
    """Logs and health are for the control plane's identity."""
    for path in ("iac.controlplane.v1.ControlPlane/StreamLogs", "grpc.health.v1.Health/Check"):
        assert lab.fetch(f"http://b:8080/{path}")[0] == 403


def test_a_stranger_on_the_network_reaches_the_mtls_port_alone(lab: Lab) -> None:
    """The app listens on all addresses, and still nobody gets at it, nor at Envoy's own ports."""
    found = lab.execute("stranger", PROBE, address(lab, "b"))
    assert found.pop("mtls") == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert set(found.values()) == {"dropped"}, found


def test_the_firewall_set_twice_is_the_firewall_set_once(lab: Lab) -> None:
    """A PID 1 that starts again in its old namespace adds nothing and keeps Docker's DNS."""
    output = lab.client.containers.run(
        mesh_lab.images()[0],
        ["-c", FIREWALL_TWICE, lab.subnet],
        entrypoint="/opt/iac/python3",
        remove=True,
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN"],
        **lab.on_network(),
    )
    first, second = json.loads(output)
    assert first == second
    assert "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT" in first
    jumps = [line for line in first if line.startswith("-A OUTPUT ") and "OUTPUT" in line[10:]]
    assert jumps[0] == "-A OUTPUT -j IAC_OUTPUT"
    assert first.count(jumps[0]) == 1


def test_statistics_are_there_and_read_only(lab: Lab) -> None:
    """Inside the namespace, and nothing that stops Envoy."""
    status, text = lab.fetch("http://127.0.0.1:9901/stats/prometheus")
    assert (status, "envoy_server_live" in text) == (200, True)
    assert lab.fetch("http://127.0.0.1:9901/quitquitquit")[0] == 404


@pytest.mark.parametrize("name", ["a", "gateway"])
def test_nobody_in_the_envoy_container_holds_a_capability(lab: Lab, name: str) -> None:
    """PID 1 and Envoy: another uid than root, and every set empty."""
    found = lab.processes(name)
    for process in ("python3-1", "envoy"):
        assert set(found[process]["uid"]) == {str(ENVOY_UID)}
        assert {int(caps, 16) for caps in found[process]["caps"]} == {0}


LISTEN = """
import http.server, socket, sys
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6 if ":" in {host!r} else socket.AF_INET
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{host} {port}")
host = {host!r} or socket.gethostbyname(socket.gethostname())
Server((host, {port}), Handler).serve_forever()
"""


def test_a_program_is_served_wherever_it_listens(lab: Lab, record_property: Any) -> None:
    """One port on any address, the container's own included, at once and without a deploy."""
    lab.sidecar("c", "c", "c")
    for host, port in (("127.0.0.1", 5000), ("::1", 5001), ("", 5002), ("::", 8080)):
        lab.program("c", LISTEN.format(host=host, port=port))
        begin = time.monotonic()
        while lab.fetch("http://c/") != (200, f"{host} {port}"):
            assert time.monotonic() - begin < 20, (host, port)
        record_property(f"seconds until {host}:{port}", time.monotonic() - begin)


def test_a_container_of_the_candidates_name_stands_in_for_a_service(lab: Lab) -> None:
    """By a rename, there and back; while it is there the service itself may be gone."""
    lab.sidecar("b", "b2")
    lab.program("b2", mesh_lab.APP)

    def served_by(name: str) -> None:
        status, text = lab.fetch("http://b:8080/")
        assert (status, json.loads(text)["by"]) == (200, name)

    served_by("b")
    lab.containers["b2"].rename(f"{lab.prefix}-b-live")
    eventually(lambda: served_by("b2"), 4)
    lab.containers["b"].stop()
    served_by("b2")
    eventually(lab.handshake, 4)
    lab.containers["b"].start()
    lab.containers["b-app"].restart(timeout=0)
    lab.containers["b2"].rename(f"{lab.prefix}-b2")
    eventually(lambda: served_by("b"), 4)


def tell(lab: Lab, name: str, callers: dict[str, list[str]] | None = None) -> Any:
    """Push a policy to a sidecar as the control plane does, or ask for it; what it says."""
    if callers is None:
        return asked(lab, name, ProofRequest("GET", "/iac.sidecar/policy"))
    text = mesh_lab.policy(callers).encode()
    return asked(lab, name, ProofRequest("PUT", "/iac.sidecar/policy", body=text))


def asked(lab: Lab, name: str, request: ProofRequest) -> Any:
    """What a sidecar answers the control plane, through the gateway."""
    client = Http2Client()
    leaf = lab.secrets / "p/control-plane"
    with meet(lab.port, name, leaf, timeout=5, hello=client.hello) as meeting:
        client.attach(meeting.secure, meeting.first)
        answer = client.call(request, authority=name, timeout=10)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_a_pushed_policy_outlives_a_restart_until_there_is_another_base(
    lab: Lab, record_property: Any
) -> None:
    """In the real image: written by PID 1 without privileges, read while nobody else is up."""
    kept = lab.client.volumes.create(f"{lab.prefix}-kept")
    try:
        lab.sidecar("kept", "kept", "kept", kept=kept.name)
        lab.program("kept", mesh_lab.APP)
        eventually(lambda: check(lab.fetch("http://kept/")[0] == 200), 10)
        begin = time.monotonic()
        pushed = tell(lab, "kept", {"b": []})
        assert lab.fetch("http://kept/")[0] == 403
        record_property("seconds from push to refusal", time.monotonic() - begin)
        assert pushed["kept"]
        record_property("PID 1, KiB", lab.processes("kept")["python3-1"]["rss"])
        lab.containers["kept"].restart(timeout=5)
        lab.containers["kept-app"].restart(timeout=0)
        eventually(lambda: check(lab.fetch("http://kept/", name="b-app")[0] == 200), 10)
        assert lab.fetch("http://kept/")[0] == 403
        assert tell(lab, "kept")["digest"] == pushed["digest"]
        lab.containers.pop("kept").remove(force=True)
        other = mesh_lab.policy({"a": []})
        foreign = {"IAC_APP_UID": "any", "IAC_RUN": "web"}
        lab.sidecar("kept", "kept", "kept", kept=kept.name, IAC_POLICY=other, **foreign)
        lab.program("kept", mesh_lab.APP)
        eventually(lambda: check(lab.fetch("http://kept/")[0] == 200), 10)
        assert lab.fetch("http://kept/", name="b-app")[0] == 403
        question = ProofRequest("GET", "/iac.sidecar/readiness?start=1&age=20")
        assert asked(lab, "kept", question)["listening"] == "127.0.0.1:8080"
    finally:
        lab.containers.pop("kept").remove(force=True)
        kept.remove()


def test_ipv6_is_loopback_alone(lab: Lab) -> None:
    """The namespace has ::1 and no other address."""
    code = "import json; print(json.dumps(open('/proc/net/if_inet6').read().split()[-1::-6]))"
    assert lab.execute("c-app", code) == ["lo"]


def test_a_killed_envoy_is_replaced_within_a_second(lab: Lab, record_property: Any) -> None:
    """The namespace, hence the app, is not touched."""
    before = lab.processes("b")["envoy"]["pid"]
    kill = ["sh", "-c", f"kill -9 {before}"]
    assert lab.containers["b"].exec_run(kill, user=str(ENVOY_UID))[0] == 0
    begin = time.monotonic()
    eventually(lab.handshake, 5)
    record_property("seconds", time.monotonic() - begin)
    assert time.monotonic() - begin < 2
    assert lab.processes("b")["envoy"]["pid"] != before
    assert lab.fetch("http://b:8080/")[0] == 200


def test_a_new_leaf_is_served_without_a_restart(lab: Lab, record_property: Any) -> None:
    """One link moved in the mounted directory, and the next handshake shows the new serial."""
    before = lab.processes("b")["envoy"]["pid"]
    leaf = lab.leaf("b", force=True)
    begin = time.monotonic()
    eventually(lambda: check(int(lab.handshake()["serialNumber"], 16) == int(leaf.serial, 16)), 5)
    record_property("seconds", time.monotonic() - begin)
    assert lab.processes("b")["envoy"]["pid"] == before
    assert lab.fetch("http://b:8080/")[0] == 200


def test_a_stopped_container_ends_the_calls_in_flight_first(lab: Lab) -> None:
    """A call that takes another second is answered; the exit status is 0."""
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(lab.fetch("http://b:8080/slow/1")[0]))
    caller.start()
    stats = "http://127.0.0.1:9901/stats/prometheus"
    active = 'envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix="inbound"} 1'
    eventually(lambda: check(active in lab.fetch(stats, name="b-app")[1]), 3)
    container = lab.containers["b"]
    begin = time.monotonic()
    container.stop(timeout=10)
    assert time.monotonic() - begin < 5
    caller.join()
    assert answers == [200]
    assert container.wait()["StatusCode"] == 0


def test_a_service_that_comes_back_under_another_address_is_found(lab: Lab) -> None:
    """Its old address is another's by then; gateway and callers follow within seconds."""
    old = lab.containers["b"].attrs["NetworkSettings"]["Networks"][lab.prefix]["IPAddress"]
    lab.python("squatter", "import time; time.sleep(3600)", **lab.on_network(ip=old))
    lab.containers["b"].start()
    lab.containers["b-app"].restart(timeout=0)
    assert address(lab, "b") != old
    begin = time.monotonic()
    eventually(lab.handshake, 10)
    eventually(lambda: check(lab.fetch("http://b:8080/")[0] == 200), 10)
    assert time.monotonic() - begin < 5
