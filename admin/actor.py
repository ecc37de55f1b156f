"""Who calls, from where, and what they may do. Values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Scope = Literal["read", "deploy", "destroy"]
Kind = Literal["service_role", "user", "peer", "certificate", "webhook"]
Via = Literal["http", "socket", "grpc"]

ALL_SCOPES: frozenset[Scope] = frozenset(("read", "deploy", "destroy"))


@dataclass(frozen=True)
class Actor:
    """An authenticated caller.

    `kind` says what proved it: the service role key, a user's token, the socket's peer
    credentials, a client certificate, a webhook's signature. `id` is the user id (UUID),
    ``uid:1000``, a SPIFFE URI, ``github`` or ``service_role``; `name` an e-mail address or login
    name. `via` is the way in and `peer` the address or ``pid 123`` there. `owner`: the caller is
    root, the server's own user, or holds the control plane's key: whoever may read this machine's
    files anyway, and so may deploy local paths and refer to any variable.
    """

    kind: Kind
    id: str
    name: str = ""
    scopes: frozenset[Scope] = frozenset()
    via: Via = "http"
    peer: str = ""
    owner: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, for audit and job records."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "via": self.via,
            "peer": self.peer,
        }
