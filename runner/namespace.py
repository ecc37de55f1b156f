"""Notices that the network namespace this container joined has died.

Docker takes the interface away when the container that owns the namespace ends, but leaves us
running in what remains; only a restart joins the owner's new namespace.
"""

from __future__ import annotations

import socket
from collections.abc import Callable


def _interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


class Namespace:
    """The Docker interfaces (``eth0``, …) there were at the start.

    Args:
        interfaces: returns the names there are now (a test's own in tests).
    """

    def __init__(self, interfaces: Callable[[], set[str]] = _interfaces) -> None:
        self._interfaces = interfaces
        self._first = self._ethernet()

    def lost(self) -> bool:
        """True once all of them are gone; never if there was none (network mode none or host).

        One that goes while another stays is somebody disconnecting a network, not a death.
        """
        return bool(self._first) and not self._ethernet() & self._first

    def _ethernet(self) -> set[str]:
        # tunl0, sit0 and their like appear in every namespace once a module is loaded.
        return {name for name in self._interfaces() if name.startswith("eth")}
