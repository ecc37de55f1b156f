from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from iac_wrapper.adapters import state
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files import lock_file
from iac_wrapper.model.lock import LockFile


def test_the_applied_lock_comes_from_the_state(tmp_path: Path) -> None:
    """The output `lock` is the lock that was applied."""
    lock = LockFile("demo", "iacnet-demo", "172.21.0.0/24", 15444, ())
    path = tmp_path / "terraform.tfstate"
    path.write_text(json.dumps({"outputs": {"lock": {"value": lock_file.dump(lock)}}}))
    assert state.applied_lock(path) == lock


def test_no_state_or_an_empty_one_means_nothing_applied(tmp_path: Path) -> None:
    """A missing file and a destroyed state both say: nothing."""
    path = tmp_path / "terraform.tfstate"
    assert state.applied_lock(path) is None
    assert state.resource_ids(path) == set()
    path.write_text('{"outputs": {}, "resources": []}')
    assert state.applied_lock(path) is None


def test_resource_ids_are_collected(tmp_path: Path) -> None:
    """Every instance with an id counts; data without one does not."""
    path = tmp_path / "s"
    resources = [
        {"instances": [{"attributes": {"id": "a"}}, {"attributes": {"id": "b"}}]},
        {"instances": [{"attributes": {}}]},
    ]
    path.write_text(json.dumps({"resources": resources}))
    assert state.resource_ids(path) == {"a", "b"}


def test_bodies_are_the_attributes_of_a_kind(tmp_path: Path) -> None:
    """What somebody only looks at (data) is not there, nor are other kinds."""
    path = tmp_path / "s"
    one = {"mode": "managed", "type": "docker_container", "instances": [{"attributes": {"id": 1}}]}
    others = [{**one, "mode": "data"}, {**one, "type": "docker_image"}]
    path.write_text(json.dumps({"resources": [one, *others]}))
    assert state.bodies(path, "docker_container") == [{"id": 1}]
    assert state.bodies(tmp_path / "none", "docker_container") == []


def test_what_is_no_part_of_the_project_is_told_by_labels(tmp_path: Path) -> None:
    """Services, network and images are; what lacks our labels somebody added. Data are nobody's."""

    def resource(address: str, body: dict[str, object], mode: str = "managed") -> dict[str, object]:
        kind, name = address.split(".")
        return {"mode": mode, "type": kind, "name": name, "instances": [{"attributes": body}]}

    labels = [{"label": "org.karstkit.service", "value": "web"}]
    resources = [
        resource("docker_container.web", {"labels": labels}),
        resource("docker_image.web", {"name": "iac/demo-web:1", "labels": None}),
        resource("docker_image.db", {"name": "postgres:16"}),
        resource("docker_network.extra", {"labels": [{"label": "a", "value": "b"}]}),
        resource("terraform_data.x", {"id": "1"}),
        resource("docker_network.seen", {}, mode="data"),
        {**resource("docker_volume.v", {}), "module": "module.m"},
    ]
    path = tmp_path / "s"
    path.write_text(json.dumps({"resources": resources}))
    assert state.others(path) == (
        "docker_image.db",
        "docker_network.extra",
        "terraform_data.x",
        "module.m.docker_volume.v",
    )


def test_a_broken_state_is_a_config_error(tmp_path: Path) -> None:
    """Half a file names the backup."""
    path = tmp_path / "terraform.tfstate"
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot read Terraform's state") as caught:
        state.applied_lock(path)
    assert "terraform.tfstate.backup" in (caught.value.next_step or "")


def test_a_state_that_would_not_fit_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terraform would cut it off (measured with a full tmpfs)."""
    path = tmp_path / "terraform.tfstate"
    state.need_room(path)
    path.write_bytes(b"x" * 2**20)
    usage = shutil.disk_usage(tmp_path)._replace(free=2 * 2**20 + state.ROOM_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    state.need_room(path)
    path.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(IacError, match="11 MiB; nothing was changed") as caught:
        state.need_room(path)
    assert (caught.value.where, caught.value.found) == (str(tmp_path), "10 MiB are free")
