"""The plugin process as Terraform starts it."""

from __future__ import annotations

import base64
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import provider
from provider.__main__ import MAGIC
from provider.grpc_pb import grpc_controller_pb2 as controller
from provider.grpc_pb import grpc_controller_pb2_grpc as controller_rpc
from provider.grpc_pb import grpc_stdio_pb2 as stdio
from provider.grpc_pb import grpc_stdio_pb2_grpc as stdio_rpc
from provider.grpc_pb import tfplugin6_pb2 as pb
from provider.grpc_pb import tfplugin6_pb2_grpc as rpc

ROOT = Path(provider.__file__).parent.parent


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        MAGIC[0]: MAGIC[1],
    }
    with subprocess.Popen(
        [sys.executable, "-m", "provider"], env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


def test_handshake_calls_and_shutdown(process: subprocess.Popen[str], tmp_path: Path) -> None:
    """TLS on a private socket; Ctrl-C is Terraform's business; shutdown leaves nothing behind."""
    assert process.stdout is not None
    core, plugin, network, address, kind, encoded = process.stdout.readline().strip().split("|")
    assert (core, plugin, network, kind) == ("1", "6", "unix", "grpc")
    assert Path(address).parent.stat().st_mode & 0o777 == 0o700
    root = ssl.DER_cert_to_PEM_cert(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
    credentials = grpc.ssl_channel_credentials(root.encode())
    options = [("grpc.ssl_target_name_override", "localhost")]
    with grpc.secure_channel(f"unix://{address}", credentials, options) as channel:
        process.send_signal(signal.SIGINT)
        schemas = rpc.ProviderStub(channel).GetProviderSchema(pb.GetProviderSchema.Request())
        assert "docker_network" in schemas.resource_schemas
        request = stdio.google_dot_protobuf_dot_empty__pb2.Empty()
        assert list(stdio_rpc.GRPCStdioStub(channel).StreamStdio(request)) == []
        controller_rpc.GRPCControllerStub(channel).Shutdown(controller.Empty())
    assert process.wait(timeout=5) == 0
    assert not Path(address).parent.exists()


def test_not_started_by_hand() -> None:
    """Without Terraform's mark it is a command that says what it is for."""
    env = {k: v for k, v in os.environ.items() if k != MAGIC[0]}
    done = subprocess.run(
        [sys.executable, "-m", "provider"],
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: terraform-provider-docker [-h] {mirror}")
