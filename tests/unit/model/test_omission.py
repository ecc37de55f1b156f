from __future__ import annotations

import os

from iac_wrapper.model.omission import Omission, below, sentences


def test_one_sentence_a_kind() -> None:
    """One path is told in full, of several the number and the first three; sorted by kind."""
    several = [Omission("lfs", f"{name}.bin") for name in "dbcae"]
    assert sentences([*several, Omission("submodule", "libs/x", "https://h.test/x")]) == (
        "5 Git LFS pointers without content: a.bin, b.bin, c.bin and 2 more",
        "the submodule libs/x (https://h.test/x) is not part of the source",
    )
    assert sentences([]) == ()


def test_what_is_called_alike_is_one_group_of_a_sentence() -> None:
    """A path alone is told as it is; more of one name with their number."""
    names = [".env", "app/.env", "b/.env", "c/.env", "lib/m.pyc", "w/node_modules"]
    assert sentences(Omission("own", name) for name in names) == (
        "never part of a local source, left out:"
        " 4 .env (.env, app/.env, b/.env and 1 more), lib/m.pyc, w/node_modules",
    )
    eggs = [Omission("own", "a.egg-info"), Omission("own", "b/b.egg-info")]
    assert sentences(eggs) == (
        "never part of a local source, left out: 2 *.egg-info (a.egg-info, b/b.egg-info)",
    )
    assert sentences([Omission("own", "app/.env"), Omission("empty", "data/in")]) == (
        "the folder data/in is empty, left out as git does",
        "app/.env is never part of a local source, left out",
    )


def test_names_cannot_harm_a_terminal_or_a_file() -> None:
    """Whatever a stranger calls a file: one line of text that UTF-8 can hold."""
    name = os.fsdecode(b"a\x1b[31m\nb\xff")
    assert sentences([Omission("gone", name)]) == ("a b? is tracked by git, but not on disk",)


def test_below_a_folder() -> None:
    """A folder sees what is in it, from its own place; the root sees everything."""
    all_of = (Omission("lfs", "app/a"), Omission("lfs", "application/b"))
    assert below(all_of, "app") == (Omission("lfs", "a"),)
    assert below(all_of, ".") == all_of
