"""What one Envoy holds is bounded: it refuses, and neither grows nor goes.

Real Envoys without containers; the numbers here are small, so that no test floods the machine.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runner.listeners import MESH_PORTS
from runner.sidecar import limits
from runner.sidecar.limits import Limits
from runner.sidecar.offers import Offer
from tests.support.envoy_lab import Lab, Service, call, eventually
from tests.support.flood import Flood, Silent, context

pytestmark = pytest.mark.integration

MIB = 1 << 20


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Envoys on loopback addresses."""
    with closing(Lab(tmp_path)) as made:
        yield made


def heap_mib(service: Service) -> int:
    """Memory of an Envoy that is no file's, MiB."""
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    assert found
    return int(found[1]) // 1024


def statistics(service: Service) -> int:
    """The status of the page that scrapers read."""
    url = f"http://{service.ip}:{MESH_PORTS['stats']}/ready"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(answer.status)


def test_connections_above_the_limit_are_closed_and_one_that_ends_makes_room(lab: Lab) -> None:
    """The statistics are not among them, so somebody can see why."""
    service = lab.service("a", allowed=Limits(200 * MIB, 20))
    flood = Flood((service.ip, MESH_PORTS["mtls"]), context(lab.leaf("b")))
    assert flood.connect(30) == 20
    assert statistics(service) == 200
    assert service.stat(f"listener.{service.ip}_15000.downstream_global_cx_overflow") == 10
    flood.close()
    eventually(lambda: flood.connect(1) == 1, 5)
    flood.close()


def test_requests_above_the_limit_are_refused_with_a_reason(lab: Lab) -> None:
    """Each of them costs a connection to the program: there are as many as connections."""
    service, caller = lab.service("a", allowed=Limits(200 * MIB, 20)), lab.service("b")
    flood = Flood((service.ip, MESH_PORTS["mtls"]), context(lab.leaf("b")))
    with closing(Silent(service.app)), closing(flood):
        assert flood.connect(1) == 1
        flood.ask(60)  # 20 with the program, and 20 that wait for it
        eventually(lambda: service.stat("cluster.app_http.upstream_rq_pending_overflow") >= 20, 5)
        status, text, _ = call(caller, "a")
    assert (status, text) == (
        503,
        "service a has 20 requests that it has not answered, and takes no more at a time\n",
    )


def test_stalled_tcp_connections_cost_no_more_than_the_limits_allow_for(lab: Lab) -> None:
    """Both ends write and neither reads, as when a database is slow: nothing would reset them."""
    port, number = 25432, 100
    service = lab.service("a", allowed=Limits(400 * MIB, 4096), offer=Offer(ports=(port,)))
    flood = Flood((service.ip, MESH_PORTS["mtls"]), context(lab.leaf("b")), f"iac-tcp/{port}/b")
    with closing(Silent(("127.0.0.1", port))) as program, closing(flood):

        def heap_with_more() -> int:
            assert flood.connect(number) == number
            for _ in range(5):
                flood.write()
                program.write()
                time.sleep(0.2)
            return heap_mib(service)

        first = heap_with_more()  # with what is made once
        grown = heap_with_more() - first
        assert program.accepted == 2 * number
    assert grown * MIB < number * limits.CONNECTION_BYTES


def test_an_envoy_short_of_memory_lets_go_before_it_is_killed(lab: Lab) -> None:
    """Requests are refused, and it is well again when those before have gone."""
    service, caller = lab.service("a", allowed=Limits(40 * MIB, 4096)), lab.service("b")
    flood = Flood((service.ip, MESH_PORTS["mtls"]), context(lab.leaf("b")))
    with closing(Silent(service.app)):
        assert flood.connect(40) == 40

        def refuses() -> bool:
            flood.ask(5)  # 200 requests, 6 MiB
            time.sleep(0.2)  # Envoy looks at its heap ten times a second
            return service.stat("http.inbound.downstream_rq_overload_close") > 0

        eventually(refuses, 10)
        assert 30 < heap_mib(service) < 70
        assert statistics(service) == 200
        assert "overload" in {line["details"] for line in service.lines()}
        flood.close()
    assert service.process.poll() is None

    def answers() -> bool:
        return "does not answer" in call(caller, "a")[1]  # nothing listens there any more

    eventually(answers, 15)
