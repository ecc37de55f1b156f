"""An image registry on loopback, as far as a pull needs one; the engine takes it without TLS."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.running import running

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def image(files: Mapping[str, bytes], **config: object) -> dict[str, bytes]:
    """The blobs of an image of one layer, by digest; the manifest is the last."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    layer = gzip.compress(raw.getvalue(), mtime=0)
    made = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [_digest(raw.getvalue())]},
    }
    about = json.dumps(made).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "size": len(about), "digest": _digest(about)},
        "layers": [{"mediaType": _LAYER, "size": len(layer), "digest": _digest(layer)}],
    }
    blobs = (layer, about, json.dumps(manifest).encode())
    return {_digest(blob): blob for blob in blobs}


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@contextmanager
def registry(blobs: Mapping[str, bytes]) -> Iterator[int]:
    """Serve one image under every name and tag but ``none`` while the block runs; the port."""
    newest = list(blobs)[-1]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            *_, name, kind, wanted = ("", "", *self.path.strip("/").split("/"))
            if kind == "manifests" and wanted not in blobs:
                wanted = "" if name == "none" else newest
            body = b"{}" if self.path == "/v2/" else blobs.get(wanted, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", _MANIFEST if kind == "manifests" else _LAYER)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", wanted)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the names that the base class looks for

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with running(server):
        yield int(server.server_address[1])
