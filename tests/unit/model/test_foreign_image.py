"""Images that are not ours: their names, whom they run as, and what they may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.foreign_image import ForeignImage, values_by_path, values_by_shell
from iac_wrapper.model.image_reference import check_reference, repository
from iac_wrapper.model.image_user import UserDatabase
from iac_wrapper.model.slug import Slug

DIGEST = "sha256:" + "ab" * 32
USERS = UserDatabase(
    "root:x:0:0:root:/root:/bin/sh\npostgres:x:999:998::/:\n# a comment\n",
    "root:x:0:\npostgres:x:998:\nssl:x:101:postgres\n",
)
IMAGE = ForeignImage("postgres@" + DIGEST, 0, 0, "root", volumes=("/data",))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("postgres", "postgres"),
        ("postgres:16", "postgres"),
        ("library/redis:7-alpine", "library/redis"),
        ("localhost:5000/a/b", "localhost:5000/a/b"),
        (f"ghcr.io/o/x:v1@{DIGEST}", "ghcr.io/o/x"),
        ("a__b/c--d.e", "a__b/c--d.e"),
    ],
)
def test_names_of_images(text: str, name: str) -> None:
    """As the OCI has them; the repository is what is left without tag and digest."""
    assert repository(check_reference(text)) == name
    assert Slug.parse(f"image:{text}").location == text


@pytest.mark.parametrize(
    "text", ["", "A", "a:b:c", "a@sha256:12", "/a", "a/", "https://a/b", "a b", "a#b", "-a", "a:-"]
)
def test_what_is_no_name(text: str) -> None:
    """`docker pull` would refuse it as well."""
    with pytest.raises(ConfigError, match="bad name of an image"):
        check_reference(text)


@pytest.mark.parametrize(
    ("image", "service"), [("postgres:16", "postgres"), (f"r:5000/o/My_x@{DIGEST}".lower(), "my-x")]
)
def test_a_service_is_called_as_its_image(image: str, service: str) -> None:
    assert Slug.parse(f"image:{image}").label == service


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres", (999, 998)),
        ("999", (999, 998)),
        ("postgres:ssl", (999, 101)),
        ("postgres:7", (999, 7)),
        ("1234", (1234, 0)),
        ("1234:1235", (1234, 1235)),
        ("root", (0, 0)),
    ],
)
def test_users_are_resolved_as_docker_does(text: str, expected: tuple[int, int]) -> None:
    """A uid that the image does not know has group 0."""
    assert USERS.resolve(text) == expected


@pytest.mark.parametrize(("text", "kind"), [("mysql", "user mysql"), ("postgres:web", "group web")])
def test_a_user_that_the_image_lacks(text: str, kind: str) -> None:
    with pytest.raises(ConfigError, match=f"the image has no {kind}") as caught:
        USERS.resolve(text)
    assert "postgres" in (caught.value.found or "")
    with pytest.raises(ConfigError, match="without a database of users"):
        UserDatabase().resolve("postgres")


def test_root_has_five_capabilities_unless_the_entry_says_which() -> None:
    """They are said, with the way out of them."""
    five = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID")
    assert IMAGE.capabilities(None) == five
    assert IMAGE.capabilities("") == ()
    assert IMAGE.capabilities("KILL CHOWN") == ("CAP_CHOWN", "CAP_KILL")
    (said,) = IMAGE.privileges(None)
    assert "starts as root, with CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID;" in said
    user = replace(IMAGE, uid=999)
    assert user.capabilities(None) == ()
    assert list(user.privileges(None)) == []
    assert list(user.privileges("KILL")) == ["it keeps the capabilities KILL"]


def test_data_without_a_place_of_its_own_is_said() -> None:
    (said,) = IMAGE.lost_data(())
    assert said.startswith("what it writes to /data is lost")
    assert list(IMAGE.lost_data({"/data"})) == []


def test_how_secret_values_reach_it() -> None:
    """As files where the image reads such, else by a shell."""
    env = {"A_FILE": "${A}", "B": "${B}", "C": "plain", "D_FILE": "/etc/d"}
    assert values_by_path(env) == {"A_FILE"}
    assert values_by_shell(env) == {"B"}
