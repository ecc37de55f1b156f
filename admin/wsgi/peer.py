"""Who is at the other end of a Unix socket, as the kernel saw it at connect time."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("iII")  # struct ucred: pid_t, uid_t, gid_t (unix(7))


@dataclass(frozen=True)
class PeerProcess:
    """A process: the one that connected, or the one that listens.

    `pid` is 0 when that process lives in another PID namespace.
    """

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, connection: socket.socket) -> PeerProcess:
        """The peer of a connected Unix stream socket.

        Raises:
            OSError: it is not one.
        """
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return cls(*_UCRED.unpack(data))
