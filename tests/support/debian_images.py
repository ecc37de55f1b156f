"""Images made like the official ones, from Debian's packages: there may be no image registry.

``python -m tests.support.debian_images`` builds all of them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from iac_wrapper import settings
from iac_wrapper.files import host as host_record

FOLDER = Path(__file__).with_name("images")
ROOT = Path(__file__).resolve().parents[2]


def build(name: str) -> str:
    """Build the folder `name` of `images/` unless it is there; returns the tag."""
    host = host_record.load_host(settings.load_settings(ROOT).machine_home)
    base = host.bases["3.11"].image
    content = [base, *(f.read_text() for f in sorted((FOLDER / name).iterdir()))]
    digest = hashlib.sha256("\0".join(content).encode()).hexdigest()[:12]
    tag = f"iac-test/{name}:{digest}"
    docker = [str(host.docker)]
    there = subprocess.run([*docker, "image", "inspect", tag], capture_output=True, check=False)
    if there.returncode:
        subprocess.run(
            [*docker, "build", "--quiet", "--build-arg", f"BASE={base}", "--tag", tag, "."],
            cwd=FOLDER / name,
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            check=True,
            capture_output=True,
        )
    return tag


if __name__ == "__main__":
    for name in ("postgres", "redis"):
        print(build(name))
