"""Images that are not ours, made here because there may be no registry; once for each content.

``python -m tests.support.foreign_images`` makes those that take long: PostgreSQL and Redis.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from iac_wrapper.adapters import docker_build, process
from iac_wrapper.adapters.process import Command
from tests.support.machine import base_image, record

FOLDER = Path(__file__).with_name("images")


def built(name: str) -> str:
    """The tag of the image that the folder `name` describes."""
    machine, folder, base = record(), FOLDER / name, base_image()
    content = b"\0".join([base.encode(), *(f.read_bytes() for f in sorted(folder.iterdir()))])
    tag = f"iac-test/{name}:{hashlib.sha256(content).hexdigest()[:12]}"
    if process.run(Command((machine.docker, "image", "inspect", tag))).returncode:
        block = {"context": str(folder), "build_args": {"BASE": base}}
        done = process.run(docker_build.command(machine.docker, tag, block), timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
    return tag


if __name__ == "__main__":
    for each in ("postgres", "redis"):
        print(built(each))
