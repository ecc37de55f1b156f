"""Containers of images that are not ours: their own user and program, the hardening of all."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from constructs_lib import foreign_container
from constructs_lib.policies import Granted, violations
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.foreign_image import ForeignImage
from iac_wrapper.model.options import Options
from tests.constructs import facts

DIGEST = "sha256:" + "cd" * 32
ROOT = ForeignImage(f"postgres@{DIGEST}", 0, 0, "root", volumes=("/data",))
USER = replace(ROOT, uid=999, gid=998, user_from="image")
ENTRYPOINT = Entrypoint("image", "start.sh", None, "the image's own", args=("postgres", "a b"))


def image(foreign: ForeignImage = USER, name: str = "db", **changes: Any) -> ResolvedApp:
    return facts.app(
        name,
        **{
            "slug": "image:postgres:16",
            "commit": None,
            "tree": DIGEST,
            "entrypoint": ENTRYPOINT,
            "python": None,
            "base": "",
            "image": f"iac/iacnet/{name}:{DIGEST[7:19]}",
            "foreign": foreign,
            **changes,
        },
    )


def synth(app: ResolvedApp) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The app's container, its image and its sidecar."""
    found = facts.synth(facts.props(app))
    return (
        facts.only(found, "docker_container", f"{app.name}_app"),
        facts.only(found, "docker_image", f"{app.name}_image"),
        facts.only(found, "docker_container", f"{app.name}_envoy"),
    )


def test_it_is_as_recorded(snapshot: SnapshotAssertion) -> None:
    """Image, Envoy and app of one that starts as root and gets a secret value."""
    resources = synth(image(ROOT, env={"A": "1", "PW": "${PW}", "PW_FILE": "${PW}"}))
    assert snapshot(extension_class=JSONSnapshotExtension) == resources


def test_its_own_user_and_program_under_the_same_hardening() -> None:
    """Nothing of ours is in its environment, nothing is mounted; it owns its folders of memory."""
    app, found, envoy = synth(image(options=Options(tmpfs={"/run/postgresql": 16})))
    assert app["tmpfs"]["/run/postgresql"] == "size=16m,mode=1777,uid=999"
    assert (app["user"], app["read_only"], app["memory"]) == ("999:998", True, 512)
    assert app["capabilities"] == {"drop": ["ALL"]}
    assert app["security_opts"] == ["no-new-privileges:true"]
    assert {"entrypoint", "command", "mounts", "ulimit"}.isdisjoint(app)
    assert app.get("env", []) == []
    assert facts.label_values(app)["org.karstkit.foreign"] == "1"
    assert found["name"] == f"iac/iacnet/db:{DIGEST[7:19]}"
    assert "build" not in found
    assert facts.environment(envoy)["IAC_APP_UID"] == "any"


def test_root_keeps_five_capabilities_and_no_more() -> None:
    """The policies take exactly what the lock's entry grants."""
    app, *_ = synth(image(ROOT))
    kept = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
    assert (app["user"], app["capabilities"]["add"]) == ("0:0", [f"CAP_{name}" for name in kept])
    granted = {"db": Granted(root=True, capabilities=frozenset(app["capabilities"]["add"]))}
    terraform = {"resource": {"docker_container": {"it": app}}}

    def faults(**more: Any) -> list[str]:
        own = {"docker_container.it"}
        return violations(terraform, project="iacnet", mountable=(), own=own, **more)

    assert faults(granted=granted) == []
    assert len(faults()) == 2
    app["capabilities"]["add"].append("CAP_NET_ADMIN")
    app["read_only"] = False
    assert len(faults(granted=granted)) == 2


def test_what_the_entry_says_wins() -> None:
    """Command, capabilities, a writable root, a port, and a job that may end."""
    options = Options(command="serve -v", capabilities="KILL", writable=True, run="job")
    said = replace(ENTRYPOINT, target="other 'x y'", args=("serve", "-v"), source="repos-file")
    app, *_ = synth(image(options=options, entrypoint=said, run="job", env={"A": "${x"}))
    assert (app["entrypoint"], app["command"]) == (["other", "x y"], ["serve", "-v"])
    assert (app["read_only"], app["capabilities"]["add"]) == (False, ["CAP_KILL"])
    assert (app["restart"], app["must_run"]) == ("on-failure", False)
    assert "PORT" not in facts.environment(app)
    served, *_ = synth(image(port=5432, port_declared=True))
    assert facts.environment(served) == {"PORT": "5432"}


def test_secret_values_are_files() -> None:
    """A variable that names a file gets its path; others are set by a shell, from files."""
    app, *_ = synth(image(env={"PW_FILE": "${PW}", "PLAIN": "x"}))
    assert facts.environment(app) == {"PLAIN": "x", "PW_FILE": "/run/iac/env/PW_FILE"}
    assert "entrypoint" not in app
    assert [mount["target"] for mount in app["mounts"]] == ["/run/iac/env"]
    app, *_ = synth(image(env={"PW": "${PW}"}))
    assert app.get("env", []) == []
    assert app["entrypoint"][:2] == ["/bin/sh", "-c"]
    assert app["entrypoint"][2].endswith("; exec start.sh postgres 'a b'")
    assert "command" not in app


def test_an_empty_word_is_passed_on_by_the_shell() -> None:
    """Terraform's provider cannot: an empty text is no value to it."""
    said = replace(ENTRYPOINT, args=("serve", "--save", ""))
    app, *_ = synth(image(entrypoint=said, options=Options(command="serve --save ''")))
    assert app["entrypoint"] == ["/bin/sh", "-c", "exec start.sh serve --save ''"]


@pytest.mark.parametrize(
    "value", [b"plain", b"", b"two\nlines\n\n", b" 'q' \"q\" $x `y` \\ ", b"\xff"]
)
def test_the_shell_hands_on_every_byte(value: bytes, tmp_path: Path) -> None:
    """The very script of the construct, with a shell of this machine."""
    program = replace(ENTRYPOINT, target="env", args=("-0",))
    entrypoint, _ = foreign_container.program(image(entrypoint=program, env={"PW": "${PW}"}))
    (tmp_path / "PW").write_bytes(value)
    (tmp_path / "OTHER_FILE").write_bytes(b"not this one")
    script = entrypoint[2].replace("/run/iac/env", str(tmp_path))
    argv = [*entrypoint[:2], script]
    done = subprocess.run(argv, capture_output=True, check=True, env={"PATH": os.environ["PATH"]})
    found = dict(line.split(b"=", 1) for line in done.stdout.split(b"\0") if line)
    assert found.pop(b"PW") == value
    assert {name for name in found if re.match(rb"OTHER|_[a-z]", name)} == set()


def test_a_dockerfile_builds_the_source_itself() -> None:
    """Its context is the repository, so that its .dockerignore is where Docker looks."""
    foreign = replace(USER, pinned="", dockerfile="docker/Dockerfile")
    app = image(foreign, "web", image="iac/iacnet-web:0123456789ab", slug="./web")
    _, found, _ = synth(app)
    build = found["build"]
    assert build["context"].endswith("/build/iacnet/web-0123456789ab/app")
    assert build["dockerfile"] == f"{build['context']}/docker/Dockerfile"
    assert build["label"]["org.karstkit.image-key"] == "iac/iacnet-web:0123456789ab"


def test_the_uid_of_its_envoy_is_refused() -> None:
    """It would get around the redirection."""
    envoy = facts.users(facts.lock(image()))["db"].envoy
    with pytest.raises(ConfigError, match="bad user"):
        synth(image(replace(USER, uid=envoy)))


def test_another_command_has_its_values_and_starts_nothing_of_the_program() -> None:
    """Whatever started the program: a shell that sets values, its ENTRYPOINT, or what we say."""
    first, _ = foreign_container.program(image(env={"PW": "${PW}"}))
    found = foreign_container.in_place_of_program(first, ["psql", "-c", "select 1"])
    assert found[:2] == ("/bin/sh", "-c")
    assert found[2].startswith("for _f in /run/iac/env/*;")
    assert found[2].endswith('exec "$@"')
    assert found[3:] == ("sh", "psql", "-c", "select 1")
    empty, _ = foreign_container.program(image(options=Options(command="redis-server --save ''")))
    for without in (empty, ("start.sh",), ()):
        assert foreign_container.in_place_of_program(without, ["id"]) == ("id",)
