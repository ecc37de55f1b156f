"""What one client may take of the server: bytes, seconds, connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one listener; tests use tiny ones.

    Attributes:
        head_bytes: request line and headers together. Tokens may be 8 KiB; 32 KiB is what nginx
            takes in its four large buffers.
        body_bytes: a little above the application's own 1 MiB, whose answer says more than ours.
        head_seconds: from the first byte to the end of the headers, in all.
        body_seconds: from the end of the headers to the end of the body, in all.
        idle_seconds: a connection without a request.
        send_seconds: a client that takes not one byte of what is sent.
        linger_seconds: how long a client may take to read a last answer before the reset.
        thread_seconds: how long a thread waits for work before it ends.
        waiting: connections beyond the threads: unfinished headers, idle and closing ones.
    """

    head_bytes: int = 32 * 1024
    body_bytes: int = 1024 * 1024 + 64 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 30.0
    send_seconds: float = 30.0
    linger_seconds: float = 2.0
    thread_seconds: float = 30.0
    waiting: int = 1000

    @property
    def tick(self) -> float:
        """Seconds between two looks at the clock."""
        times = (self.head_seconds, self.idle_seconds, self.linger_seconds)
        return min(0.5, min(times) / 4)
