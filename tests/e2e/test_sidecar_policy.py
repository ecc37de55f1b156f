"""Who may call a service, judged by real Envoys: pushed policies, operators, TCP ports, counts."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from constructs_lib import envoy_config
from iac_wrapper.model import tcp
from iac_wrapper.model.mesh import PORTS
from iac_wrapper.operations.logs import TOLD
from runner.sidecar import control, policy_keeper
from runner.sidecar import policy as policies
from runner.sidecar.offers import Offer
from runner.sidecar.policy import Policy
from tests.e2e.test_mesh import Program, logged, serving
from tests.support.envoy_lab import DOMAIN, Lab, Service, call, eventually

pytestmark = pytest.mark.integration

SERVICES = ("a", "b", "c")


def document(callers: Mapping[str, Sequence[str]], *, ingress: bool = False) -> str:
    return json.dumps({"callers": callers, "ingress": ingress, "services": SERVICES})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("policy"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def a(lab: Lab) -> Service:
    return lab.service("a")


@pytest.fixture(scope="module")
def b(lab: Lab) -> Service:
    return lab.service("b")


@pytest.fixture(scope="module")
def us(lab: Lab) -> Service:
    """The control plane, through an Envoy of its own."""
    return lab.service("control-plane")


@pytest.fixture(scope="module")
def c(lab: Lab) -> Iterator[Service]:
    """Called by a and b at first; offers a port beside HTTP, of a program that echoes."""
    echo = socket.create_server(("127.0.0.1", 0))
    port = echo.getsockname()[1]
    policy = Policy({"a": (), "b": ()}, services=SERVICES)
    made = lab.service("c", policy=policy, offer=Offer((port,)))
    threading.Thread(target=_echo, args=(echo,), daemon=True).start()
    with serving(made.app, Liar):
        yield made


class Liar(Program):
    """Says of each answer that it is a refusal of its sidecar's."""

    def end_headers(self) -> None:
        self.send_header(envoy_config.REFUSED_HEADER, "1")
        super().end_headers()


def _echo(server: socket.socket) -> None:
    def talk(client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(100):
                client.sendall(data)

    while True:
        threading.Thread(target=talk, args=server.accept()[:1], daemon=True).start()


def push(us: Service, text: str, what: str = "policy") -> tuple[int, Any]:
    """What the sidecar of c says to a document."""
    status, said, headers = call(us, "c", f"/iac.sidecar/{what}", "PUT", text)
    return status, json.loads(said) if headers["content-type"] == "application/json" else said


def seen(us: Service) -> Any:
    return json.loads(call(us, "c", "/iac.sidecar/policy")[1])


def told(caller: Service, callee: str) -> list[str]:
    """The lines of a caller's log on what was refused; Envoy writes them out within a second."""

    def found() -> list[str]:
        lines = filter(TOLD.match, caller.log.read_text().splitlines())
        return [line for line in lines if f"of service {callee} " in line]

    eventually(found, 5)
    return found()


def test_a_removed_caller_is_refused_on_the_connection_that_it_has(
    us: Service, a: Service, b: Service, c: Service, record_property: Any
) -> None:
    """Within a second; nobody's connection is touched, and the next policy lets it in again."""
    assert {call(each, "c")[0] for each in (a, b)} == {200}
    connections = c.stat("http.inbound.downstream_cx_total")
    text = document({"b": []})
    begin = time.monotonic()
    wanted = {"digest": policies.read(text).digest, "kept": True}
    assert push(us, text) == (200, wanted)
    status, said, headers = call(a, "c")
    record_property("seconds", time.monotonic() - begin)
    assert time.monotonic() - begin < 1
    assert (status, said) == (403, f"spiffe://{DOMAIN}/a may not call this on service c\n")
    assert call(b, "c")[0] == 200
    assert c.stat("http.inbound.downstream_cx_total") == connections + 1, "the control plane's own"
    assert logged(c, path="/", status=403)["peer"] == f"spiffe://{DOMAIN}/a"
    assert envoy_config.REFUSED_HEADER not in headers
    assert told(a, "c") == [
        "sidecar: GET http://c/ was refused: `allow:` of service c in repos.yaml does not let a"
        " call this"
    ]
    assert push(us, document({"a": [], "b": []}))[0] == 200
    assert call(a, "c")[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/x?y=/admin", 200),
        ("/api/", 200),
        ("/one", 200),
        ("/one?x", 200),
        ("/api", 403),
        ("/one/", 403),
        ("/admin", 403),
        ("/api/../admin", 403),
        ("/api/..;x/admin", 403),
        ("/api/%2e%2E/admin", 403),
        ("/api/..%2fadmin", 403),
        ("/api/..\\admin", 403),
        ("/api/.", 403),
        ("//api/x", 403),
        ("/iac.sidecar/policy", 403),
    ],
)
def test_a_caller_with_paths_calls_these_alone(
    us: Service, a: Service, c: Service, path: str, status: int
) -> None:
    """Exactly, or what begins so and cannot be taken for another."""
    assert push(us, document({"a": ["/api/*", "/one"]}))[0] == 200
    assert call(a, "c", path)[0] == status


def test_a_caller_may_have_one_method_of_a_grpc_service(lab: Lab, us: Service, a: Service) -> None:
    """The other is refused in the protocol's own words."""
    policy = Policy({"a": ("/shop.v1.Orders/Get",)}, services=("a", "orders"))
    orders = lab.service("orders", policy=policy)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    methods = {
        name: grpc.unary_unary_rpc_method_handler(lambda request, _: request)
        for name in ("Get", "Delete")
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("shop.v1.Orders", methods),)
    )
    server.add_insecure_port(f"{orders.ip}:{orders.app[1]}")
    server.start()
    options = (("grpc.default_authority", "orders"), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(f"{a.ip}:{PORTS['outbound']}", options=options) as channel:
        get, delete = (channel.unary_unary(f"/shop.v1.Orders/{name}") for name in methods)
        assert get(b"x", timeout=10) == b"x"
        with pytest.raises(grpc.RpcError) as refused:
            delete(b"x", timeout=10)
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    (line,) = told(a, "orders")
    assert line.startswith("sidecar: POST http://orders/shop.v1.Orders/Delete was refused: ")
    server.stop(0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "the policy is no JSON ("),
        ("[" * 100_000, "the policy is no JSON ("),
        ("{}", "the policy is no JSON object with exactly callers, ingress, services"),
        (document({"x": []}), 'the policy has the caller "x", which is not in services'),
        (document({"a": ["api"]}), 'a rule of caller a is "api", expected /PATH, /PREFIX* or'),
        (document({"a": ["/*x"]}), 'a rule of caller a is "/*x", expected'),
        (document({"a": ["tcp:99999"]}), 'a rule of caller a is "tcp:99999", expected'),
        (
            '{"callers":{},"ingress":false,"services":["operator"]}',
            'services of the policy is ["operator"], expected names of services',
        ),
    ],
    ids=["open", "deep", "empty", "stranger", "no path", "star inside", "no port", "reserved"],
)
def test_another_document_is_refused_with_a_sentence_and_changes_nothing(
    us: Service, c: Service, text: str, said: str
) -> None:
    before = seen(us)["digest"]
    status, answer = push(us, text)
    assert status == 400
    assert answer.startswith(said)
    assert seen(us)["digest"] == before


def test_only_the_control_plane_asks_and_tells(us: Service, a: Service, c: Service) -> None:
    """Whoever else is refused as everywhere; what there is not, is not found."""
    before = seen(us)["digest"]
    for method, path in (("PUT", "policy"), ("GET", "policy"), ("PUT", "operator")):
        assert call(a, "c", f"/iac.sidecar/{path}", method, document({"a": []}))[0] == 403
    assert seen(us)["digest"] == before
    assert call(us, "c", "/iac.sidecar/readiness?start=1&age=1")[0] == 404, "it has a runner"
    assert call(us, "c", "/iac.sidecar/policy", "DELETE")[0] == 404


def test_an_operator_is_let_in_while_a_lease_is_open(lab: Lab, us: Service, c: Service) -> None:
    """And refused before it and after its end, without a word from anybody."""
    person = lab.service("operator")
    assert call(person, "c")[0] == 403
    assert push(us, '{"seconds": 1}', "operator") == (200, {"seconds": 1})
    assert call(person, "c")[0] == 200
    eventually(lambda: call(person, "c")[0] == 403, 3)
    assert push(us, '{"seconds": 60}', "operator")[0] == 200
    assert call(person, "c")[0] == 200
    assert push(us, document({"a": []}))[0] == 200
    assert call(person, "c")[0] == 200, "a policy ends no lease"
    assert push(us, '{"seconds": 0}', "operator")[0] == 200
    assert call(person, "c")[0] == 403
    for wrong in ("", "60", '{"seconds": "60"}', '{"seconds": true}', '{"seconds": 9999}'):
        assert push(us, wrong, "operator")[0] == 400


def test_calls_are_counted_by_caller(us: Service, a: Service, b: Service, c: Service) -> None:
    """And refusals; questions of sidecars and of the control plane are no calls of a program."""
    assert push(us, document({"a": [], "b": ["/one"]}))[0] == 200
    before = seen(us)
    for path in ("/one", "/one", "/two"):
        call(b, "c", path)
    call(a, "c")
    assert call(a, "c", "/iac.mesh/tcp")[0] == 200
    after = seen(us)
    assert {name: after["calls"][name] - before["calls"][name] for name in "ab"} == {"a": 1, "b": 2}
    assert after["refused"] - before["refused"] == 1


def opened(lab: Lab, c: Service, name: str, claimed: str = "") -> tuple[ssl.SSLSocket, str | None]:
    """A connection to the port of c with the leaf of `name`, and the protocol that c takes."""
    (port,) = c.ports
    leaf = lab.leaf(name)
    context = ssl.create_default_context(cafile=str(leaf / "ca.crt"))
    context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
    context.set_alpn_protocols([tcp.PROTOCOL.format(port=port, caller=claimed or name)])
    plain = socket.create_connection((c.ip, PORTS["mtls"]), 5)
    secure = context.wrap_socket(plain, server_hostname="c")
    secure.settimeout(10)
    return secure, secure.selected_alpn_protocol()


def says(connection: ssl.SSLSocket) -> bytes:
    """What comes back for a word; nothing when the connection is at its end."""
    try:
        connection.sendall(b"word")
        return connection.recv(100)
    except (ConnectionError, ssl.SSLError):
        return b""


def test_a_removed_callers_tcp_connections_end_and_no_others(
    lab: Lab, us: Service, a: Service, c: Service, record_property: Any
) -> None:
    """The chain of one caller goes; a policy in which nothing changes for TCP ends nothing."""
    assert push(us, document({"a": [], "b": []}))[0] == 200
    (of_a, _), (of_b, _) = opened(lab, c, "a"), opened(lab, c, "b")
    assert (says(of_a), says(of_b)) == (b"word", b"word")
    assert push(us, document({"a": [], "b": []}, ingress=True))[0] == 200
    assert (says(of_a), says(of_b)) == (b"word", b"word")
    begin = time.monotonic()
    assert push(us, document({"a": ["/api/*"], "b": []}))[0] == 200
    again, protocol = opened(lab, c, "a")
    assert (protocol, says(again)) == (None, b"")
    assert time.monotonic() - begin < 1, "a new connection is refused at once"
    while says(of_a):
        assert says(of_b) == b"word"
        assert time.monotonic() - begin < 10
    record_property("seconds", time.monotonic() - begin)
    assert time.monotonic() - begin < 3, "and one that is open soon"
    assert says(of_b) == b"word"
    line = logged(c, direction="in", flags="NC", peer=f"spiffe://{DOMAIN}/a")
    assert line["note"].startswith(f"spiffe://{DOMAIN}/a may not connect to port ")


def test_a_port_is_for_the_callers_whose_rules_name_it(
    lab: Lab, us: Service, a: Service, c: Service
) -> None:
    """And who claims another name than that of its certificate gets nowhere."""
    (port,) = c.ports
    assert push(us, document({"a": [f"tcp:{port}"], "b": ["tcp:1"]}))[0] == 200
    assert says(opened(lab, c, "a")[0]) == b"word"
    assert says(opened(lab, c, "control-plane")[0]) == b"word"
    for name in ("b", "c-not-known", "ingress", "operator"):
        assert says(opened(lab, c, name)[0]) == b"", name
    with pytest.raises(ssl.SSLError):
        opened(lab, c, "b", claimed="a")[0].recv(1)
    assert call(a, "c")[0] == 403, "TCP alone"
    assert seen(us)["calls"]["a"] > 0


def test_services_that_may_not_call_learn_which_ports_there_are_and_strangers_do_not(
    lab: Lab, us: Service, a: Service, c: Service
) -> None:
    """So a name leads to an address, and the refusal is one of the connection."""
    assert push(us, document({}))[0] == 200
    assert call(a, "c", "/iac.mesh/tcp")[0] == 200
    assert call(lab.service("removed"), "c", "/iac.mesh/tcp")[0] == 403


def test_what_was_pushed_last_is_kept(us: Service, c: Service, tmp_path: Path) -> None:
    """As the very text that was pushed, in its canonical form."""
    text = document({"a": []})
    assert push(us, text)[0] == 200
    (kept,) = (c.run / "kept").glob("policy-*.json")
    assert kept.read_text() == policies.read(text).text


def test_what_envoy_takes_late_is_not_told_before(
    us: Service, c: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are there when PID 1 gives up waiting; who asks hears what calls are judged by."""
    monkeypatch.setattr(policy_keeper, "TAKE_SECONDS", 0.1)
    assert push(us, document({"a": []}))[0] == 200
    served, late = (policies.read(document({name: []})).digest for name in "ab")
    c.process.send_signal(signal.SIGSTOP)
    try:
        assert "503 -" in beside(c, "PUT", document({"b": []}))
        assert f'"digest": "{served}"' in beside(c, "GET")
    finally:
        c.process.send_signal(signal.SIGCONT)
    eventually(lambda: seen(us)["digest"] == late, 10)


def beside(service: Service, method: str, body: str = "") -> str:
    """What PID 1 answers about the policy where no Envoy stands between."""
    head = f"{method} /iac.sidecar/policy HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(service.run / control.SOCKET))
        client.sendall((head + body).encode())
        return client.makefile().read()
