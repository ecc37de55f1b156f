"""`allow:` of repos files: what it means, where it comes from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files import repos_file
from iac_wrapper.model.app import AppSpec


def read(text: str) -> dict[str, AppSpec]:
    return {spec.name: spec for spec in repos_file.parse_entries(text, Path("repos.yaml"))}


def test_names_stand_alone_or_with_rules() -> None:
    """A rule that is written twice counts once; nobody is a list, too."""
    text = "- slug: gh:a/api\n  allow: [web, {job: [/api/*, /api/*, 'tcp:5432']}]\n"
    found = read(text + "- gh:a/web\n- {slug: gh:a/job, allow: []}\n")
    assert found["api"].options.allow == {"web": (), "job": ("/api/*", "tcp:5432")}
    assert found["job"].options.allow == {}
    assert found["web"].options.allow is None


def test_a_default_and_an_environment_say_it_for_services(tmp_path: Path) -> None:
    """A stronger list takes the place of a weaker one."""
    text = """
defaults: {allow: []}
apps: [gh:a/web, {slug: gh:a/db, allow: [web]}]
environments:
  staging: {services: {db: {allow: [{web: [/]}]}}}
"""
    path = tmp_path / "repos.yaml"
    path.write_text(text)

    web, db = repos_file.load_entries(path, environment="staging")

    assert (web.options.allow, db.options.allow) == ({}, {"web": ("/",)})


def test_a_process_has_the_list_of_its_entry() -> None:
    """What nobody may call opens no second door; the process may say another list."""
    text = "- slug: gh:a/shop\n  allow: []\n  processes:\n    one: x y\n"
    found = read(text + "    two: {command: x y, allow: [shop]}\n")
    assert [found[name].options.allow for name in ("shop", "shop-one", "shop-two")] == [
        {},
        {},
        {"shop": ()},
    ]


@pytest.mark.parametrize(
    ("allow", "message"),
    [
        ("[web, {web: [/a]}]", "allow names web twice"),
        ("[wep]", "api allows wep, and there is no such service"),
        ("[ingress]", "this service name is reserved"),
        ("[{web: [/a, b]}]", "bad value of allow"),
    ],
)
def test_a_refusal_names_its_line(allow: str, message: str) -> None:
    """And says what is expected there."""
    with pytest.raises(ConfigError) as caught:
        read(f"- slug: gh:a/api\n  allow: {allow}\n- gh:a/web\n")
    assert caught.value.message == message
    assert caught.value.where == "repos.yaml:2"
    assert caught.value.expected
