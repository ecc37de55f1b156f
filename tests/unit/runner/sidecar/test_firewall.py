"""The rules of the namespace, as text; tests/e2e/test_mesh.py has them in a kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.model import mesh
from runner.sidecar import firewall
from runner.sidecar.refused import Refused
from tests.unit.runner.sidecar.conftest import GATEWAY, INGRESS, OPERATOR, SIDECAR


def test_a_sidecar_lets_in_the_mtls_port_alone() -> None:
    """Everything inbound is dropped but loopback, replies and tcp/15000."""
    rules = firewall.filter_rules(SIDECAR).splitlines()
    assert [rule for rule in rules if "INPUT" in rule] == [
        ":INPUT DROP",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A INPUT -p tcp --dport 15000 -j ACCEPT",
    ]


def test_one_address_gets_a_share_of_a_sidecars_connections() -> None:
    """New ones above it are refused at once, before the port is opened to everybody."""
    rules = firewall.filter_rules(SIDECAR, 1024).splitlines()
    most = "-m connlimit --connlimit-above 1024 -j REJECT --reject-with tcp-reset"
    assert [rule for rule in rules if "dport 15000" in rule and "INPUT" in rule] == [
        f"-A INPUT -p tcp --dport 15000 {most}",
        "-A INPUT -p tcp --dport 15000 -j ACCEPT",
    ]
    # Clients of others come from the host's one address, or from who knows where.
    assert firewall.filter_rules(GATEWAY, 1024) == firewall.filter_rules(GATEWAY)


def test_a_sidecar_never_sends_plain_text_to_the_subnet() -> None:
    """Envoy may dial peers' mTLS port and nothing else; the app reaches the subnet through it."""
    rules = firewall.filter_rules(SIDECAR).splitlines()
    assert rules[-4:-1] == [
        "-A OUTPUT -m owner --uid-owner 10101 -p tcp -d 172.20.0.0/16 --dport 15000 -j ACCEPT",
        "-A OUTPUT -m owner --uid-owner 10101 -j DROP",
        "-A OUTPUT -d 172.20.0.0/16 -j DROP",
    ]


def test_a_gateway_reaches_mtls_ports_of_the_subnet_alone() -> None:
    """Whatever name it is asked for, it is no open proxy."""
    rules = firewall.filter_rules(GATEWAY).splitlines()
    assert ":OUTPUT DROP" in rules
    assert "-A INPUT -p tcp --dport 15443 -j ACCEPT" in rules
    assert rules[-2] == "-A OUTPUT -p tcp -d 172.20.0.0/16 --dport 15000 -j ACCEPT"
    assert not any("15000" in rule for rule in rules if "INPUT" in rule)


def test_an_operator_lets_in_the_host_alone() -> None:
    """Who may enter speaks with a person's identity: another container of the network may not."""
    rules = firewall.filter_rules(OPERATOR).splitlines()
    assert "-A INPUT -s 172.20.0.1 -p tcp --dport 15443 -j ACCEPT" in rules
    theirs = [rule for rule in firewall.filter_rules(GATEWAY).splitlines() if "15443" not in rule]
    assert [rule for rule in rules if "15443" not in rule] == theirs


def test_an_ingress_lets_in_its_entrances_and_reaches_mtls_ports_alone() -> None:
    """Neither its statistics nor a program can be had through it, and what is published on loopback
    is no other container's."""
    assert mesh.ENTRANCES["local"] == firewall.LOCAL_ENTRANCE
    rules = firewall.filter_rules(INGRESS).splitlines()
    assert [rule for rule in rules if "dport" in rule] == [
        "-A INPUT -s 172.20.0.1 -p tcp --dport 8000 -j ACCEPT",
        "-A INPUT -p tcp --dport 8443 -j ACCEPT",
        "-A INPUT -p tcp --dport 15000 -j ACCEPT",
        "-A OUTPUT -p tcp -d 172.20.0.0/16 --dport 15000 -j ACCEPT",
    ]
    assert ":OUTPUT DROP" in rules
    (limit,) = set(firewall.filter_rules(INGRESS, 2304).splitlines()) - {*rules}
    assert limit.startswith("-A INPUT -p tcp --dport 15000 -m connlimit --connlimit-above 16 -j")


def test_the_redirection_comes_before_dockers_dns_and_only_once() -> None:
    """The chain of our own is filled anew; the jump to it is there once, first."""
    docker = "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\n"
    first = firewall.nat_rules(SIDECAR, docker)
    again = firewall.nat_rules(SIDECAR, docker + "-A OUTPUT -j IAC_OUTPUT\n")
    assert ":OUTPUT" not in first
    assert "! --uid-owner 10101 -j REDIRECT --to-ports 15001" in first
    assert first.count("-I OUTPUT 1 -j IAC_OUTPUT") == 1
    assert again.count("OUTPUT 1") == 0
    assert (again.count("REDIRECT"), again.count("DNAT")) == (1, 3)


def test_programs_ask_pid_1_for_names_and_pid_1_asks_docker() -> None:
    """Questions of everybody but Envoy's uid, which PID 1 has as well."""
    rules = firewall.nat_rules(SIDECAR, "").splitlines()
    for kind in ("udp", "tcp"):
        assert (
            f"-A IAC_OUTPUT -p {kind} -d 127.0.0.11 --dport 53 -m owner ! --uid-owner 10101"
            " -j DNAT --to-destination 127.0.0.64:15053"
        ) in rules


def test_addresses_of_names_lead_to_one_listener_on_an_address_of_its_own() -> None:
    """On the address itself it would take the port from a program that binds all addresses."""
    assert (
        "-A IAC_OUTPUT -p tcp -d 127.64.0.0/10 -m owner ! --uid-owner 10101"
        " -j DNAT --to-destination 127.0.0.64:15001"
    ) in firewall.nat_rules(SIDECAR, "").splitlines()


def test_ipv6_is_closed_in_every_direction() -> None:
    """Only loopback and replies."""
    rules = firewall.filter_rules_v6()
    assert rules.count("DROP") == 3
    assert "dport" not in rules


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (None, False),
        ("", False),
        ("0" * 31 + "1 01 80 10 80       lo\n", False),
        ("fe80" + "0" * 28 + " 02 40 20 80     eth0\n", True),
    ],
)
def test_ip6tables_may_be_missing_exactly_when_there_is_no_ipv6(
    tmp_path: Path, lines: str | None, expected: bool
) -> None:
    """An address on another interface than lo needs the rules."""
    table = tmp_path / "if_inet6"
    if lines is not None:
        table.write_text(lines)
    assert firewall.has_ipv6(table) is expected


def test_a_missing_iptables_is_refused_by_name() -> None:
    """The container's log names the program."""
    with pytest.raises(Refused, match="no-such-program"):
        firewall.xtables("no-such-program", "")
