"""docker_image against the recorded engine; builds run a stand-in CLI."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from provider import build, schema
from provider.image import ImageResource
from provider.problems import ProviderError
from provider.resource import ProviderContext
from provider.values import UNKNOWN, settle
from tests.support.embedded_provider import planned
from tests.unit.provider.conftest import StandIn, recorded
from tests.unit.provider.test_container_checks import conform
from tests.unit.provider.test_network import official, sample

FOUND = recorded("docker_image.svc_a_image")
NAME = "karstkit/svc-a:0123456789ab"
PATH = f"/images/{NAME}/json"
BLOCK = schema.load_schemas().resources["docker_image"].block


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker CLI that writes its arguments down."""
    script = tmp_path / "docker"
    script.write_text(
        "#!/bin/sh\n"
        'if [ "$2" = --help ]; then echo "  --secret stringArray"; exit 0; fi\n'
        f'echo "$DOCKER_BUILDKIT $DOCKER_HOST" > {tmp_path}/env; echo "$@" >> {tmp_path}/argv\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("KARSTKIT_DOCKER_CLI", str(script))
    monkeypatch.setenv("KARSTKIT_LOG_DIR", str(tmp_path / "logs"))
    return tmp_path


def test_built_state_is_the_official_one(
    context: ProviderContext, stand_in: StandIn, cli: Path
) -> None:
    """Built with BuildKit, tagged, read; every attribute of the sample but the image's id."""
    stand_in.answer(f"GET {PATH}", FOUND)
    made = ImageResource().create(context, sample("docker_image", "svc_a_image"))
    state, wanted = settle(BLOCK, made), official("docker_image")
    assert state.pop("id") == FOUND["Id"] + NAME
    assert state.pop("image_id") == FOUND["Id"]
    assert state == {k: v for k, v in wanted.items() if k not in {"id", "image_id"}}
    assert f"--tag {NAME} --file /example/src/svc-a/Dockerfile" in (cli / "argv").read_text()
    assert (cli / "env").read_text().startswith("1 unix://")


@pytest.mark.parametrize(("key", "builds"), [(NAME, 0), ("0123456789ab", 0), ("other", 1), ("", 1)])
def test_an_image_made_for_its_tag_is_not_built_again(
    context: ProviderContext, stand_in: StandIn, cli: Path, key: str, builds: int
) -> None:
    """Only when it says so itself: its label carries the tag."""
    found = {**FOUND, "Config": {**FOUND["Config"], "Labels": {"org.karstkit.image-key": key}}}
    stand_in.answer(f"GET {PATH}", found)
    ImageResource().create(context, sample("docker_image", "svc_a_image"))
    assert (cli / "argv").exists() is bool(builds)


def test_without_triggers_it_is_always_built(
    context: ProviderContext, stand_in: StandIn, cli: Path
) -> None:
    """No triggers: nobody promised that the tag stands for the content."""
    found = {**FOUND, "Config": {**FOUND["Config"], "Labels": {"org.karstkit.image-key": NAME}}}
    stand_in.answer(f"GET {PATH}", found)
    ImageResource().create(context, {**sample("docker_image", "svc_a_image"), "triggers": None})
    assert (cli / "argv").exists()


def test_a_local_image_is_not_pulled(context: ProviderContext, stand_in: StandIn) -> None:
    """One call; with the digest of its repository."""
    digests = [f"other@sha256:{'0' * 64}", f"karstkit/svc-a@sha256:{'1' * 64}"]
    stand_in.answer(f"GET {PATH}", {**FOUND, "RepoDigests": digests})
    state = ImageResource().create(context, planned("docker_image", name=NAME))
    assert state["repo_digest"] == digests[1]
    assert [call for call, _, _ in stand_in.calls] == [f"GET {PATH}"]


def test_a_missing_image_is_pulled(context: ProviderContext, stand_in: StandIn) -> None:
    """With repository and tag; a failed pull names the image."""
    stand_in.answer("POST /images/create", b'{"status":"x"}\n{"status":"done"}\n')
    with pytest.raises(ProviderError, match="not there after all"):
        ImageResource().create(context, planned("docker_image", name="r.example:5/a/b:1"))
    query = next(query for call, query, _ in stand_in.calls if call.startswith("POST"))
    assert query == "fromImage=r.example%3A5%2Fa%2Fb&tag=1"
    stand_in.answer("POST /images/create", b'{"error":"manifest unknown"}\n')
    with pytest.raises(ProviderError, match=r"'a:1' .* cannot be pulled: manifest unknown"):
        ImageResource().create(context, planned("docker_image", name="a:1"))


def test_another_platform_is_pulled(context: ProviderContext, stand_in: StandIn) -> None:
    """The local image must be of the platform that was asked for."""
    stand_in.answer(f"GET {PATH}", FOUND)
    stand_in.answer("POST /images/create", b'{"status":"x"}\n')
    ImageResource().create(context, planned("docker_image", name=NAME, platform="linux/amd64"))
    assert len(stand_in.calls) == 1
    ImageResource().create(context, planned("docker_image", name=NAME, platform="linux/arm64/v8"))
    assert "platform=linux%2Farm64%2Fv8" in stand_in.calls[2][1]


def test_a_stop_ends_a_pull(context: ProviderContext, stand_in: StandIn) -> None:
    """Between two messages of the engine."""
    stand_in.answer("POST /images/create", b'{"status":"x"}\n')
    context.stop.set()
    with pytest.raises(ProviderError, match="was stopped"):
        ImageResource().create(context, planned("docker_image", name="a"))


def test_delete(context: ProviderContext, stand_in: StandIn) -> None:
    """Kept if so configured; gone already is a success; in use names the containers."""
    state = {**official("docker_image"), "keep_locally": False, "image_id": "sha256:1"}
    ImageResource().delete(context, {**state, "keep_locally": True})
    assert stand_in.calls == []
    ImageResource().delete(context, state)
    delete = f"DELETE /images/{NAME}"
    assert stand_in.calls[0][:2] == (delete, "force=false")
    stand_in.answer(delete, {"message": "conflict: container 0123 is using it"}, 409)
    stand_in.answer("GET /containers/json", [{"Names": ["/web"]}])
    with pytest.raises(ProviderError, match="still used by web"):
        ImageResource().delete(context, state)
    stand_in.answer("GET /containers/json", [])
    with pytest.raises(ProviderError, match="container 0123 is using it"):
        ImageResource().delete(context, state)
    stand_in.answer(delete, {"message": "boom"}, 500)
    with pytest.raises(Exception, match="boom"):
        ImageResource().delete(context, state)


def test_import_by_name_or_by_the_states_id(context: ProviderContext, stand_in: StandIn) -> None:
    """The official state's id is image id and name in one."""
    stand_in.answer(f"GET {PATH}", FOUND)
    assert ImageResource().adopt(context, NAME)["image_id"] == FOUND["Id"]
    assert ImageResource().adopt(context, FOUND["Id"] + NAME)["name"] == NAME
    with pytest.raises(ProviderError, match="no image 'x'"):
        ImageResource().adopt(context, "x")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"build": [{"context": "c", "remote_context": "r"}]}, ("build", "remote_context")),
        (
            {"build": [{"context": "c", "auth_config": [{"host_name": "h"}]}]},
            ("build", "auth_config"),
        ),
        ({"build": [{"context": "c", "remove": False}]}, ("build", "remove")),
        ({"build": [{"context": "c", "version": "1"}]}, ("build", "version")),
        ({"build": [{"context": "c", "secrets": [{"id": "s"}]}]}, ("build", "secrets")),
        ({"timeouts": {"create": "soon"}}, ("timeouts", "create")),
        ({"timeouts": {"delete": "1m"}}, ("timeouts", "delete")),
    ],
)
def test_refused_with_the_attributes_path(config: dict[str, Any], path: tuple[str, ...]) -> None:
    """What the classic builder had and BuildKit has not."""
    whole = conform(BLOCK, {"name": "x", **config})
    assert [problem.path for problem in ImageResource().validate(whole)] == [path]


def test_what_is_implemented_passes() -> None:
    """Also the one version BuildKit has, and unknowns."""
    good = {
        "context": "c",
        "version": "2",
        "remove": True,
        "secrets": [{"id": "s", "src": UNKNOWN}, UNKNOWN],
    }
    times = {"create": "5m", "update": None, "delete": None}
    whole = conform(BLOCK, {"name": "x", "build": [good], "timeouts": times})
    assert ImageResource().validate(whole) == []
    assert ImageResource().validate({**whole, "build": [UNKNOWN]}) == []


def test_timeout_of_a_build(context: ProviderContext, cli: Path) -> None:
    """`timeouts.create` bounds it."""
    script = (cli / "docker").read_text()
    (cli / "docker").write_text(script + "exec sleep 60\n")
    build.find_cli.cache_clear()
    values = planned("docker_image", name="x", build=[{"context": "c"}])
    with pytest.raises(ProviderError, match=re.escape("did not end within 0.1 s")):
        ImageResource().create(context, {**values, "timeouts": {"create": "100ms"}})
