"""The Python base: recorded, pulled, or built from Debian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import base_image, debian
from iac_wrapper.errors import CommandError, ConfigError
from tests.unit.bootstrap.conftest import DEBIAN_ROOT, Rig

OWN = "iac/python:3.11-slim"
PINNED = "python:3.11-slim@sha256:d1"


def docker(rig: Rig) -> Path:
    return rig.tools / "docker"


def with_mmdebstrap(rig: Rig) -> None:
    rig.tool("mmdebstrap", f"#!/bin/sh\necho run >> {rig.root}/mm\n[ ! -e {rig.root}/fail ]\n")


def test_a_registry_gives_the_official_image_by_digest(rig: Rig) -> None:
    rig.flag("registry")
    assert base_image.ensure(rig.context, docker(rig), "3.11", None).reference == PINNED


def test_without_a_registry_the_base_is_built_once(rig: Rig) -> None:
    with_mmdebstrap(rig)
    first = base_image.ensure(rig.context, docker(rig), "3.11", None)
    second = base_image.ensure(rig.context, docker(rig), "3.11", first.reference)
    assert (first.reference, second) == (OWN, first)
    assert (rig.root / "mm").read_text() == "run\n"


def test_a_foreign_image_of_our_name_is_built_over(rig: Rig) -> None:
    """Only the label tells: somebody may have made that tag by hand."""
    with_mmdebstrap(rig)
    base_image.ensure(rig.context, docker(rig), "3.11", None)
    stored = next(rig.engine.glob("iac_python*"))
    stored.write_text(stored.read_text().replace(debian.recipe_hash("3.11"), "older"))
    base_image.ensure(rig.context, docker(rig), "3.11", OWN)
    assert (rig.root / "mm").read_text() == "run\nrun\n"


def test_a_recorded_choice_stays_when_a_registry_appears(rig: Rig) -> None:
    with_mmdebstrap(rig)
    base_image.ensure(rig.context, docker(rig), "3.11", None)
    rig.flag("registry")
    assert base_image.ensure(rig.context, docker(rig), "3.11", OWN).reference == OWN


@pytest.mark.parametrize(
    ("recorded", "mode", "current"),
    [
        (OWN, "auto", True),
        (PINNED, "auto", True),
        (OWN, "debian", True),
        (OWN, "registry", False),
        (PINNED, "registry", True),
        (PINNED, "debian", False),
    ],
)
def test_a_setting_overrules_the_record(recorded: str, mode: str, current: bool) -> None:
    assert base_image.is_current(recorded, mode, "3.11") is current


def test_registry_only_does_not_build(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(IAC_BASE_IMAGES="registry")
    with pytest.raises(ConfigError, match="cannot pull python"):
        base_image.ensure(rig.context, docker(rig), "3.11", None)


def test_debian_only_does_not_pull(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(IAC_BASE_IMAGES="debian")
    rig.flag("registry")
    with_mmdebstrap(rig)
    assert base_image.ensure(rig.context, docker(rig), "3.11", None).reference == OWN


def test_mmdebstrap_is_installed_where_that_is_allowed(rig: Rig) -> None:
    made = rig.tools / "mmdebstrap"
    install = f'echo "#!/bin/sh" > {made} && /bin/chmod 755 {made}'
    rig.tool("apt-get", f'#!/bin/sh\n[ "$1" != install ] || {{ {install}; }}\n')
    assert base_image.ensure(rig.context, docker(rig), "3.11", None).reference == OWN


@pytest.mark.parametrize(
    ("apt", "advice"), [(True, "sudo apt-get install mmdebstrap"), (False, "docker load")]
)
def test_a_machine_with_neither_is_told_what_to_do(
    make_rig: Callable[..., Rig], apt: bool, advice: str
) -> None:
    rig = make_rig(replace(DEBIAN_ROOT, root=False, apt=apt))
    with pytest.raises(ConfigError) as caught:
        base_image.ensure(rig.context, docker(rig), "3.11", None)
    assert advice in str(caught.value.next_step)


def test_a_failed_build_names_its_log(rig: Rig) -> None:
    with_mmdebstrap(rig)
    (rig.root / "fail").touch()
    with pytest.raises(CommandError, match="mmdebstrap failed") as caught:
        base_image.ensure(rig.context, docker(rig), "3.11", None)
    assert str(caught.value.where).endswith("build-iac-python-3.11-slim.log")


def test_other_distributions_use_debians_default_mirror() -> None:
    ubuntu = replace(DEBIAN_ROOT, distribution="ubuntu", codename="noble")
    assert base_image.sources(ubuntu, "3.11") == []
