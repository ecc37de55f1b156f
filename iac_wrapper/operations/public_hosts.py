"""The seam between the ingress and its certificates: which hosts want one, and who answers a proof.

The ingress fills these three; certificates ask for nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from iac_wrapper.identity.acme.order import Answers
from iac_wrapper.model.public_host import PublicHost
from iac_wrapper.operations.workspace import Workspace


def hosts(workspace: Workspace) -> Sequence[PublicHost]:
    """The hosts of the deployed services that are served over TLS; none while none is exposed."""
    del workspace
    return ()


def answers(workspace: Workspace) -> Answers:
    """How a proof is answered on the public HTTP port. It may not take the project's lock."""
    del workspace
    return Answers(lambda _token, _text: None, lambda _token: None)


def reload(workspace: Workspace) -> None:
    """Have the ingress serve what is current now."""
    del workspace
