"""What one client may take of the server: bytes, seconds, connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ListenerLimits:
    """Bounds of one listener; tests use tiny ones.

    Attributes:
        head_bytes: request line and headers together. Tokens may be 8 KiB; 32 KiB is what nginx
            takes in its four large buffers.
        body_bytes: a little above the application's own 1 MiB, whose answer says more than ours.
        wait_seconds: from the connection, or from the last answer, to the end of the headers, in
            all; it also ends idle connections.
        body_seconds: from the end of the headers to the end of the body, in all.
        send_seconds: a client that does not take the next 64 KiB of what is sent.
        linger_seconds: how long a refused client may go on sending before the connection closes.
        requests: requests and streams at once; each has a thread.
        connections: with and without a request.
    """

    head_bytes: int = 32 * 1024
    body_bytes: int = 1024 * 1024 + 64 * 1024
    wait_seconds: float = 30.0
    body_seconds: float = 30.0
    send_seconds: float = 30.0
    linger_seconds: float = 2.0
    requests: int = 1200
    connections: int = 2200
