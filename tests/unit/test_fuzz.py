"""What others write, in any form: it is read, or refused in our words. Never a traceback.

``make fuzz`` looks longer; what it finds becomes an ``@example``.
"""

# ruff: noqa: PT017 - to be read and to be refused are both good ends

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from iac_wrapper.errors import ConfigError, IacError, SourceError
from iac_wrapper.files import lock_file, repos_file
from iac_wrapper.model.slug import Slug
from iac_wrapper.program.dependencies import find_dependencies
from iac_wrapper.program.detection import detect
from iac_wrapper.settings import Settings
from iac_wrapper.sources.unpack import SourceLimits, unpack
from tests.support import deployed

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))

hypothesis.settings.register_profile(
    "ours",
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("ours")


def _texts(*parts: str) -> st.SearchStrategy[str]:
    """Texts of words that mean something to a parser, with anything in between."""
    pieces = st.sampled_from(parts) | st.text(max_size=6)
    return st.lists(pieces, max_size=12).map("".join)


SLUGS = _texts(
    *("gh:", "gl:", "bb:", "git+https://", "git+ssh://", "git@", "image:", "https://github.com/"),
    *("https://gitlab.com/", "https://bitbucket.org/", "o/r", "/", "/-/", "tree/", "blob/", "src/"),
    *("#", ":", "?", "@", "..", ".git", "%2f", "%0a", "%", "~", "\\", "[", "]", "host", "8080"),
)


@hypothesis.given(SLUGS)
@hypothesis.example("https://github.com/o/r/tree/%0a")
@hypothesis.example("git+https://[::1")
@hypothesis.example("ssh://a:99999999/x")
def test_slugs(text: str) -> None:
    """A slug that is read is read again as the same, and has an address or is on disk."""
    try:
        slug = Slug.parse(text)
    except ConfigError as error:
        assert error.next_step
        return
    assert Slug.parse(slug.text) == slug
    if slug.kind not in {"path", "image"}:
        assert slug.clone_url(Settings().hosts)


ENTRY = {
    "slug": "gh:o/r",
    "env": {"A": "1"},
    "processes": {"worker": "run"},
    "expose": {"host": "a.test"},
    "schedule": {"x": "* * * * * y"},
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | SLUGS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts(*ENTRY), inner, max_size=4),
    max_leaves=12,
)


@hypothesis.given(
    _texts(*("- ", "\n", "  ", "slug: ", "gh:o/r", "env:", "{", "}", "[", "]", "&a ", "*a", "<<: "))
    | VALUES.map(lambda value: json.dumps(value, default=str))
    | st.dictionaries(st.sampled_from(["apps", "defaults", "environments"]), VALUES).map(json.dumps)
    | st.dictionaries(st.sampled_from([*ENTRY, "lfs", "run", "tcp", "needs"]), VALUES).map(
        lambda more: json.dumps([{**ENTRY, **more}])
    )
)
@pytest.mark.parametrize("name", ["repos.yaml", "repos.json"])
def test_repos_files(name: str, text: str) -> None:
    try:
        assert repos_file.parse_entries(text, Path(name))
    except ConfigError as error:
        assert error.where


LOCK = json.loads(
    json.dumps(
        {
            "version": 1,
            "project": "demo",
            "network": {"name": "n", "subnet": "172.21.0.0/24"},
            "gateway_port": 15443,
            "apps": {"web": lock_file.app_to_json(deployed.app("web"))},
        }
    )
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a document."""
    inner = value.items() if isinstance(value, dict) else ()
    return [path, *(place for key, one in inner for place in _places(one, (*path, key)))]


def _with(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    return {**value, place[0]: _with(value[place[0]], place[1:], new)}


@hypothesis.given(st.sampled_from(_places(LOCK)), VALUES)
def test_lock_files(place: tuple[Any, ...], new: Any) -> None:
    """One value of a good lock is another; what is read is written as it was read."""
    try:
        read = lock_file.parse_lock(json.dumps(_with(LOCK, place, new)), where="x.lock.json")
        assert lock_file.parse_lock(lock_file.dump(read), where="again") == read
    except ConfigError as error:
        assert error.next_step


@st.composite
def _archives(draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """A tar of odd entries, perhaps packed, perhaps damaged."""
    names = _texts("a", "b", "/", "..", ".", ".git", "d/", "\0")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=draw(st.sampled_from([0, 1, 2]))) as tar:
        for _ in range(draw(st.integers(0, 6))):
            entry = tarfile.TarInfo(draw(names))
            entry.type = draw(st.sampled_from([b"0", b"5", b"2", b"1", b"3", b"6", b"g", b"S"]))
            entry.linkname = draw(names)
            content = draw(st.binary(max_size=40))
            entry.size = len(content) if entry.type == b"0" else 0
            entry.mode = draw(st.integers(0, 0o7777))
            try:
                tar.addfile(entry, io.BytesIO(content))
            except (ValueError, UnicodeError):
                continue
    data = bytearray(out.getvalue())
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        data = bytearray(gzip.compress(bytes(data)))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@hypothesis.given(_archives(), st.booleans())
def test_archives(data: bytes, strip: bool) -> None:
    """Whatever it says: nothing is made outside, and no link leads out."""
    with tempfile.TemporaryDirectory() as folder:
        archive, tree = Path(folder, "x.tar"), Path(folder, "in", "tree")
        archive.write_bytes(data)
        tree.parent.mkdir()
        try:
            unpack(archive, tree, SourceLimits(10_000), strip_top=strip)
        except SourceError as error:
            assert error.next_step
        assert {path.name for path in Path(folder).iterdir()} == {"x.tar", "in"}
        assert {path.name for path in tree.parent.iterdir()} <= {"tree"}
        for path in tree.rglob("*"):
            if path.is_symlink():
                assert path.resolve().is_relative_to(tree.resolve())


PROCFILE = _texts("web: ", "worker: ", "release: ", "\n", "python ", "main.py", "$PORT", "'", "&& ")
TOML = _texts(
    *("[project]\n", "[tool.poetry]\n", "[tool.uv.sources]\n", "dependencies = ", '["flask"]\n'),
    *("requires-python = ", '">=3.11"\n', "scripts = ", '{a = "b:c"}\n', "[", "]", "=", "\n", "1"),
)
REQUIREMENTS = _texts(
    *("flask", "==", "1.0", "\n", "-r ", "-e ", ".", "../x", "git+https://h/x", " @ ", "--hash=")
)
PYTHON = _texts(
    "import x\n", "def main():\n", "    ", "app = Flask()\n", "if __name__", "(", ":", "\0"
)
FILES = {
    "Procfile": PROCFILE,
    "pyproject.toml": TOML,
    "requirements.txt": REQUIREMENTS,
    "setup.cfg": TOML,
    "setup.py": PYTHON,
    ".python-version": REQUIREMENTS,
    "main.py": PYTHON,
    "shop/app.py": PYTHON,
}


@hypothesis.given(
    st.fixed_dictionaries({}, optional=dict(FILES)),
    st.binary(max_size=8),
)
def test_projects(files: Mapping[str, str], noise: bytes) -> None:
    """Procfile, requirements and project files of any content, UTF-8 or not."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode("utf-8", "replace") + noise)
        try:
            found = detect(Path(folder), slug="gh:o/r")
            find_dependencies(Path(folder), found.entrypoint)
        except IacError as error:
            assert error.next_step
