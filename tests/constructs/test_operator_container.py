"""The container of `iac proxy`, which Terraform does not make, against the gateway that it does."""

from __future__ import annotations

from iac_wrapper.model.operator_container import OperatorContainer
from provider.container_api import MIB
from tests.constructs.facts import only, props, synth

OPERATOR = OperatorContainer(
    project="shop",
    service="web",
    image="iac/envoy:1",
    uid=30000,
    network="iacnet-shop",
    subnet="172.21.0.0/24",
    trust_domain="iacnet-shop",
    local_port=8099,
    tcp_port=None,
    max_headers=100,
    max_headers_kb=60,
)


def test_it_is_as_confined_as_the_gateway() -> None:
    """Whatever a construct says of a container must be said here."""
    gateway = only(synth(props()), "docker_container", "iac_gateway")
    host = OPERATOR.body()["HostConfig"]
    (limit,) = gateway["ulimit"]
    assert host["ReadonlyRootfs"] is gateway["read_only"] is True
    assert host["Init"] is gateway["init"] is False
    assert host["CapDrop"] == gateway["capabilities"]["drop"]
    assert host["CapAdd"] == gateway["capabilities"]["add"]
    assert host["SecurityOpt"] == gateway["security_opts"]
    assert host["Memory"] == host["MemorySwap"] == gateway["memory"] * MIB
    assert list(host["Ulimits"][0].values()) == [limit["name"], limit["soft"], limit["hard"]]
    assert host["DnsOptions"] == gateway["dns_opts"]
    assert host["Tmpfs"]["/run"].replace("30000", "30001") == gateway["tmpfs"]["/run"]
    assert host["LogConfig"] == {"Type": gateway["log_driver"], "Config": gateway["log_opts"]}
    assert OPERATOR.body()["User"] == gateway["user"]
    ((inside, (bound,)),) = host["PortBindings"].items()
    (port,) = gateway["ports"]
    assert inside == f"{port['internal']}/{port['protocol']}"
    assert bound == {"HostIp": port["ip"], "HostPort": "8099"}


def test_it_is_told_what_it_leads_to_and_nothing_secret() -> None:
    """A TCP port only where there is one."""
    assert OPERATOR.body()["Env"] == [
        "IAC_ENVOY_UID=30000",
        "IAC_LOCAL_PORT=8099",
        "IAC_MAX_HEADERS=100",
        "IAC_MAX_HEADERS_KB=60",
        "IAC_PROJECT=shop",
        "IAC_ROLE=operator",
        "IAC_SERVICE=web",
        "IAC_SUBNET=172.21.0.0/24",
        "IAC_TRUST_DOMAIN=iacnet-shop",
    ]
    assert OPERATOR.body()["Labels"]["org.karstkit.role"] == "operator"
