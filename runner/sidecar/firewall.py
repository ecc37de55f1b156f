"""The packet filter of the namespace, set once while the container still may."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from itertools import product
from pathlib import Path

from runner.listeners import ADDRESSES, DOCKER_DNS, MESH_PORTS, PROGRAMS
from runner.sidecar import egress, limits
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.refused import Refused
from runner.sidecar.refused_packets import GROUP

ASKERS = 16
"""How many connections an ingress takes from one address where the control plane asks, which has
one at a time: nobody shall use up there what people need."""

LOCAL_ENTRANCE = 8000
"""Where an ingress takes what comes to a published port of the machine's loopback."""


def filter_rules(wanted: SidecarEnvironment, share: int = 0, *, told: bool = False) -> str:
    """The whole filter table: Docker keeps nothing in it inside a container, so it is replaced.

    Args:
        share: how many connections a sidecar takes from one address, and an ingress at most where
            the control plane asks; 0: any number. Who has them all is told so at once.
        told: whether the kernel shall tell PID 1 what `egress:` refuses.
    """
    sidecar = wanted.role == "sidecar"
    owner = f"-m owner --uid-owner {wanted.uid} "
    mesh = f"-p tcp -d {wanted.subnet} --dport {MESH_PORTS['mtls']} -j ACCEPT"
    output = (
        # Plain text never leaves for the subnet, even if the redirection were missing; Envoy
        # never dials anything but a peer's mTLS port.
        [
            f"{owner}{mesh}",
            *_to_hosts(wanted, owner),
            f"{owner}-j DROP",
            f"-d {wanted.subnet} -j DROP",
            *_outside(wanted, told=told),
        ]
        if sidecar
        else [mesh]
    )
    # An ingress has one for the control plane, too.
    own = MESH_PORTS["mtls" if sidecar or wanted.entrances else "gateway"]
    entrances = [
        f"{_from_host(wanted, port)}-p tcp --dport {port}" for port in (*wanted.entrances, own)
    ]
    most = share if sidecar else min(share, ASKERS)
    too_many = f"-m connlimit --connlimit-above {most} -j REJECT --reject-with tcp-reset"
    limited = [f"-p tcp --dport {MESH_PORTS['mtls']}"] if most else []
    return _table(
        "filter",
        [
            ":INPUT DROP",
            ":FORWARD DROP",
            f":OUTPUT {'ACCEPT' if sidecar and wanted.egress is None else 'DROP'}",
            *_engine_for_pid_1_alone(wanted, owner),
            *_loopback_and_replies(),
            *(f"-A INPUT {each} {too_many}" for each in limited if each in entrances),
            *(f"-A INPUT {entrance} -j ACCEPT" for entrance in entrances),
            *(f"-A OUTPUT {rule}" for rule in output),
        ],
    )


def _engine_for_pid_1_alone(wanted: SidecarEnvironment, owner: str) -> Iterable[str]:
    """Programs' questions have been sent to PID 1 by now: who still gets here went to the port that
    hides behind 53, and would have the engine ask about any name."""
    if wanted.egress is not None:
        yield f"-A OUTPUT -d {DOCKER_DNS} {owner.replace('--uid', '! --uid')}-j REJECT"


def _to_hosts(wanted: SidecarEnvironment, owner: str) -> Iterable[str]:
    """Envoy's way to hosts outside, at the ports that they are allowed at. Its configuration names
    the hosts; their addresses may be others tomorrow."""
    for port in wanted.egress.ports if wanted.egress else ():
        yield f"{owner}-p tcp ! -d {wanted.subnet} --dport {port} -j ACCEPT"


def _outside(wanted: SidecarEnvironment, *, told: bool) -> Iterable[str]:
    """What may leave for elsewhere than the subnet; all else is refused at once."""
    if wanted.egress is None:
        return
    yield "-d 127.0.0.0/8 -j ACCEPT"  # redirected: such a packet is not on its way to lo yet
    if wanted.egress.hosts:
        # The engine asks other name servers from in here, with its own uid and gid.
        engine = "-m owner --uid-owner 0 --gid-owner 0"
        yield from (f"{engine} -p {kind} --dport 53 -j ACCEPT" for kind in ("udp", "tcp"))
    for network in wanted.egress.networks:
        to = f"-d {network.cidr}"
        if network.port:
            both = ("tcp", "udp")
            yield from (f"{to} -p {kind} --dport {network.port} -j ACCEPT" for kind in both)
        else:
            yield f"{to} -j ACCEPT"
    if told:
        yield f"-m limit --limit 20/second --limit-burst 50 -j NFLOG --nflog-group {GROUP}"
    yield "-p tcp -j REJECT --reject-with tcp-reset"
    yield "-j REJECT --reject-with icmp-admin-prohibited"


def _from_host(wanted: SidecarEnvironment, port: int) -> str:
    """What lets in the host alone, which Docker shows as the bridge: who comes in to an operator is
    the operator, and an ingress has a port for this machine's loopback."""
    if wanted.role == "operator" or (wanted.role, port) == ("ingress", LOCAL_ENTRANCE):
        return f"-s {wanted.host} "
    return ""


def nat_rules(wanted: SidecarEnvironment, current: str) -> str:
    """Redirection into a chain of our own; `current` is ``iptables-save -t nat``.

    Docker's DNS lives in this table (DOCKER_OUTPUT for 127.0.0.11): it is added to, not flushed.
    The programs' questions go to PID 1 instead, which asks Docker: a service that is just being
    replaced has no answer there (see `names`). The jump must come before Docker's. What it answered
    for a service that offers TCP ports goes to one listener of Envoy's, whatever the address: one
    for each address would take its port from a program that binds all addresses.
    """
    jump = "-A OUTPUT -j IAC_OUTPUT"
    programs = f"-m owner ! --uid-owner {wanted.uid} -j"
    dns, outbound = MESH_PORTS["dns"], MESH_PORTS["outbound"]
    here = f"{programs} DNAT --to-destination {PROGRAMS}"
    rules = [
        *(f"-p {kind} -d {DOCKER_DNS} --dport 53 {here}:{dns}" for kind in ("udp", "tcp")),
        f"-p tcp -d {wanted.subnet} {programs} REDIRECT --to-ports {outbound}",
        f"-p tcp -d {ADDRESSES} {here}:{outbound}",
        *([f"-p tcp -d {egress.ADDRESSES} {here}:{outbound}"] if wanted.egress else []),
    ]
    lines = [":IAC_OUTPUT -", *(f"-A IAC_OUTPUT {rule}" for rule in rules)]
    return _table("nat", lines + ([] if jump in current else ["-I OUTPUT 1 -j IAC_OUTPUT"]))


def filter_rules_v6() -> str:
    """Nothing over IPv6 in either direction but loopback: the mesh is IPv4."""
    chains = [":INPUT DROP", ":FORWARD DROP", ":OUTPUT DROP"]
    return _table("filter", [*chains, *_loopback_and_replies()])


def _loopback_and_replies() -> Iterable[str]:
    for chain, interface in (("INPUT", "-i lo"), ("OUTPUT", "-o lo")):
        yield f"-A {chain} {interface} -j ACCEPT"
        yield f"-A {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"


def _table(name: str, lines: Iterable[str]) -> str:
    return "\n".join([f"*{name}", *lines, "COMMIT", ""])


def establish(wanted: SidecarEnvironment) -> None:
    """Apply the rules; the same rules again change nothing.

    A kernel that cannot count connections by address does without their share; Envoy's own limit
    remains. One that cannot tell of packets refuses them all the same.

    Raises:
        Refused: neither the nft nor the legacy backend takes them.
    """
    errors = []
    shares, tells = (limits.of_container().share, 0), (True, False) if wanted.egress else (False,)
    for backend, share, told in product(("nft", "legacy"), shares, tells):
        try:
            xtables(f"iptables-{backend}-restore", filter_rules(wanted, share, told=told))
            if wanted.role == "sidecar":
                current = xtables(f"iptables-{backend}-save", "", "-t", "nat")
                rules = nat_rules(wanted, current)
                xtables(f"iptables-{backend}-restore", rules, "--noflush")
            _establish_v6(backend)
        except Refused as error:
            errors.append(str(error))
        else:
            return
    raise Refused("cannot set the firewall (is NET_ADMIN there?): " + "; ".join(errors))


def _establish_v6(backend: str) -> None:
    try:
        xtables(f"ip6tables-{backend}-restore", filter_rules_v6())
    except Refused:
        # No ip6tables is fine exactly when there is no IPv6 address to protect.
        if has_ipv6(Path("/proc/net/if_inet6")):
            raise


def has_ipv6(table: Path) -> bool:
    """Whether an interface other than lo has an IPv6 address (`table`: /proc/net/if_inet6)."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[-1] != "lo" for line in lines if line.strip())


def xtables(program: str, rules: str, *options: str) -> str:
    """Run one of the iptables programs; the lock file is moved because /run may not be ours.

    Raises:
        Refused: it is missing, hangs, or says no.
    """
    environment = {"XTABLES_LOCKFILE": "/dev/shm/xtables.lock"}  # noqa: S108 - see docstring
    try:
        done = subprocess.run(
            [f"/usr/sbin/{program}", *options],
            input=rules,
            capture_output=True,
            text=True,
            env=environment,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{program}: {error}") from None
    if done.returncode:
        raise Refused(f"{program}: {done.stderr.strip() or done.returncode}")
    return done.stdout
