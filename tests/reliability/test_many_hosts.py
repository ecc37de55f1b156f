"""Two hundred public hosts with a certificate each, on a kernel at its defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iac_wrapper.model.exposure import Exposure, PublicPorts, routes
from iac_wrapper.model.ingress import Ingress, Shown
from iac_wrapper.model.mesh import ENTRANCES
from tests.support.envoy_lab import eventually
from tests.support.ingress_lab import IngressLab, certificate, serial

pytestmark = [pytest.mark.reliability, pytest.mark.slow]

HOSTS = [f"h{number}.example.com" for number in range(200)]


def test_two_hundred_hosts_cost_no_inotify_instance(tmp_path: Path) -> None:
    """Certificates are named in the listener; as secrets by file each would cost two instances, of
    which a uid has 128. The last host is served, and so is its renewal."""
    exposed = routes([("web", tuple(map(Exposure, HOSTS)))])
    ingress = Ingress("shop", exposed, PublicPorts(None, 8080, 8443))
    found = {host: certificate(tmp_path / "public", host) for host in HOSTS}
    lab = IngressLab(tmp_path / "lab")
    try:
        edge = lab.ingress(ingress, Shown(found))
        assert [serial(edge.ip, ENTRANCES["https"], host) for host in HOSTS[::40]] == [1] * 5
        instances = [
            entry
            for entry in Path(f"/proc/{edge.process.pid}/fd").iterdir()
            if "inotify" in str(entry.readlink())
        ]
        assert len(instances) < 20
        status = Path(f"/proc/{edge.process.pid}/status").read_text()
        assert int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) < 256 * 1024
        found[HOSTS[-1]] = certificate(tmp_path / "public", HOSTS[-1], 2)
        edge.serve(ingress, Shown(found))
        eventually(lambda: serial(edge.ip, ENTRANCES["https"], HOSTS[-1]) == 2, 10)
    finally:
        lab.close()
