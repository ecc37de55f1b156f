"""PID 1 of the Envoy container, the parts that need no container."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.sidecar import (
    config,
    environment,
    envoy,
    firewall,
    privileges,
    start,
)
from runner.sidecar import supervise as supervise_module
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.refused import Refused

GOOD = {
    "IAC_ROLE": "sidecar",
    "IAC_SUBNET": "172.20.0.0/16",
    "IAC_ENVOY_UID": "10101",
    "IAC_PROJECT": "shop",
    "IAC_SERVICE": "orders",
    "IAC_TRUST_DOMAIN": "iacnet-shop",
    "IAC_PORT": "8080",
}
GATEWAY = SidecarEnvironment("gateway", "172.20.0.0/16", 10101, "shop")
SIDECAR = replace(GATEWAY, role="sidecar", service="orders", trust_domain="iacnet-shop", port=8080)


def test_the_environment_is_read_with_its_types() -> None:
    """Defaults where nothing is said; a gateway needs no service."""
    assert environment.read_environment(GOOD) == SIDECAR
    more = {"IAC_APP_UID": "20001", "IAC_PORT_DECLARED": "1", "IAC_MAX_HEADERS_KB": "90"}
    assert environment.read_environment({**GOOD, **more}) == replace(
        SIDECAR, app_uid=20001, port_declared=True, max_headers_kb=90
    )
    few = {name: GOOD[name] for name in ("IAC_SUBNET", "IAC_ENVOY_UID", "IAC_PROJECT")}
    assert environment.read_environment({**few, "IAC_ROLE": "gateway"}) == GATEWAY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IAC_ROLE", "envoy"),
        ("IAC_SUBNET", "172.20.0.1/16"),
        ("IAC_SUBNET", "fd00::/64"),
        ("IAC_ENVOY_UID", "0"),
        ("IAC_ENVOY_UID", "10001"),
        ("IAC_ENVOY_UID", "me"),
        ("IAC_APP_UID", "10101"),
        ("IAC_PROJECT", "a.b"),
        ("IAC_SERVICE", "a\nadmin: {}"),
        ("IAC_SERVICE", ""),
        ("IAC_TRUST_DOMAIN", 'x"}'),
        ("IAC_PORT", "0"),
        ("IAC_PORT", "65536"),
        ("IAC_PORT", "15001"),
        ("IAC_PORT_DECLARED", "yes"),
        ("IAC_MAX_HEADERS", "-1"),
    ],
)
def test_a_bad_variable_is_refused_by_name(name: str, value: str) -> None:
    """Root and the app's own uid are bad uids: one reads every key, the other escapes the mesh;
    and nothing that is not YAML by itself reaches the template."""
    with pytest.raises(Refused, match=name):
        environment.read_environment({**GOOD, name: value})


def test_a_sidecar_lets_in_the_mtls_port_alone() -> None:
    """Everything inbound is dropped but loopback, replies and tcp/15000."""
    rules = firewall.filter_rules(SIDECAR).splitlines()
    assert [rule for rule in rules if "INPUT" in rule] == [
        ":INPUT DROP",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        "-A INPUT -p tcp --dport 15000 -j ACCEPT",
    ]


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


def test_the_redirection_comes_before_dockers_dns_and_only_once() -> None:
    """The chain of our own is filled anew; the jump to it is there once, first."""
    docker = "-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\n"
    first = firewall.nat_rules(SIDECAR, docker)
    again = firewall.nat_rules(SIDECAR, docker + "-A OUTPUT -j IAC_OUTPUT\n")
    assert ":OUTPUT" not in first
    assert "! --uid-owner 10101 -j REDIRECT --to-ports 15001" in first
    assert first.count("-I OUTPUT 1 -j IAC_OUTPUT") == 1
    assert again.count("OUTPUT 1") == 0
    assert again.count("REDIRECT") == 2


def test_programs_ask_pid_1_for_names_and_pid_1_asks_docker() -> None:
    """Questions over UDP of everybody but Envoy's uid, which PID 1 has as well."""
    rules = firewall.nat_rules(SIDECAR, "")
    assert (
        "-p udp -d 127.0.0.11 --dport 53 -m owner ! --uid-owner 10101 -j REDIRECT --to-ports 15053"
    ) in rules


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


def test_capabilities_left_are_named() -> None:
    """Any set, or a missing no_new_privs."""
    clean = "Name:\tx\nCapInh:\t0000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
    assert privileges.left(clean) == []
    assert privileges.left(clean.replace("CapEff:\t0", "CapEff:\t1")) == ["CapEff"]
    assert privileges.left(clean.replace("Privs:\t1", "Privs:\t0")) == ["NoNewPrivs"]


# --- start ----------------------------------------------------------------------------------------


@pytest.fixture
def _umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


@pytest.mark.usefixtures("_umask")
def test_each_document_becomes_a_private_file(tmp_path: Path) -> None:
    """A socket left by a PID 1 that died is removed, or Envoy could not bind."""
    run = tmp_path / "run"
    config.make_directory(run)
    (run / "admin.sock").touch()
    text = "--- # envoy.yaml\nadmin: {}\n--- # leaf.yaml\nresources: []\n"
    assert config.write(text, run) == run / "envoy.yaml"
    assert (run / "envoy.yaml").read_text() == "\nadmin: {}\n"
    assert (run / "leaf.yaml").read_text() == "\nresources: []\n"
    assert (run / "leaf.yaml").stat().st_mode & 0o777 == 0o600
    assert not (run / "admin.sock").exists()


def test_a_template_is_filled_in_and_one_that_wants_more_is_refused(tmp_path: Path) -> None:
    """The text is the image's; the values are the container's."""
    (tmp_path / "sidecar.yaml").write_text("${service}.${project} ${max_headers_hop} $$")
    assert config.load_envoy_config(SIDECAR, tmp_path) == "orders.shop 120 $"
    (tmp_path / "gateway.yaml").write_text("${flavour}")
    with pytest.raises(Refused, match="flavour"):
        config.load_envoy_config(GATEWAY, tmp_path)
    with pytest.raises(Refused, match="No such file"):
        config.load_envoy_config(GATEWAY, tmp_path / "nowhere")


def test_text_without_documents_is_refused(tmp_path: Path) -> None:
    """The sentence says which line is missing."""
    with pytest.raises(Refused, match=r"--- # envoy\.yaml"):
        config.write("admin: {}", tmp_path)


def test_an_unreadable_key_is_refused_with_path_and_uid(tmp_path: Path) -> None:
    """Envoy itself would say ready and fail every handshake."""
    with pytest.raises(Refused, match=rf"{tmp_path}/tls.key as uid {os.getuid()}"):
        config.check_key(tmp_path / "tls.key")
    (tmp_path / "tls.key").touch()
    config.check_key(tmp_path / "tls.key")


@pytest.mark.parametrize(
    ("first", "words"), [("systemd", "outside a container"), ("docker-init", 'remove "init": true')]
)
def test_another_pid_1_is_refused_with_the_reason(first: str, words: str) -> None:
    """A host, or an engine that puts an init of its own in front."""
    with pytest.raises(Refused, match=words):
        start.check_pid(7, first)
    start.check_pid(1, "python3")


def test_a_bad_environment_ends_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and an exit status that says: fix the configuration."""
    monkeypatch.setenv("IAC_ROLE", "nonsense")
    assert start.main() == start.EX_CONFIG
    assert capsys.readouterr().err == (
        "sidecar: IAC_ROLE is 'nonsense', expected sidecar or gateway\n"
    )


def test_it_never_touches_the_firewall_of_a_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started by hand it stops before its first rule."""
    touched: list[SidecarEnvironment] = []
    monkeypatch.setattr(firewall, "establish", touched.append)
    monkeypatch.setattr(privileges, "drop", lambda _uid: pytest.fail("went on"))
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert start.main() == start.EX_CONFIG
    assert touched == []
    assert "not PID 1" in capsys.readouterr().err


# --- drain ----------------------------------------------------------------------------------------


def test_draining_waits_for_calls_in_flight_and_no_longer() -> None:
    """It asks Envoy to drain first, then until no call is left."""
    asked: list[str] = []
    active = iter([2, 1, 0])

    def ask(method: str, target: str) -> str:
        asked.append(f"{method} {target.partition('?')[0]}")
        return f"http.inbound.downstream_rq_active: {next(active)}\n" if method == "GET" else "OK"

    envoy.drain(ask, seconds=5, poll=0)
    assert asked == ["POST /drain_listeners", "GET /stats", "GET /stats", "GET /stats"]


def test_draining_ends_when_calls_do_not() -> None:
    """A stream without end cannot hold the container up."""
    begin = time.monotonic()
    envoy.drain(lambda _method, _target: "http.inbound.downstream_rq_active: 1", 0.1, 0.01)
    assert 0.1 <= time.monotonic() - begin < 2


def test_the_admin_socket_is_asked_in_plain_http_and_may_be_gone(tmp_path: Path) -> None:
    """An Envoy that is dead has nothing to drain."""
    path = tmp_path / "admin.sock"
    assert envoy.ask("GET", "/", path) == ""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        got: list[bytes] = []

        def answer() -> None:
            client, _ = server.accept()
            with client:
                got.append(client.recv(1000))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\nLIVE")

        thread = threading.Thread(target=answer)
        thread.start()
        assert envoy.ask("GET", "/ready", path).endswith("LIVE")
        thread.join()
    assert got[0].startswith(b"GET /ready HTTP/1.1\r\n")


# --- supervision: a process of its own, because PID 1 blocks signals and reaps every child --------

DRIVER = """
import sys
sys.path.insert(0, {root!r})
from runner.sidecar.supervise import EnvoySupervisor
print("supervising", flush=True)
drain = lambda: print("drained", flush=True)
sys.exit(EnvoySupervisor(["/bin/sh", "-c", {script!r}], drain, 3, 0.3).run())
"""


def supervise(script: str) -> subprocess.Popen[str]:
    root = str(Path(supervise_module.__file__).parents[2])
    driver = DRIVER.format(root=root, script=script)
    return subprocess.Popen(
        [sys.executable, "-c", driver],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_program_that_dies_is_started_again_at_once(tmp_path: Path) -> None:
    """The second life begins within the same second, and SIGTERM ends it after draining."""
    mark = tmp_path / "lives"
    script = f"echo life; [ -e {mark} ] && exec sleep 60; touch {mark}; kill -9 $$"
    with supervise(script) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(3)]
        assert lines == ["supervising", "life", "life"]
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        assert time.monotonic() - begin < 1.5
    assert out.splitlines() == ["drained"]
    assert "envoy ended (SIGKILL)" in err
    assert process.returncode == 0


def test_a_program_that_keeps_failing_ends_the_container() -> None:
    """After the third quick end here; the log names exit status and number."""
    with supervise("exit 7") as process:
        _, err = process.communicate(timeout=10)
    assert err.count("envoy ended (exit 7)") == 3
    assert err.rstrip().endswith("envoy failed 3 times in a row, giving up")
    assert process.returncode == 1


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    """Within Docker's stop timeout, and orphans it left are reaped on the way."""
    with supervise("trap '' TERM; (sleep 0.05 &); echo up; while :; do sleep 0.1; done") as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["supervising", "up"]
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert 0.3 <= time.monotonic() - begin < 2
    assert process.returncode == 0
