"""Saved plans as files: who may read them, and what is taken for one."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import plan_file
from iac_wrapper.model.saved_plan import PlanRequest, SavedPlan, moved

PLAN = SavedPlan(
    "demo",
    "0.1.0",
    PlanRequest(("/home/ann/my shop/repos.yaml",), (), "/home/ann"),
    "{}\n",
    {
        ("list", "/home/ann/my shop/repos.yaml"): "1",
        ("value", "TOKEN of web"): "2",
        ("tool", ""): "3",
    },
    "4",
    {"services": []},
)


def _key(folder: Path) -> bytes:
    return plan_file.key(folder / "plan.key")


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    """By its owner alone, with a key that is made once."""
    path = tmp_path / "plan.json"
    name = plan_file.save(PLAN, path, _key(tmp_path))
    assert plan_file.load(path, _key(tmp_path)) == (PLAN, name)
    for each in (path, tmp_path / "plan.key"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "it is none"),
        ("[1]", "it is none"),
        ('{"form": "karstkit-plan", "v": 2}', "version 2"),
        ('{"form": "karstkit-plan", "v": 1}', "its seal does not fit"),
        ('{"form": "karstkit-plan", "v": 1, "seal": 7}', "its seal does not fit"),
        ("\udcff", "it is none"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str, found: str) -> None:
    """With what it is, and how to make one."""
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError) as caught:
        plan_file.load(path, _key(tmp_path))
    assert caught.value.found == found
    assert "iac plan --out" in str(caught.value.next_step)


def test_an_edited_plan_and_one_of_another_folder_are_refused(tmp_path: Path) -> None:
    """The seal tells; so nothing in a plan is done that nobody planned."""
    path, key = tmp_path / "plan.json", _key(tmp_path)
    plan_file.save(PLAN, path, key)
    text = path.read_text()
    path.write_text(text.replace("/home/ann", "/home/bob"))
    with pytest.raises(ConfigError, match="seal"):
        plan_file.load(path, key)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ConfigError, match="it is none"):
        plan_file.load(path, key)
    path.write_text(text)
    with pytest.raises(ConfigError, match="seal"):
        plan_file.load(path, _key(tmp_path / "other"))
    with pytest.raises(ConfigError, match="cannot read"):
        plan_file.load(tmp_path / "none", key)


def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    """A plan may be; a list may not, nor is a folder made."""
    path = tmp_path / "plan.json"
    plan_file.check_place(path)
    plan_file.save(PLAN, path, _key(tmp_path))
    plan_file.check_place(path)
    path.write_text(json.dumps(["gh:a/b"]))
    with pytest.raises(ConfigError, match="overwrite"):
        plan_file.check_place(path)
    with pytest.raises(ConfigError, match="no such folder"):
        plan_file.check_place(tmp_path / "none" / "plan.json")


def test_what_moved_is_named() -> None:
    """Each by what a person calls it; what is there only now is no part of the plan."""
    now = {**PLAN.digests, ("image", "iac/demo-web:1"): "5"}
    assert moved(PLAN, now) == []
    assert moved(replace(PLAN, digests=now), PLAN.digests) == ["the image iac/demo-web:1"]
    assert moved(PLAN, {}) == [
        "/home/ann/my shop/repos.yaml",
        "the value of TOKEN of web",
        "iac itself, which was 0.1.0",
    ]
