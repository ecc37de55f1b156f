from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.repos_file import from_entries
from iac_wrapper.model.limits import MAX_ENTRIES


def test_entries_are_what_they_are_in_a_file(tmp_path: Path) -> None:
    """Texts and mappings; numbers may be numbers; places are JSON pointers."""
    app = {"slug": "gh:a/b#v1", "subdir": "x", "name": "web", "port": 8080, "env": {"N": 1}}
    specs = from_entries(["./svc", app], base_dir=tmp_path)
    assert [spec.where for spec in specs] == ["/apps/0", "/apps/1"]
    assert [spec.name for spec in specs] == ["svc", "web"]
    assert specs[1].slug.text == "gh:a/b#v1:x"
    assert (specs[1].port, specs[1].env) == (8080, {"N": "1"})


@pytest.mark.parametrize(
    "value",
    ["ü", "😀", 'a "quoted" \\ud83d', "two\nlines\ttab", "a\u2028b\x85c", "\x7f\ufeff", "# no", ""],
)
def test_values_arrive_as_they_were_sent(value: str) -> None:
    """JSON knows characters that YAML folds, splits or refuses."""
    spec = from_entries([{"slug": "gh:a/b", "env": {"A": value}}])[0]
    assert spec.env == {"A": value}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (None, "bad value of slug"),
        ([], "bad value of slug"),
        (True, "not a slug"),
        ({}, "an app without slug"),
        ({"slug": "gh:a/b", "prot": 1}, "unknown key"),
        ({"slug": "gh:a/b", "env": []}, "env is not a mapping"),
        ({"slug": "gh:a/b", "env": {"A": None}}, "bad value of A"),
        ({"slug": "gh:a/b", "env": {"A": "\ud800"}}, "bad value of A"),
        ({"slug": "gh:a/b", "env": {"A" * 2000: "1"}}, "not valid JSON"),
        ({"slug": "./x", "name": "X"}, "bad service name"),
        ("gh:a", "bad repository name"),
    ],
)
def test_a_bad_entry_is_pointed_at(entry: object, message: str) -> None:
    """Whatever is wrong in it, `where` is its place in the list, without a line."""
    with pytest.raises(ConfigError, match=message) as caught:
        from_entries(["gh:a/ok", entry], at="/slugs")
    assert caught.value.where == "/slugs/1"
    assert caught.value.next_step
    assert ":1" not in caught.value.next_step


def test_two_of_one_name_are_both_pointed_at() -> None:
    """As in a file."""
    with pytest.raises(ConfigError, match="two services") as caught:
        from_entries(["gh:a/x", "gh:b/y", {"slug": "gh:c/z", "name": "x"}])
    assert caught.value.where == "/apps/2"
    assert "at /apps/0" in (caught.value.found or "")


def test_none_and_too_many_are_refused() -> None:
    """The bounds of a file hold here too; so does a bound on depth."""
    with pytest.raises(ConfigError, match="no apps"):
        from_entries([])
    with pytest.raises(ConfigError, match="too many"):
        from_entries(["gh:a/b"] * (MAX_ENTRIES + 1))
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ConfigError, match="too deep") as caught:
        from_entries([deep])
    assert caught.value.where == "/apps/0"
