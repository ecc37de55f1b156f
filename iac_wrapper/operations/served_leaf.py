"""What Envoys serve: the leaf in a handshake, and what they say of those they refused."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from iac_wrapper.adapters.engine_exec import run_exec
from iac_wrapper.errors import CertificateError, IacError
from iac_wrapper.identity import handshake
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations.leaves import ENVOY_UID, envoy_name, leaf_of
from iac_wrapper.operations.workspace import Workspace

LOOK_SECONDS = 3.0
"""For one handshake."""

_PAUSE = 0.02

_ASK = """
import socket, struct, sys
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(2)
    s.connect("/run/envoy/admin.sock")
    pid = struct.unpack("=iII", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    with open(f"/proc/{pid}/stat") as stat:  # proc(5): the 20th after the name is the start
        print(pid, stat.read().rpartition(")")[2].split()[19], flush=True)
    head = f"GET {sys.argv[1]} HTTP/1.1\\r\\nHost: admin\\r\\nConnection: close\\r\\n\\r\\n"
    s.sendall(head.encode())
    body = b"".join(iter(lambda: s.recv(65536), b"")).partition(b"\\r\\n\\r\\n")[2]
# In chunks: a length in hexadecimal, a line end, so many bytes, a line end; the last is empty.
while body:
    size, _, body = body.partition(b"\\r\\n")
    sys.stdout.buffer.write(body[: int(size, 16)])
    body = body[int(size, 16) + 2 :]
"""


class Refusals(NamedTuple):
    """The `number` of pairs that an Envoy has refused in its present `run`, which stands for one
    start of it."""

    run: str
    number: int


def look(lock: LockFile, name: str) -> tuple[str, str] | None:
    """Serial and fingerprint (both hexadecimal) of what answers as the service; None: nobody."""
    shown = handshake.shown_certificate(lock.gateway_port, name, timeout=LOOK_SECONDS)
    if shown is None:
        return None
    certificate = x509.load_der_x509_certificate(shown)
    return f"{certificate.serial_number:x}", certificate.fingerprint(hashes.SHA256()).hex()


def wait(workspace: Workspace, lock: LockFile, name: str, *, seconds: float) -> float | None:
    """How long it takes until the service serves the leaf on disk; None: longer than that."""
    began = time.monotonic()
    while True:
        found = look(lock, name)
        try:
            if found and found[1] == leaf_of(workspace, name).fingerprint:
                return time.monotonic() - began
        except CertificateError:
            return None
        if time.monotonic() - began > seconds:
            return None
        time.sleep(_PAUSE)


def wait_loaded(workspace: Workspace, name: str, serial: str, *, seconds: float) -> float | None:
    """`wait`, for an Envoy that only calls."""
    began = time.monotonic()
    while serial not in loaded(workspace, name):
        if time.monotonic() - began > seconds:
            return None
        time.sleep(_PAUSE)
    return time.monotonic() - began


def refusals(workspace: Workspace, name: str) -> Refusals | None:
    """How many pairs the Envoy of `name` has refused since it started; None: it does not say."""
    found = _ask(workspace, name, "/stats?format=json&filter=key_rotation_failed")
    if found is None:
        return None
    run, said = found
    return Refusals(run, sum(int(stat.get("value", 0)) for stat in said.get("stats", ())))


def loaded(workspace: Workspace, name: str) -> set[str]:
    """Serials (hexadecimal) of the leaves that the Envoy of `name` has loaded: for one that only
    calls, as the ingress does, there is no handshake to see them in."""
    found = _ask(workspace, name, "/certs")
    known = found[1].get("certificates", ()) if found else ()
    chains = (chain for each in known for chain in each["cert_chain"])
    return {str(each["serial_number"]).lstrip("0") for each in chains}


def _ask(workspace: Workspace, name: str, path: str) -> tuple[str, Mapping[str, Any]] | None:
    """Which run of the Envoy answers, and what it says."""
    argv = ["/opt/iac/python3", "-I", "-S", "-c", _ASK, path]
    try:
        container = envoy_name(workspace, name)
        # As its Envoy, whose socket it is.
        user = workspace.engine.variable(container, ENVOY_UID) or ""
        code, said = run_exec(workspace.engine, container, argv, user=user)
        run, _, text = said.partition("\n")
        found = json.loads(text) if code == 0 else None
    except (IacError, ValueError):  # it is not running, or not one of ours
        return None
    return (run, found) if isinstance(found, dict) else None
