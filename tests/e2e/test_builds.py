"""Images on the engine: what is in them, and that equal inputs make equal files."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.files import host, machine_home
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.slug import Slug
from iac_wrapper.program import build_context, context_folder
from iac_wrapper.program.detection import detect
from iac_wrapper.program.index_settings import write_build_secrets
from iac_wrapper.settings import Settings
from iac_wrapper.sources.tree import tree_hash

pytestmark = pytest.mark.integration

FILES = {
    "main.py": "import idna, magic\nprint(magic.__name__)\n",
    "pyproject.toml": (
        "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['idna', 'python-magic']\n"
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[tool.setuptools]\npackages = ['goods']\n"
    ),
    "goods/__init__.py": "KINDS = {'a', 'b', 'c'}\n",
}

Build = Callable[[Path], str]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Builds the app in a folder as a deploy does, but with no cache at all; the image's name."""
    found = host.load_host(machine_home.find(None, os.environ, machine_home.checkout()))
    project = f"t{secrets.token_hex(4)}"
    made: list[str] = []

    def call(source: Path) -> str:
        spec = AppSpec("shop", Slug("./x", "path", "./x"))
        described = build_context.describe(
            Checkout(spec, source, tree_hash(source), None, "local"),
            detect(source).entrypoint,
            host=found,
            layout=Layout(tmp_path),
            settings=Settings(),
            project=project,
        )
        number = len(made)
        files = dict(described.files)
        files["Dockerfile"] = files["Dockerfile"].replace("id=iac-uv", f"id={project}-{number}")
        context = tmp_path / f"context-{number}"
        context_folder.write(replace(described, files=files, context=context))
        write_build_secrets(tmp_path / "build", os.environ)
        made.append(f"{described.image}-{number}")
        keys = [f"id={name},src={tmp_path}/build/{name}" for name in ("ca", "env")]
        options = [part for key in keys for part in ("--secret", key)]
        subprocess.run(
            [found.docker, "build", "--no-cache", "--tag", made[-1], *options, str(context)],
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            check=True,
            capture_output=True,
        )
        return made[-1]

    yield call
    subprocess.run([found.docker, "rmi", "--force", *made], check=False, capture_output=True)


def tree(image: str) -> dict[str, tuple[object, ...]]:
    """Name -> kind, mode, owner and content of every file of an image: all but the times."""
    docker = ["docker", "create", image]
    container = subprocess.run(docker, check=True, capture_output=True, text=True).stdout.strip()
    found: dict[str, tuple[object, ...]] = {}
    try:
        export = subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE)
        with export, tarfile.open(fileobj=export.stdout, mode="r|") as archive:
            for one in archive:
                file = archive.extractfile(one) if one.isreg() else None
                content = hashlib.sha256(file.read()).hexdigest() if file else one.linkname
                found[one.name] = (one.type, one.mode, one.uid, one.gid, content)
    finally:
        subprocess.run(["docker", "rm", container], check=True, capture_output=True)
    return found


def test_equal_inputs_make_equal_files(build: Build, tmp_path: Path) -> None:
    """Two builds with caches of their own, at two times: everything but times is the same. The
    image has the Debian package that a requirement is known to need."""
    source = tmp_path / "source"
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    first, second = tree(build(source)), tree(build(source))
    assert {name for name in first | second if first.get(name) != second.get(name)} == set()
    names = {name.rpartition("/")[2] for name in first}
    assert "libmagic.so.1" in names
