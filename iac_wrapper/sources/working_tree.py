"""What git says about a working tree on this machine: which files are its, which are not.

It must not know what becomes of them, and never runs what a repository's configuration names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from iac_wrapper.errors import SourceError
from iac_wrapper.model.base_url import without_credentials
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources import git_commands
from iac_wrapper.sources.git_errors import explain

_SUBMODULE = "160000"


@dataclass(frozen=True)
class WorkingTree:
    """Paths relative to the folder that was asked for, sorted.

    `untracked` ones are not ignored either; one that ends in ``/`` is a repository of its own.
    `ignored` are the others that are not tracked: of a folder its own path alone, without a ``/``.
    `submodules` maps paths to URLs, empty where ``.gitmodules`` has none.
    """

    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    ignored: tuple[str, ...]
    submodules: Mapping[str, str]


def read_working_tree(folder: Path, junk: tuple[str, ...]) -> WorkingTree | None:
    """The working tree that `folder` lies in, as far as it is below `folder`; None outside of one.

    Args:
        folder: a directory.
        junk: ignore patterns that hold for untracked files beside .gitignore.

    Raises:
        SourceError: git refuses to look (another user owns the repository, a broken index).
    """
    asked = ("rev-parse", "--is-inside-work-tree", "--show-toplevel", "--show-prefix")
    inside = git_commands.local(folder, *asked, isolated=False)
    if inside.returncode and "not a git repository" in inside.stderr:
        return None
    if inside.returncode:
        raise explain(inside, Remote(str(folder)))
    _, top, prefix = inside.stdout.split("\n")[:3]
    exclude = ["--exclude-standard", *(f"--exclude={pattern}" for pattern in junk)]
    ignored = {name.rstrip("/") for name in _list(folder, "-o", "-i", "--directory", *exclude)}
    staged = [line.partition("\t") for line in _list(folder, "-s")]
    modules = {name for entry, _, name in staged if entry.startswith(_SUBMODULE)}
    urls = submodule_urls(Path(top))
    return WorkingTree(
        tracked=tuple(sorted({name for _, _, name in staged} - modules)),
        untracked=tuple(sorted(set(_list(folder, "-o", *exclude)))),
        ignored=tuple(sorted(ignored)),
        submodules={name: urls.get(prefix + name, "") for name in modules},
    )


def submodule_urls(root: Path) -> dict[str, str]:
    """Path -> URL of the submodules that ``.gitmodules`` in `root` names, without credentials."""
    return {path: without_credentials(url) for path, url in written_urls(root).items()}


def written_urls(root: Path) -> dict[str, str]:
    """Path -> URL of the submodules in ``.gitmodules`` of `root`, as it is written there."""
    file = root / ".gitmodules"
    if file.is_symlink() or not file.is_file():
        return {}
    # A file that git cannot read names nothing; the submodules themselves are seen all the same.
    asked = ("config", "-z", "--no-includes", "-f", str(file), "--get-regexp", r"^submodule\.")
    found: dict[str, dict[str, str]] = {}
    for item in git_commands.local(root, *asked).stdout.split("\0"):
        key, _, value = item.partition("\n")
        name, _, variable = key.rpartition(".")
        found.setdefault(name, {})[variable] = value
    return {
        str(PurePosixPath(module["path"])): module.get("url", "")
        for module in found.values()
        if module.get("path")
    }


def with_filter(tree: Path, paths: Sequence[Path], name: str, scratch: Path) -> list[Path]:
    """Those of `paths` in `tree` that its .gitattributes give to the filter `name`."""
    names = [text for path in paths if (text := str(path.relative_to(tree))).isprintable()]
    with git_commands.empty_repository(scratch) as repository:
        places = (f"--git-dir={repository}", f"--work-tree={tree}")
        asked = ("check-attr", "-z", "--stdin", "filter")
        done = git_commands.local(tree, *places, *asked, stdin="\0".join(names))
    words = done.check("cannot read .gitattributes").stdout.split("\0")
    values = zip(words[0::3], words[2::3], strict=False)  # after the last one comes nothing
    return [tree / path for path, value in values if value == name]


def config_value(file: Path, key: str) -> str | None:
    """The value of `key` in a file of git's form; None if it has none, or is no such file."""
    if file.is_symlink() or not file.is_file():
        return None
    asked = ("config", "--no-includes", "-f", str(file), "--get", key)
    return git_commands.local(file.parent, *asked).stdout.strip() or None


def _list(folder: Path, *options: str) -> list[str]:
    listed = git_commands.local(folder, "ls-files", "-z", *options, isolated=False)
    if listed.returncode:
        raise explain(listed, Remote(str(folder)))
    lines = [line for line in listed.stdout.split("\0") if line]
    if unreadable := next((line for line in lines if "\ufffd" in line), None):
        name = unreadable.rpartition("\t")[2]
        raise SourceError("a file name is not UTF-8", found=repr(name), next_step="rename the file")
    return lines
