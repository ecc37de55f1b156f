"""What a rebuild after a change of code costs, beside a build that only copies the source.

    python -m bench.rebuild              # `make bench-rebuild` is the same; about a minute

Both begin at the same image with the dependencies in it. Each round changes one module and builds
once in either way; the numbers are medians of the rounds. `preparing` is what comes before our
build: deciding, copying the source and making its bytecode. The ratios are to the bare copy.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

from iac_wrapper.files import host, machine_home
from iac_wrapper.files.layout import Layout
from iac_wrapper.model.app import AppSpec, Checkout
from iac_wrapper.model.slug import Slug
from iac_wrapper.program import build_context, context_folder
from iac_wrapper.program.detection import detect
from iac_wrapper.program.index_settings import write_build_secrets
from iac_wrapper.settings import Settings
from iac_wrapper.sources.tree import tree_hash

ROUNDS, MODULES = 7, 100


def main() -> None:
    """Measure, and print."""
    found = host.load_host(machine_home.find(None, os.environ, machine_home.checkout()))
    project = f"bench{secrets.token_hex(3)}"
    made: set[str] = set()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _compare(found, project, Path(folder), made)
    finally:
        subprocess.run([found.docker, "rmi", "-f", *made], check=False, capture_output=True)


def _compare(found: host.Host, project: str, folder: Path, made: set[str]) -> None:
    source = folder / "source"
    source.mkdir()
    (source / "main.py").write_text("import idna\nprint('ready')\n")
    (source / "requirements.txt").write_text("idna\n")
    for number in range(MODULES):
        (source / f"module{number}.py").write_text(f"def f(x):\n    return x + {number}\n" * 40)
    write_build_secrets(folder / "secrets", os.environ)
    times: dict[str, list[float]] = {"preparing": [], "our build": [], "bare copy": []}
    for number in range(ROUNDS + 1):  # the first installs what is required
        (source / "main.py").write_text(f"import idna\nprint('ready', {number})\n")
        tree = tree_hash(source)  # a deploy has it from fetching
        begin = time.monotonic()
        spec = AppSpec("app", Slug("./x", "path", "./x"))
        detected = detect(source)
        build = build_context.describe(
            Checkout(spec, source, tree, None, "local"),
            detected.entrypoint,
            host=found,
            layout=Layout(folder),
            settings=Settings(),
            project=project,
            code=detected.project,
        )
        context = context_folder.write(build)
        prepared = time.monotonic()
        _build(found.docker, build.image, context, folder / "secrets")
        built = time.monotonic()
        made.add(build.image)
        if number == 0:
            subprocess.run([found.docker, "tag", build.image, f"iac/{project}:deps"], check=True)
            made.add(f"iac/{project}:deps")
            continue
        bare = folder / f"bare{number}"
        shutil.copytree(source, bare / "app")
        (bare / "Dockerfile").write_text(f"FROM iac/{project}:deps\nCOPY app/ /app/\n")
        times["preparing"].append(prepared - begin)
        times["our build"].append(built - prepared)
        begin = time.monotonic()
        _build(found.docker, f"iac/{project}:bare{number}", bare, folder / "secrets")
        times["bare copy"].append(time.monotonic() - begin)
        made.add(f"iac/{project}:bare{number}")
    for name, seconds in times.items():
        print(f"{name:<10} {median(seconds):.2f} s")
    preparing, ours, bare_copy = map(median, times.values())
    print(f"ratio      {ours / bare_copy:.2f}, with preparing {(preparing + ours) / bare_copy:.2f}")


def _build(docker: str, tag: str, context: Path, keys: Path) -> None:
    given = [p for name in ("ca", "env") for p in ("--secret", f"id={name},src={keys / name}")]
    command = [docker, "build", "--quiet", "--tag", tag, *given, str(context)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
