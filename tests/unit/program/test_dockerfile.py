"""The Dockerfile of an app: its layers, what never gets into one, and the command it runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.program.dockerfile import DockerfileProps, render
from iac_wrapper.program.setuptools_seed import SetuptoolsSeed

MAIN = Entrypoint("script", "main.py", "main", "")
BINARY = Entrypoint("binary", "/app/main", None, "")
PROPS = DockerfileProps(
    runtime_image="iac/runtime:3.11-0123456789ab",
    entrypoint=MAIN,
    port=8080,
    python=True,
    key="abc",
    reason="requirements.txt",
    files=("requirements.txt", "more/base.txt"),
    early=("pip", "install", "-r", "requirements.txt"),
    late=("pip", "install", "--no-deps", "."),
)


def instructions(text: str) -> list[str]:
    """The Dockerfile as Docker reads it: continuations joined, comments dropped."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", "").splitlines() if line]


def test_dependencies_come_before_the_source() -> None:
    """The early layer mounts only its files, so a change of the code does not touch it."""
    words = [line.split()[0] for line in instructions(render(PROPS))]
    assert words == [
        *("FROM", "ENV", "RUN", "RUN", "COPY", "RUN", "RUN"),
        *("USER", "EXPOSE", "CMD", "LABEL"),
    ]
    early = instructions(render(PROPS))[3]
    assert "type=bind,source=app/requirements.txt,target=/deps/requirements.txt " in early
    assert "type=bind,source=app/more/base.txt,target=/deps/more/base.txt " in early
    assert early.endswith("/opt/iac/bin/uv pip install -r requirements.txt")


def test_a_patch_release_is_checked_in_the_image() -> None:
    """Only a range that tells patch releases apart needs it; its signs are quoted."""
    assert "python find" not in render(PROPS)
    line = instructions(render(replace(PROPS, requires=">=3.11.4")))[2]
    assert " '>=3.11.4' || " in line
    assert "is not met by the base's $(python3 --version)" in line


def test_index_settings_are_secrets_of_the_steps_that_install() -> None:
    """CA bundle and index settings are mounted, never copied, set or passed as arguments."""
    lines = instructions(render(PROPS))
    installs = [line for line in lines if "uv pip install" in line]
    assert len(installs) == 2
    for line in installs:
        assert "--mount=type=secret,id=ca --mount=type=secret,id=env" in line
        assert ". /run/secrets/env" in line
    assert not [line for line in lines if line.startswith("ARG")]


def test_it_builds_without_an_image_registry() -> None:
    """A syntax directive would make BuildKit fetch a frontend; heredocs need a newer one."""
    text = render(PROPS)
    assert "syntax=" not in text
    assert "<<" not in text


def test_the_app_runs_without_rights_over_its_own_files() -> None:
    """Files belong to root, the program is user 10001; the last USER counts."""
    lines = instructions(render(PROPS))
    assert lines[-4] == "USER 10001:10001"
    assert not [line for line in lines if "--chown" in line]


def test_a_binary_gets_no_python_environment() -> None:
    """Nothing but its files is added to the base."""
    text = render(replace(PROPS, entrypoint=BINARY, python=False, early=(), late=()))
    words = [line.split()[0] for line in instructions(text)]
    assert words == ["FROM", "COPY", "USER", "EXPOSE", "CMD", "LABEL"]
    assert 'CMD ["--", "/app/main"]' in text


def test_requirements_of_ours() -> None:
    """What we write is mounted from the context for the early step, and is in no layer."""
    text = render(replace(PROPS, written=["requirements.txt"], files=()))
    assert "--mount=type=bind,source=deps/requirements.txt,target=/deps/requirements.txt" in text
    assert "COPY requirements.txt" not in text


def test_what_lies_around_the_app() -> None:
    """Files come from beside the app, and the late step runs in its folder among them."""
    around = replace(PROPS, around="services/api", early_folder=".", files=["uv.lock"])
    text = render(replace(around, late=["sync"]))
    assert "--mount=type=bind,source=beside/uv.lock,target=/deps/uv.lock" in text
    assert "--mount=type=bind,source=beside,target=/src,rw" in text
    assert "cd /src/services/api; " in text


def test_words_of_a_command_are_quoted() -> None:
    """A name of a group or folder is never shell."""
    assert "--group 'a b'" in render(replace(PROPS, early=["sync", "--group", "a b"]))


def test_port_and_command() -> None:
    """EXPOSE is the app's port; CMD is what the runner starts."""
    text = render(PROPS)
    assert "\nEXPOSE 8080\n" in text
    command = next(line for line in text.splitlines() if line.startswith("CMD "))
    assert json.loads(command[4:])[0] == "--"


@pytest.mark.parametrize(
    ("entrypoint", "argv"),
    [
        (MAIN, "/venv/bin/python /opt/iac/launch.py script main.py main"),
        (
            Entrypoint("module", "pkg.mod", None, ""),
            "/venv/bin/python /opt/iac/launch.py module pkg.mod",
        ),
        (BINARY, "/app/main"),
        (
            Entrypoint("module", "flask", None, "", args=("run", "--port", "$PORT")),
            "/venv/bin/python /opt/iac/launch.py module flask -- run --port 8080",
        ),
        (
            Entrypoint("command", "gunicorn", None, "", args=("app:app", "-b", ":$PORT")),
            "/venv/bin/python /opt/iac/launch.py command gunicorn -- app:app -b :8080",
        ),
        (
            Entrypoint("module", "gunicorn", None, "", args=("app:app",), supplied="gunicorn"),
            "/venv/bin/python /opt/iac/launch.py supplied gunicorn -- app:app",
        ),
        (Entrypoint("shell", "a && exec b $PORT", None, ""), "/bin/sh -c a && exec b $PORT"),
    ],
)
def test_the_program(entrypoint: Entrypoint, argv: str) -> None:
    """Python and commands go through the launcher, a binary does not; $PORT becomes the port."""
    assert " ".join(entrypoint.argv(8080)) == argv


def test_labels_are_quoted() -> None:
    """A value cannot end its quotes or name a variable."""
    text = render(replace(PROPS, labels={"b": 'x" $HOME \\', "a": "1"}))
    assert text.endswith(
        'LABEL org.karstkit.image-key="abc" \\\n    a="1" \\\n    b="x\\" \\$HOME \\\\"\n'
    )


def test_a_build_is_told_its_version() -> None:
    """Only where the project itself is built, and by a file only for as long as that takes."""
    props = replace(PROPS, variables=(("PBR_VERSION", "1.2"),), pkg_info="1.2+g1")
    early, late = (line for line in instructions(render(props)) if "uv pip install" in line)
    assert "PBR_VERSION" not in early
    assert "export PBR_VERSION=1.2;" in late
    assert "trap 'rm \"$PWD/PKG-INFO\"' EXIT" in late


def test_setuptools_only_where_nothing_brings_it() -> None:
    """The image is asked: a requirement may bring one that does."""
    seed = SetuptoolsSeed("distutils", "shop.py")
    last = [line for line in instructions(render(replace(PROPS, seed=seed))) if "uv pip" in line][
        -1
    ]
    assert "-c 'import distutils' 2> /dev/null ||" in last
    assert last.endswith("pip install 'setuptools<82'")


def test_names_from_the_source_cannot_become_instructions() -> None:
    """A file name with a newline stays inside its comment and its JSON."""
    evil = "a.py\nUSER root\n"
    props = replace(PROPS, reason=evil, seed=SetuptoolsSeed("pkg_resources", evil))
    text = render(replace(props, entrypoint=Entrypoint("script", evil, None, "")))
    assert "USER root" not in text.splitlines()
