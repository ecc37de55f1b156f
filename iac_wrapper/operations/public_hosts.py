"""Between the ingress and its certificates: which hosts want one, and who answers a proof."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from functools import partial

from iac_wrapper.model import exposure
from iac_wrapper.model.exposure import Exposure
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.public_host import Answers, CertificateFiles, PublicHost
from iac_wrapper.operations import ingress
from iac_wrapper.operations.workspace import Workspace

ANSWER_SECONDS = 5.0
"""In which an Envoy that watches its files has a new route: most often 0.1 s."""


def hosts(workspace: Workspace, lock: LockFile | None = None) -> Sequence[PublicHost]:
    """The hosts of `lock`, else of what is deployed, that are served over TLS."""
    lock = lock or workspace.applied_lock()
    routes = exposure.public(lock.routes) if lock else ()
    found = {r.host: r.exposure for r in routes if r.exposure.tls != "off"}
    return [PublicHost(name, _files(workspace, one)) for name, one in sorted(found.items())]


def answers(workspace: Workspace) -> Answers:
    """How a proof is answered on the public HTTP port; without the project's lock."""
    return Answers(partial(_publish, workspace), partial(ingress.withdraw, workspace))


def reload(workspace: Workspace) -> None:
    """Have the ingress serve what is current now."""
    ingress.refresh(workspace)


def _files(workspace: Workspace, one: Exposure) -> CertificateFiles | None:
    if not (one.cert and one.key):
        return None
    root = workspace.layout.root.absolute()
    return CertificateFiles(root / one.cert, root / one.key)


def _publish(workspace: Workspace, token: str, text: str) -> None:
    """Return once the ingress gives the answer, or after a while: the ACME server will tell."""
    ingress.publish(workspace, token, text)
    until = time.monotonic() + ANSWER_SECONDS
    while workspace.engine_is_local and time.monotonic() < until:
        if _answer(workspace, token) == text.encode():
            return
        time.sleep(0.05)


def _answer(workspace: Workspace, token: str) -> bytes:
    address = ingress.local_address(workspace)
    connection = http.client.HTTPConnection(address, workspace.settings.http_port, timeout=1)
    try:
        connection.request("GET", f"/.well-known/acme-challenge/{token}")
        return connection.getresponse().read(1000)
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
