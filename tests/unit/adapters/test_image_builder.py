from __future__ import annotations

import json
from pathlib import Path

import pytest

from iac_wrapper.adapters import image_builder
from iac_wrapper.adapters.image_builder import ImageBuilds
from iac_wrapper.errors import CommandError
from iac_wrapper.model.build_failure import BuildFailure
from iac_wrapper.model.redact import Redactor

_DOCKER = """#!/bin/sh
# A docker CLI that "builds": the context's file `log` is its output, `code` its exit code.
for last; do :; done
cat "$last/log"
exit "$(cat "$last/code")"
"""


def _image(folder: Path, name: str, *, log: str, code: int) -> dict[str, object]:
    context = folder / name
    context.mkdir()
    (context / "log").write_text(log)
    (context / "code").write_text(str(code))
    build = {"context": str(context), "dockerfile": "Dockerfile", "label": {"b": "2", "a": "1"}}
    return {"name": f"iac/{name}:1", "build": build}


@pytest.fixture
def docker(tmp_path: Path) -> str:
    path = tmp_path / "docker"
    path.write_text(_DOCKER)
    path.chmod(0o755)
    return str(path)


def test_only_wanted_images_of_services_are_taken(tmp_path: Path) -> None:
    """The sidecar image has no build block; images the plan does not touch are left alone, and
    those that somebody added are Terraform's to build."""
    build: dict[str, object] = {"build": {"label": {"org.karstkit.service": "a"}}}
    own: list[dict[str, object]] = [{"build": {"context": "x"}}, {"build": [{"context": "x"}]}]
    images = {"a_image": build, "b_image": build, "iac_sidecar": {}, "x": own[0], "y": own[1]}
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"resource": {"docker_image": images}}))
    wanted = [f"docker_image.{name}" for name in ("a_image", "iac_sidecar", "x", "y")]
    assert image_builder.blocks(tmp_path, [*wanted, "docker_container.b_image"]) == [build]


def test_stages_are_shown_and_everything_is_logged(tmp_path: Path, docker: str) -> None:
    """The terminal gets the steps; the file gets every line."""
    log = "#1 [internal] load\n#5 [2/3] RUN uv\n#5 0.1 noise\n"
    steps: list[tuple[str, str]] = []
    image = _image(tmp_path, "web", log=log, code=0)
    ImageBuilds(docker, tmp_path / "log", Redactor()).run([image], lambda *step: steps.append(step))
    assert steps == [("iac/web:1", "[2/3] RUN uv")]
    assert (tmp_path / "log" / "iac_web_1.log").read_text() == log


def test_every_failed_build_is_named_with_its_last_words(tmp_path: Path, docker: str) -> None:
    """Two of three fail: both are in the error, the good one is not."""
    images = [
        _image(tmp_path, "good", log="fine\n", code=0),
        _image(tmp_path, "bad", log="x\nno such package\n", code=1),
        _image(tmp_path, "worse", log="syntax error\n", code=2),
    ]
    builds = ImageBuilds(docker, tmp_path / "log", Redactor(["package"]))
    with pytest.raises(CommandError, match="iac/bad:1, iac/worse:1 failed") as caught:
        builds.run(images, print)
    detail = caught.value.detail or ""
    assert "no such [redacted]" in detail
    assert "syntax error" in detail
    assert "good" not in detail


def test_the_reason_of_a_failure_takes_the_place_of_the_log(tmp_path: Path, docker: str) -> None:
    """One that is understood is said in the error itself; of several, each in its own lines."""
    known = BuildFailure("there is no such version", "no flask==99", "write another version")
    builds = ImageBuilds(docker, tmp_path / "log", Redactor(), explain=lambda _: known)
    bad = _image(tmp_path, "bad", log="a long log\n", code=1)
    with pytest.raises(CommandError, match="iac/bad:1 failed: there is no such version") as caught:
        builds.run([bad], print)
    assert (caught.value.found, caught.value.next_step) == (known.line, known.next_step)
    assert "a long log" not in (caught.value.detail or "")
    worse = _image(tmp_path, "worse", log="", code=1)
    with pytest.raises(CommandError, match="iac/bad:1, iac/worse:1 failed") as caught:
        builds.run([bad, worse], print)
    assert (caught.value.detail or "").count("next: write another version") == 2
    assert caught.value.next_step == known.next_step


def test_no_more_are_built_at_once_than_asked_for(tmp_path: Path, docker: str) -> None:
    """The next begins when one has ended."""
    images = [_image(tmp_path, f"app{n}", log="#1 [1/1] RUN x\n", code=0) for n in range(4)]
    Path(docker).write_text(
        f"#!/bin/sh\necho + >> {tmp_path}/order\nsleep 0.2\necho - >> {tmp_path}/order\n"
    )
    ImageBuilds(docker, tmp_path / "log", Redactor(), at_once=1).run(images, print)
    assert (tmp_path / "order").read_text().split() == ["+", "-"] * 4
    (tmp_path / "order").unlink()
    ImageBuilds(docker, tmp_path / "log", Redactor(), at_once=4).run(images, print)
    assert (tmp_path / "order").read_text().split() == ["+"] * 4 + ["-"] * 4


def test_only_the_failing_step_is_shown() -> None:
    """Out of BuildKit's plain progress: what the step printed, without its command."""
    log = (
        "#5 [1/2] FROM base\n#6 [2/2] RUN uv pip install\n#6 0.100 Resolving\n"
        "#6 0.812   x No solution found\n#6 ERROR: process failed\n------\n > [2/2] RUN\n"
    )
    assert image_builder.failing_step(log.splitlines()) == ["Resolving", "  x No solution found"]
    silent = "#6 [2/2] RUN false\n#6 ERROR: exit code: 1\n"
    assert image_builder.failing_step(silent.splitlines()) == [
        "[2/2] RUN false",
        "ERROR: exit code: 1",
    ]
    assert image_builder.failing_step(["no such file"]) == ["no such file"]
