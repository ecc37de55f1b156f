"""Services, gateway and strangers on a network of their own, started without Terraform.

The containers get the options that the constructs give them; tests say what must hold between
them.
"""

from __future__ import annotations

import json
import os
import secrets as random
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import APIError

from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.model import mesh
from iac_wrapper.model.certificate import Leaf
from tests.support import machine

T = TypeVar("T")

ENVOY_UID = 10101 if os.geteuid() == 0 else os.geteuid()
DOMAIN = "iacnet-test"
NOTHING: Mapping[str, str] = {}

CALLERS = ("a", "b", "both")
"""Services that may call all others."""

APP = """
import http.server, json, socket, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(float(self.path[6:]) if self.path.startswith("/slow/") else 0)
        body = json.dumps({"by": socket.gethostname(), **dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""

FETCH = """
import json, sys, urllib.error, urllib.request
headers = {"x-forwarded-client-cert": "URI=spiffe://iacnet-test/control-plane"}
try:
    request = urllib.request.Request(sys.argv[1], headers=headers)
    answer = urllib.request.urlopen(request, timeout=15)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode()]))
"""

PROCESSES = """
import json, pathlib
found = {}
for path in pathlib.Path("/proc").glob("[0-9]*/status"):
    facts = dict(line.split(":\\t", 1) for line in path.read_text().splitlines() if ":\\t" in line)
    found[facts["Name"].strip() + ("-1" if path.parent.name == "1" else "")] = {
        "pid": int(path.parent.name), "uid": facts["Uid"].split(),
        "caps": [facts[name].strip() for name in facts if name.startswith("Cap")],
        "rss": int(facts["VmRSS"].split()[0]),
    }
print(json.dumps(found))
"""


def policy(callers: Mapping[str, Sequence[str]]) -> str:
    """The document that lets these in."""
    return json.dumps({"callers": callers, "ingress": False, "services": CALLERS})


def images() -> tuple[str, str]:
    """The sidecar's image and a plain Python, as bootstrap recorded them."""
    return machine.record().sidecar_image, machine.base_image()


@dataclass
class Lab:
    """Everything running; containers by their short name."""

    client: Any
    prefix: str
    subnet: str
    secrets: Path
    containers: dict[str, Any]
    port: int = 0

    def run(self, name: str, image: str, command: list[str] | None, **options: Any) -> None:
        """Start one container and remember it."""
        self.containers[name] = self.client.containers.run(
            image, command, name=f"{self.prefix}-{name}", detach=True, **options
        )

    def on_network(self, *aliases: str, ip: str | None = None) -> dict[str, Any]:
        """Options that put a container on the lab's network."""
        endpoint = self.client.api.create_endpoint_config(aliases=list(aliases), ipv4_address=ip)
        return {"network": self.prefix, "networking_config": {self.prefix: endpoint}}

    def envoy(
        self, name: str, *, service: str = "", told: Mapping[str, str] = NOTHING, **options: Any
    ) -> None:
        """Start a container of the sidecar image as the constructs do."""
        environment = {
            "IAC_ROLE": "gateway" if name == "gateway" else "sidecar",
            "IAC_SUBNET": self.subnet,
            "IAC_ENVOY_UID": str(ENVOY_UID),
            "IAC_PROJECT": self.prefix,
            "IAC_SERVICE": service or name,
            "IAC_TRUST_DOMAIN": DOMAIN,
            "IAC_PORT": "8080",
            "IAC_POLICY": policy(dict.fromkeys(CALLERS, ())),
            **told,
        }
        self.run(
            name,
            images()[0],
            None,
            environment=environment,
            read_only=True,
            tmpfs={"/run": ""},
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN", "SETUID", "SETGID", "SETPCAP"],
            security_opt=["no-new-privileges"],
            mem_limit="256m",
            dns_opt=list(mesh.DNS_OPTIONS),
            sysctls=mesh.LOOPBACK_V6 if name != "gateway" and machine.record().loopback_v6 else {},
            **options,
        )

    def service(self, name: str, *aliases: str) -> None:
        """Start sidecar and app of one service."""
        self.sidecar(name, name, name, *aliases)
        self.program(name, APP)

    def sidecar(self, service: str, name: str, *aliases: str, kept: str = "", **more: str) -> None:
        """Start container `name` as an Envoy of `service`, found under the aliases.

        `kept`: a volume for what outlives the container. `more`: variables, such as those that say
        which ports it offers.
        """
        self.leaf(service)
        mount = {str(self.secrets / "p" / service): {"bind": "/etc/iac/tls", "mode": "ro"}}
        if kept:
            mount[kept] = {"bind": "/var/lib/iac", "mode": "rw"}
        network = self.on_network(*aliases)
        self.envoy(name, service=service, told=more, hostname=name, volumes=mount, **network)

    def program(self, name: str, code: str) -> None:
        """Start a program in the namespace of the Envoy `name`, in place of the one before."""
        if before := self.containers.pop(f"{name}-app", None):
            before.remove(force=True)
        self.python(f"{name}-app", code, network_mode=f"container:{self.containers[name].id}")

    def python(self, name: str, code: str, **options: Any) -> None:
        """Start a plain Python program as apps are: unprivileged."""
        command = ["python3", "-u", "-c", code]
        self.run(name, images()[1], command, user="10001:10001", cap_drop=["ALL"], **options)

    def leaf(self, name: str, owner: int = ENVOY_UID, *, force: bool = False) -> Leaf:
        """The leaf of a service, or of the control plane."""
        ca = ensure_ca(self.secrets)
        directory = self.secrets / "p" / name
        return ensure_leaf(
            ca, directory, name=name, trust_domain=DOMAIN, owner_uid=owner, force=force
        )

    def execute(self, name: str, code: str, *arguments: str, python: str = "python3") -> Any:
        """Run code in a container; it prints JSON."""
        status, output = self.containers[name].exec_run([python, "-c", code, *arguments])
        assert status == 0, output.decode()
        return json.loads(output)

    def fetch(self, url: str, *, name: str = "a-app") -> tuple[int, str]:
        """What a program in service a gets for a plain http:// URL."""
        status, text = self.execute(name, FETCH, url)
        return status, text

    def processes(self, name: str) -> dict[str, Any]:
        """The processes of an Envoy container by name; PID 1 as ``python3-1``."""
        found: dict[str, Any] = self.execute(name, PROCESSES, python="/opt/iac/python3")
        return found

    def handshake(
        self,
        sni: str | None = "b",
        leaf: Path | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> dict[str, Any]:
        """TLS through the gateway as the control plane does it; the peer's certificate.

        Reads one byte: only then a TLS 1.3 server has answered to the client's certificate.
        """
        leaf = leaf or self.secrets / "p/control-plane"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = sni is not None
        context.load_verify_locations(self.secrets / "p/b/ca.crt")
        context.maximum_version = newest
        context.set_alpn_protocols(["h2"])
        if leaf.exists():
            context.load_cert_chain(leaf / "tls.crt", leaf / "tls.key")
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname=sni) as tls,
        ):
            tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            if not tls.recv(1):
                raise ConnectionResetError("closed without a word")
            assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", "h2")
            certificate = tls.getpeercert()
            assert certificate
            return dict(certificate)

    def close(self) -> None:
        """Remove it all."""

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: each.remove(force=True), self.containers.values()))
        self.client.networks.get(self.prefix).remove()
        self.client.close()


def eventually(attempt: Callable[[], T], seconds: float) -> T:
    """The first result of `attempt` that is no error, within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def start(secrets: Path) -> Lab:
    """An empty lab: a network with a random name and a free random subnet."""
    client = docker.from_env()
    prefix = f"iac-test-{random.token_hex(4)}"
    while True:
        subnet = f"10.{random.randbelow(200) + 20}.{random.randbelow(256)}.0/24"
        pool = docker.types.IPAMPool(subnet=subnet)
        try:
            client.networks.create(prefix, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        except APIError as error:
            if "overlap" not in str(error):
                raise
        else:
            return Lab(client, prefix, subnet, secrets, {})
