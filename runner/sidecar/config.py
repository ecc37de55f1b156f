"""Envoy's configuration: the image's template filled in, written where Envoy reads it.

It must not know what Envoy's settings mean, only the few values that differ between containers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from string import Template

from runner.sidecar import limits, offers
from runner.sidecar.environment import SidecarEnvironment
from runner.sidecar.limits import Limits
from runner.sidecar.refused import Refused

RUN = Path("/run/envoy")
TEMPLATES = Path("/opt/iac/envoy")
KEY = Path("/etc/iac/tls/tls.key")

HOP_HEADERS, HOP_KB = 20, 8
"""What a hop may add to a program's headers (identity, request id, forwarding): the receiving side
allows that much more, so that it is always the first hop that refuses, with a reason."""


def render(template: str, wanted: SidecarEnvironment, allowed: Limits | None = None) -> str:
    """Fill in the values of one container; every one of them was checked by `environment`.

    Args:
        allowed: how much this Envoy may hold; None: what its container's memory allows.

    Raises:
        Refused: the template asks for another value.
    """
    allowed = allowed or limits.of_container()
    values = {
        "service": wanted.service or wanted.role,
        "trust_domain": wanted.trust_domain or wanted.role,
        "project": wanted.project,
        "host": wanted.host,
        "max_headers": wanted.max_headers,
        "max_headers_kb": wanted.max_headers_kb,
        "max_headers_hop": wanted.max_headers + HOP_HEADERS,
        "max_headers_hop_kb": wanted.max_headers_kb + HOP_KB,
        "local_port": wanted.local_port,
        "tcp_port": wanted.tcp_port,
        "max_heap": allowed.heap,
        "max_connections": allowed.connections,
        "max_own": allowed.own,
        "offer": wanted.offer if wanted.offer.ports else "",
        "offer_path": offers.PATH,
    }
    try:
        return Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise Refused(f"Envoy's template does not fit this program: {error}") from None


def load_envoy_config(wanted: SidecarEnvironment, directory: Path = TEMPLATES) -> str:
    """The configuration of this container.

    Raises:
        Refused: there is no such template, or it does not fit.
    """
    path = directory / f"{wanted.template}.yaml"
    try:
        return render(path.read_text(encoding="utf-8"), wanted)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from None


def make_directory(directory: Path = RUN) -> None:
    """Make the directory for configuration and admin socket, while we still are root.

    A tmpfs at /run is root's unless its options say otherwise, and there is no CHOWN here; nobody
    but this container sees it. When it is Envoy's uid's already, `write` makes it.
    """
    with suppress(PermissionError):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o1777)


def documents(text: str) -> dict[str, str]:
    """The documents of Envoy's configuration by file name, its own first.

    One opens with ``--- # <file name>``.

    Raises:
        Refused: the text has no such line.
    """
    _, *parts = re.split(r"^--- # ([a-z-]+\.yaml)$", text, flags=re.M)
    if not parts:
        raise Refused("Envoy's template has no line '--- # envoy.yaml'")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def write(found: Mapping[str, str], filled: Mapping[str, str], directory: Path = RUN) -> Path:
    """Write each document to its file on the tmpfs, for our uid alone; the path of the first.

    `filled` are those that others keep up to date.
    """
    os.umask(0o077)
    directory.mkdir(exist_ok=True)
    for name, document in {**found, **filled}.items():
        (directory / name).write_text(document, encoding="utf-8")
    with suppress(FileNotFoundError):  # left by a PID 1 that died; Envoy would refuse to bind
        (directory / "admin.sock").unlink()
    return directory / next(iter(found))


def check_key(key: Path = KEY) -> None:
    """Fail with a sentence where Envoy would say ready and then fail every handshake.

    Raises:
        Refused: the key cannot be read by the uid we now are.
    """
    try:
        key.read_bytes()
    except OSError as error:
        reason = error.strerror
        raise Refused(f"cannot read {key} as uid {os.getuid()}: {reason}") from None
