"""`image:` and `build:` in repos.yaml, and the keys that only images have."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.app import AppSpec


def _read(text: str) -> list[AppSpec]:
    return repos_file.parse_entries(text, Path("repos.yaml"))


def test_an_image_is_an_entry() -> None:
    """It is called as the last part of its name; lists and lines of words mean the same."""
    one, two = _read(
        "- image: docker.io/library/postgres:16\n"
        '  command: [postgres, -c, "shared_buffers=1 GB", 7]\n'
        "  capabilities: [cap_chown, KILL, chown]\n"
        "  writable: true\n"
        "  user: 999\n"
        "- image: redis\n"
        "  name: cache\n"
        "  command: redis-server --save ''\n"
        "  capabilities: []\n"
    )
    assert (one.name, one.slug.kind, one.slug.location) == (
        "postgres",
        "image",
        "docker.io/library/postgres:16",
    )
    assert one.is_image
    assert one.options.command == "postgres -c 'shared_buffers=1 GB' 7"
    assert (one.options.capabilities, one.options.writable) == ("CHOWN KILL", True)
    assert one.options.user == "999"
    assert (two.name, two.options.capabilities) == ("cache", "")


def test_a_dockerfile_of_the_repository() -> None:
    """By its usual name, or by a path; the keys of images mean something then."""
    plain, other = _read(
        "- {slug: ./a, build: dockerfile, user: web}\n"
        "- {slug: ./b, build: docker/Prod.Dockerfile}\n"
    )
    assert (plain.dockerfile, other.dockerfile) == ("Dockerfile", "docker/Prod.Dockerfile")
    assert not plain.is_image


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("- slug: gh:o/r\n  image: redis\n", 2, "a slug or an image, not both"),
        ("- image: redis\n  subdir: x\n", 2, "subdir belongs to a repository"),
        ("- image: redis\n  build: dockerfile\n", 2, "build belongs to a repository"),
        ("- image: redis\n  dependencies: x\n", 2, "dependencies belongs to a repository"),
        (
            "- slug: gh:o/r\n  dependencies: x\n  build: dockerfile\n",
            2,
            "a Dockerfile says itself what is installed",
        ),
        ("- image: Redis\n", 1, "bad name of an image"),
        ("- image: redis\n  capabilities: [NET_ADMIN]\n", 2, "these capabilities cannot be had"),
        ('- image: redis\n  command: "it\'s"\n', 2, "a quote of this command does not end"),
        ("- image: redis\n  command: []\n", 2, "bad value of command"),
        ("- image: redis\n  writable: maybe\n", 2, "bad value of writable"),
        ("- image: redis\n  user: a b\n", 2, "bad value of user"),
        ("- slug: gh:o/r\n  command: x\n", 2, "`command` has a meaning for images only"),
        ("- slug: gh:o/r\n  user: x\n", 2, "`user` has a meaning for images only"),
        ("- slug: gh:o/r\n  build: ../Dockerfile\n", 2, "bad value of build"),
        ("defaults: {user: x}\napps: [gh:o/r]\n", 1, "user cannot be a default"),
    ],
)
def test_what_does_not_go_together(text: str, line: int, message: str) -> None:
    """Each error has its line and a way on."""
    with pytest.raises(ConfigError, match=message) as caught:
        _read(text)
    assert caught.value.where == f"repos.yaml:{line}"
    assert caught.value.next_step


def test_a_secret_in_a_command_is_refused_and_not_repeated() -> None:
    """The file is meant to be committed."""
    token = "ghp_" + "a1B2" * 9
    with pytest.raises(ConfigError, match="key, token or password") as caught:
        _read(f"- image: redis\n  command: serve --token {token}\n")
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "there", "slug", "kept"),
    [
        ("slug: gh:o/db, subdir: x, entrypoint: a", "image: pg:16", "image:pg:16", (None, None)),
        ("image: pg:16, command: a b, user: c", "slug: gh:o/x", "gh:o/x", (None, None)),
        ("slug: gh:o/x, build: dockerfile", "slug: gh:o/y", "gh:o/y", ("Dockerfile", None)),
        ("image: pg:16, entrypoint: a", "image: pg:17", "image:pg:17", (None, "a")),
    ],
)
def test_another_source_takes_the_place_of_what_belongs_to_the_first(
    tmp_path: Path, entry: str, there: str, slug: str, kept: tuple[str | None, str | None]
) -> None:
    """An image in one environment, the repository in another."""
    path = tmp_path / "repos.yaml"
    path.write_text(
        f"apps: [{{name: it, {entry}, memory: 64m}}]\n"
        f"environments: {{test: {{services: {{it: {{{there}}}}}}}}}\n"
    )
    (spec,) = repos_file.load_entries(path, environment="test")
    assert (spec.slug.text, spec.options.memory_mb) == (slug, 64)
    assert (spec.dockerfile, spec.entrypoint) == kept
    assert (spec.options.command, spec.options.user) == (None, None)
