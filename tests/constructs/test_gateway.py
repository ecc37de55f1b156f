"""The gateway as a Terraform resource."""

from __future__ import annotations

from tests.constructs.facts import environment, label_values, only, props, synth


def test_gateway_publishes_one_loopback_port_and_holds_no_key() -> None:
    """The host reaches services through it alone; nothing of secrets/ is mounted."""
    container = only(synth(props()), "docker_container", "iac_gateway")

    assert container["ports"] == [
        {"internal": 15443, "external": 15443, "ip": "127.0.0.1", "protocol": "tcp"}
    ]
    assert "mounts" not in container
    assert environment(container) == {
        "IAC_ENVOY_UID": "30001",
        "IAC_PROJECT": "iacnet",
        "IAC_ROLE": "gateway",
        "IAC_SUBNET": "172.20.0.0/16",
    }
    assert label_values(container)["org.karstkit.role"] == "gateway"
