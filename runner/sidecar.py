"""PID 1 of the Envoy container: sets the firewall once, drops every privilege, supervises Envoy.

Standard library only and one file, because it runs with ``python3 -I`` in an image without any
package. It must not know services, projects or certificates' contents: it gets a role, a subnet,
a uid and a rendered configuration in its environment.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ENVOY = "/usr/local/bin/envoy"
RUN = Path("/run/envoy")
KEY = Path("/etc/iac/tls/tls.key")

MTLS_PORT = 15000
OUTBOUND_PORT = 15001
DNS_PORT = 15053
GATEWAY_PORT = 15443
APP_UID = 10001

EX_CONFIG = 78  # sysexits.h: retrying without an edit cannot help
DRAIN_SECONDS = 5.0  # with the two below inside Docker's stop timeout of 10 s
KILL_SECONDS = 2.0
FAST_SECONDS = 10.0  # an Envoy that lived shorter counts as a fast failure
FAST_FAILURES = 8  # about 7 s of back-off in a row, then Docker's restart policy takes over


class Refused(Exception):  # noqa: N818 - not a fault of ours: what we were given will not do
    """The container cannot do its job as configured; the text is for the container's log."""


@dataclass(frozen=True)
class Wanted:
    """The environment, checked. `uid` is Envoy's, and the supervisor's once it has dropped root."""

    role: str
    subnet: str
    uid: int
    config: str


def read_environment(environ: Mapping[str, str]) -> Wanted:
    """Check the four variables.

    Raises:
        Refused: one is missing or unusable.
    """
    role = environ.get("IAC_ROLE", "")
    if role not in ("sidecar", "gateway"):
        raise Refused(f"IAC_ROLE is {role!r}, expected sidecar or gateway")
    subnet = environ.get("IAC_SUBNET", "")
    try:
        ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise Refused(f"IAC_SUBNET is {subnet!r}, expected an IPv4 CIDR ({error})") from None
    uid = environ.get("IAC_ENVOY_UID", "")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", uid) or int(uid) == APP_UID:
        # Root would keep the key readable by exec; the app's uid would bypass the redirection.
        raise Refused(f"IAC_ENVOY_UID is {uid!r}, expected a uid other than 0 and {APP_UID}")
    config = environ.get("IAC_ENVOY_CONFIG", "")
    if not config.strip():
        raise Refused("IAC_ENVOY_CONFIG is empty, expected Envoy's configuration as YAML")
    return Wanted(role, subnet, int(uid), config)


# --- firewall -----------------------------------------------------------------------------------


def filter_rules(wanted: Wanted) -> str:
    """The whole filter table: Docker keeps nothing in it inside a container, so it is replaced."""
    sidecar = wanted.role == "sidecar"
    owner = f"-m owner --uid-owner {wanted.uid} "
    mesh = f"-p tcp -d {wanted.subnet} --dport {MTLS_PORT} -j ACCEPT"
    output = (
        # Plain text never leaves for the subnet, even if the redirection were missing; Envoy
        # never dials anything but a peer's mTLS port.
        [f"{owner}{mesh}", f"{owner}-j DROP", f"-d {wanted.subnet} -j DROP"]
        if sidecar
        else [mesh]
    )
    return _table(
        "filter",
        [
            ":INPUT DROP",
            ":FORWARD DROP",
            f":OUTPUT {'ACCEPT' if sidecar else 'DROP'}",
            *_loopback_and_replies(),
            f"-A INPUT -p tcp --dport {MTLS_PORT if sidecar else GATEWAY_PORT} -j ACCEPT",
            *(f"-A OUTPUT {rule}" for rule in output),
        ],
    )


def nat_rules(wanted: Wanted, current: str) -> str:
    """Redirection into a chain of our own; `current` is ``iptables-save -t nat``.

    Docker's DNS lives in this table (DOCKER_OUTPUT for 127.0.0.11): it is added to, not flushed.
    """
    jump = "-A OUTPUT -j IAC_OUTPUT"
    redirect = (
        f"-A IAC_OUTPUT -p tcp -d {wanted.subnet} -m owner ! --uid-owner {wanted.uid} "
        f"-j REDIRECT --to-ports {OUTBOUND_PORT}"
    )
    return _table("nat", [":IAC_OUTPUT -", redirect, *([] if jump in current else [jump])])


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


def set_firewall(wanted: Wanted) -> None:
    """Apply the rules; the same rules again change nothing.

    Raises:
        Refused: neither the nft nor the legacy backend takes them.
    """
    errors = []
    for backend in ("nft", "legacy"):
        try:
            _xtables(f"iptables-{backend}-restore", filter_rules(wanted))
            if wanted.role == "sidecar":
                current = _xtables(f"iptables-{backend}-save", "", "-t", "nat")
                rules = nat_rules(wanted, current)
                _xtables(f"iptables-{backend}-restore", rules, "--noflush")
            _set_firewall_v6(backend)
        except Refused as error:
            errors.append(str(error))
        else:
            return
    raise Refused("cannot set the firewall (is NET_ADMIN there?): " + "; ".join(errors))


def _set_firewall_v6(backend: str) -> None:
    try:
        _xtables(f"ip6tables-{backend}-restore", filter_rules_v6())
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


def _xtables(program: str, rules: str, *options: str) -> str:
    """Run one of the iptables programs; the lock file is moved because /run may not be ours."""
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


# --- privileges ---------------------------------------------------------------------------------

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522


def drop_privileges(uid: int) -> None:
    """Become `uid` (and the gid of the same number) with every capability set empty, for good.

    Raises:
        Refused: the kernel shows a capability afterwards.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())  # the uid change leaves the inheritable set
    if left := capabilities_left(Path("/proc/self/status").read_text()):
        raise Refused("privileges are left after dropping them: " + ", ".join(left))


def capabilities_left(status: str) -> list[str]:
    """The lines of a /proc/PID/status that show a capability or a missing no_new_privs."""
    found = dict(re.findall(r"^(Cap\w+|NoNewPrivs):\s*([0-9a-f]+)$", status, re.M))
    wrong = [name for name in found if name.startswith("Cap") and int(found[name], 16)]
    return wrong + ([] if found.get("NoNewPrivs") == "1" else ["NoNewPrivs"])


# --- names --------------------------------------------------------------------------------------


def clamp_ttl(answer: bytes, seconds: int) -> bytes:
    """A DNS answer with every TTL lowered to at most `seconds`; malformed ones as they are."""
    packet = bytearray(answer)
    try:
        questions, *counts = (int.from_bytes(answer[i : i + 2], "big") for i in (4, 6, 8, 10))
        at = 12
        for _ in range(questions):
            at = _after_name(packet, at) + 4
        for _ in range(sum(counts)):
            at = _after_name(packet, at)
            if packet[at : at + 2] != b"\x00\x29":  # EDNS keeps flags where others have the TTL
                ttl = min(int.from_bytes(packet[at + 4 : at + 8], "big"), seconds)
                packet[at + 4 : at + 8] = ttl.to_bytes(4, "big")
            at += 10 + int.from_bytes(packet[at + 8 : at + 10], "big")
    except (IndexError, ValueError):
        return answer
    return bytes(packet) if at == len(answer) else answer


def _after_name(packet: bytearray, at: int) -> int:
    while packet[at]:
        if packet[at] >= 0xC0:
            return at + 2
        at += packet[at] + 1
    return at + 1


def serve_names(listener: socket.socket, upstream: tuple[str, int], ttl: int = 1) -> None:
    """Forward DNS queries for ever, with short TTLs in the answers.

    Docker's DNS says 600 s, Envoy's DNS cache has a lower bound for TTLs only, and a replaced
    container has a new address at once: without this a peer stays unreachable for ten minutes.
    """
    waiting: dict[socket.socket, tuple[tuple[str, int], float]] = {}
    while True:
        ready, _, _ = select.select([listener, *waiting], [], [], 5.0)
        for query in [q for q, (_, until) in waiting.items() if until < time.monotonic()]:
            del waiting[query]
            query.close()
        for source in ready:
            with suppress(OSError):
                if source is listener:
                    packet, client = listener.recvfrom(4096)
                    query = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    waiting[query] = (client, time.monotonic() + 5.0)
                    query.connect(upstream)
                    query.send(packet)
                elif source in waiting:
                    client, _ = waiting.pop(source)
                    with source:
                        listener.sendto(clamp_ttl(source.recv(4096), ttl), client)


def nameserver(resolv_conf: str) -> str:
    """The first IPv4 name server of a resolv.conf, else Docker's own."""
    found = re.search(r"^nameserver\s+([0-9.]+)\s*$", resolv_conf, re.M)
    return found[1] if found else "127.0.0.11"


def start_names() -> None:
    """Serve names on a thread that ends with the process."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", DNS_PORT))
    upstream = (nameserver(Path("/etc/resolv.conf").read_text()), 53)
    threading.Thread(target=serve_names, args=(listener, upstream), daemon=True).start()


# --- supervision --------------------------------------------------------------------------------


def say(text: str) -> None:
    """One line in the container's log."""
    print(f"sidecar: {text}", file=sys.stderr, flush=True)


class Supervisor:
    """Runs one program for ever: restarts it when it dies, stops it in order when asked.

    Args:
        argv: the program.
        drain: called once before the program is stopped; returns when calls have ended.
        fast_failures: short lives in a row after which to give up.
        kill_after: seconds from SIGTERM to SIGKILL.
    """

    SIGNALS = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})

    def __init__(
        self,
        argv: list[str],
        drain: Callable[[], None],
        fast_failures: int = FAST_FAILURES,
        kill_after: float = KILL_SECONDS,
    ) -> None:
        self._argv = argv
        self._drain = drain
        self._fast_failures = fast_failures
        self._kill_after = kill_after
        # Blocked and fetched one by one: no handler, hence no race with waitpid.
        signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)

    def run(self) -> int:
        """Supervise until told to stop; the exit status for the container."""
        failures = 0
        while True:
            born = time.monotonic()
            pid = os.posix_spawn(self._argv[0], self._argv, os.environ, setsigmask=[])
            status = self._wait(pid)
            if status is None:
                return self._stop(pid)
            lived = time.monotonic() - born
            failures = failures + 1 if lived < FAST_SECONDS else 1
            say(f"envoy ended ({_explain(status)}) after {lived:.1f} s; its reason is above")
            if failures >= self._fast_failures:
                say(f"envoy failed {failures} times in a row, giving up")
                return 1
            if self._told_to_stop_within(0.1 * 2 ** (failures - 2) if failures > 1 else 0):
                return 0

    def _wait(self, pid: int, until: float | None = None) -> int | None:
        """Reap until `pid` has ended (its status) or we are told to stop or `until` (None)."""
        while True:
            for ended, status in _reap():
                if ended == pid:
                    return status
            if until is None:
                if signal.sigwaitinfo(self.SIGNALS).si_signo != signal.SIGCHLD:
                    return None
            elif (left := until - time.monotonic()) > 0:
                signal.sigtimedwait({signal.SIGCHLD}, left)
            else:
                return None

    def _told_to_stop_within(self, seconds: float) -> bool:
        return signal.sigtimedwait(self.SIGNALS - {signal.SIGCHLD}, seconds) is not None

    def _stop(self, pid: int) -> int:
        self._drain()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if self._wait(pid, time.monotonic() + self._kill_after) is not None:
                break
        return 0


def _reap() -> Iterator[tuple[int, int]]:
    """Every child that has ended, orphans included: (pid, status)."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended


def _explain(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name


def ask_admin(method: str, target: str, path: Path = RUN / "admin.sock") -> str:
    """One request to Envoy's admin socket; the response as text, empty when nobody answers."""
    request = f"{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
    chunks = []
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        client.connect(str(path))
        client.sendall(request.encode())
        while chunk := client.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks).decode("utf-8", "replace")


def drain(
    ask: Callable[[str, str], str] = ask_admin, seconds: float = DRAIN_SECONDS, poll: float = 0.05
) -> None:
    """Tell clients to go elsewhere and wait until no call is in flight, at most `seconds`.

    ``skip_exit`` keeps the listener open: a client that has not heard yet is served.
    """
    ask("POST", "/drain_listeners?graceful&inboundonly&skip_exit")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        text = ask("GET", "/stats?filter=(inbound.downstream_rq|gateway.downstream_cx)_active$")
        if not any(int(n) for n in re.findall(r"_active: (\d+)", text)):
            return
        time.sleep(poll)


# --- start --------------------------------------------------------------------------------------


def make_directory(directory: Path = RUN) -> None:
    """Make the directory for configuration and admin socket, while we still are root.

    A tmpfs at /run is root's unless its options say otherwise, and there is no CHOWN here; nobody
    but this container sees it. When it is Envoy's uid's already, `write_config` makes it.
    """
    with suppress(PermissionError):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o1777)


def write_config(text: str, directory: Path = RUN) -> Path:
    """Write each document of `text` to its file on the tmpfs, for our uid alone; Envoy's own first.

    A document opens with ``--- # <file name>``. Returns the path of the first.

    Raises:
        Refused: the text has no such line.
    """
    _, *parts = re.split(r"^--- # ([a-z]+\.yaml)$", text, flags=re.M)
    if not parts:
        raise Refused("IAC_ENVOY_CONFIG has no line '--- # envoy.yaml'")
    os.umask(0o077)
    directory.mkdir(exist_ok=True)
    for name, document in zip(parts[::2], parts[1::2], strict=True):
        (directory / name).write_text(document, encoding="utf-8")
    with suppress(FileNotFoundError):  # left by a PID 1 that died; Envoy would refuse to bind
        (directory / "admin.sock").unlink()
    return directory / parts[0]


def check_pid(pid: int, first: str) -> None:
    """Stop where this does not belong.

    Args:
        pid: our own.
        first: the name of PID 1 (its /proc/1/comm).

    Raises:
        Refused: we are not the first process of a container.
    """
    if pid == 1:
        return
    text = "not PID 1: outside a container this would replace the host's firewall"
    if first in ("docker-init", "tini", "catatonit"):
        # The engine's default: `init = false` is lost where a provider takes it for "not said".
        text = f'not PID 1, but {first} is: remove "init": true from the engine\'s daemon.json'
    raise Refused(text)


def check_key(key: Path) -> None:
    """Fail with a sentence where Envoy would say ready and then fail every handshake.

    Raises:
        Refused: the key cannot be read by the uid we now are.
    """
    try:
        key.read_bytes()
    except OSError as error:
        reason = error.strerror
        raise Refused(f"cannot read {key} as uid {os.getuid()}: {reason}") from None


def main() -> int:
    """Everything in order; the exit status of the container."""
    try:
        wanted = read_environment(os.environ)
        check_pid(os.getpid(), Path("/proc/1/comm").read_text().strip())
        del os.environ["IAC_ENVOY_CONFIG"]
        set_firewall(wanted)
        make_directory()
        drop_privileges(wanted.uid)
        config = write_config(wanted.config)
        if wanted.role == "sidecar":
            check_key(KEY)
    except (Refused, OSError) as error:
        say(str(error))
        return EX_CONFIG
    argv = [ENVOY, "-c", str(config), "--disable-hot-restart", "--concurrency", "1"]
    argv += ["--log-level", "warning", "--drain-strategy", "immediate", "--drain-time-s", "3"]
    supervisor = Supervisor(argv, drain)
    start_names()
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
