"""The plugin process: handshake with Terraform, gRPC on a Unix socket, orderly end.

Not PyPI tf's runner: it stops the server on StopProvider, which would cut off every create in
progress, and it polls.
"""

from __future__ import annotations

import base64
import os
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

from . import certificate, schema
from .container import ContainerResource
from .grpc_pb import grpc_controller_pb2 as controller
from .grpc_pb import grpc_controller_pb2_grpc as controller_rpc
from .grpc_pb import grpc_stdio_pb2_grpc as stdio_rpc
from .grpc_pb import tfplugin6_pb2_grpc as provider_rpc
from .image import ImageResource
from .network import NetworkResource
from .protocol import Servicer
from .resource import Resource
from .volume import VolumeResource

THREADS = 32
"""Terraform asks for 10 at once by default (-parallelism); more is its user's choice."""

ORPHAN_CHECK = 2.0
"""Seconds between looks at whether Terraform is still there."""


def resources() -> dict[str, Resource]:
    """The implementations by type name."""
    return {
        "docker_container": ContainerResource(),
        "docker_image": ImageResource(),
        "docker_network": NetworkResource(),
        "docker_volume": VolumeResource(),
    }


def serve(socket: Path) -> None:
    """Print the handshake and serve on `socket` until the end."""
    servicer = Servicer(schema.load_schemas(), resources())
    ended = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS))
    provider_rpc.add_ProviderServicer_to_server(servicer, server)
    controller_rpc.add_GRPCControllerServicer_to_server(_Controller(ended), server)
    stdio_rpc.add_GRPCStdioServicer_to_server(_Stdio(), server)
    key, chain = certificate.cached_certificate()
    server.add_secure_port(f"unix://{socket}", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    encoded = base64.b64encode(certificate.der(chain)).decode().rstrip("=")
    print(f"1|6|unix|{socket}|grpc|{encoded}", flush=True)
    _await_end(ended)
    servicer.stop()
    server.stop(grace=0.5).wait()


class _Controller:
    """go-plugin's own service: the end."""

    def __init__(self, ended: threading.Event) -> None:
        self._ended = ended

    def Shutdown(self, _request: Any, _call: Any) -> Any:  # noqa: N802 - the protocol's name
        self._ended.set()
        return controller.Empty()


class _Stdio:
    """go-plugin's forwarding of standard output, of which there is none."""

    def StreamStdio(self, _request: Any, _call: Any) -> Any:  # noqa: N802 - the protocol's name
        return iter(())


def _await_end(ended: threading.Event) -> None:
    """Until shutdown, or until Terraform died without one."""
    parent = os.getppid()
    while not ended.wait(ORPHAN_CHECK):
        if os.getppid() != parent:
            return
