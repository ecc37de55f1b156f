"""Private keys and secret values, looked for wherever they must not be."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from iac_wrapper.files.layout import Layout
from tests.e2e.conftest import ROOT, Project
from tests.reliability.conftest import SECRET, Record
from tests.reliability.test_leaf_rotation import leaf
from tests.support import machine

pytestmark = [pytest.mark.reliability, pytest.mark.row(14)]

JSON = ("services", "health", "certs", "policy", "plan")
CHUNK = 1 << 24


def _forms(key: Path) -> Iterator[bytes]:
    """What a private key looks like: a line of its file, its number as bytes and as text."""
    text = key.read_bytes()
    yield text.splitlines()[1]
    private = load_pem_private_key(text, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    number = private.private_numbers().private_value.to_bytes(32, "big")
    yield from (number, number.hex().encode(), base64.b64encode(number)[:42])


def _keys(project: Project) -> dict[str, list[bytes]]:
    secrets = Layout(ROOT).secrets
    paths = [secrets / "ca.key", *sorted((secrets / project.name).glob("*/tls.key"))]
    return {str(path.relative_to(secrets)): list(_forms(path)) for path in paths}


def _hits(place: str, data: bytes, needles: dict[str, list[bytes]]) -> list[str]:
    return [
        f"{name} in {place}"
        for name, forms in needles.items()
        if any(form in data for form in forms)
    ]


def _images(project: Project) -> Iterator[bytes]:
    """The layers of the project's images and of its sidecars'; neighbours overlap."""
    tags = [*project.image_tags(), machine.record().sidecar_image]
    with subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as saving:
        assert saving.stdout
        before = b""
        while chunk := saving.stdout.read(CHUNK):
            yield before + chunk
            before = chunk[-200:]
    assert saving.returncode == 0


def _processes(name: str) -> Iterable[bytes]:
    for path in Path("/proc").glob(f"[0-9]*/{name}"):
        try:
            yield path.read_bytes()
        except OSError:  # it has ended
            continue


def test_no_key_and_no_secret_is_where_others_look(mesh: Project, record: Record) -> None:
    """Beside each place a control: what is known to be there is found."""
    keys = _keys(mesh)
    secret = SECRET.encode()
    all_needles = {**keys, "WORD": [secret, base64.b64encode(secret)[:-4]]}
    name = mesh.name.encode()
    hits: list[str] = []

    assert _hits("", (leaf(mesh, "web") / "tls.key").read_bytes(), keys)
    said = {}
    for verb in JSON:
        more = ["--file", str(mesh.file)] if verb == "plan" else []
        said[verb] = mesh.iac(verb, "--json", *more).stdout.encode()
        assert name in said[verb]
        hits += _hits(f"iac {verb} --json", said[verb], all_needles)
    traces = [text.encode("latin-1", "replace") for text in mesh.traces()]
    assert sum(name in text for text in traces) > 10
    for number, text in enumerate(traces):
        hits += _hits(f"trace {number}", text, all_needles)
    size, source = 0, False
    for chunk in _images(mesh):
        size += len(chunk)
        source |= b"request_queue_size = 128  # as real servers have" in chunk
        hits += _hits("an image", chunk, all_needles)
    assert source
    commands, environments = list(_processes("cmdline")), list(_processes("environ"))
    assert any(b"envoy" in each for each in commands)
    assert any(name in each for each in environments)
    hits += [hit for each in commands for hit in _hits("a command line", each, all_needles)]
    hits += [hit for each in environments for hit in _hits("an environment", each, keys)]
    record(
        f"{len(keys)} private keys in 4 forms and a secret value looked for",
        f"{len(JSON)} JSON outputs; {len(traces)} files, image histories, descriptions and logs;"
        f" {size / 2**20:.0f} MB of images; {len(commands)} processes",
        f"{len(hits)} found" + "".join(f"; {hit}" for hit in sorted(set(hits))),
    )
    assert hits == []
