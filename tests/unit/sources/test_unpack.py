from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import tarfile
from pathlib import Path

import pytest

from iac_wrapper.errors import SourceError
from iac_wrapper.model.omission import Omission
from iac_wrapper.sources.unpack import SourceLimits, unpack

LIMITS = SourceLimits(max_bytes=20 * 10**6, max_entries=1000)

SECRET = "outside"


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info, b""


Entry = tuple[tarfile.TarInfo, bytes]


def _file(name: str, content: bytes = b"x", mode: int = 0o644) -> Entry:
    info = _member(name, mode=mode)[0]
    info.size = len(content)
    return info, content


def _link(name: str, target: str) -> Entry:
    return _member(name, tarfile.SYMTYPE, target)


def _tar(entries: list[Entry], *, top: bool = True, fmt: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=fmt) as tar:
        if top:
            tar.addfile(_member("top", tarfile.DIRTYPE)[0])
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _unpack(
    folder: Path,
    data: bytes,
    limits: SourceLimits = LIMITS,
    commit: str | None = None,
    omissions: list[Omission] | None = None,
) -> Path:
    """Unpack gzipped `data` below `folder`, beside a file that no archive may touch."""
    (folder / SECRET).write_text("untouched")
    packed = folder / "a.tar.gz"
    packed.write_bytes(gzip.compress(data, 1))
    said = unpack(packed, folder / "tree", limits, strip_top=True, commit=commit)
    if omissions is not None:
        omissions += said
    return folder / "tree"


def _assert_contained(folder: Path) -> None:
    assert (folder / SECRET).read_text() == "untouched"
    assert sorted(path.name for path in folder.iterdir()) == ["a.tar.gz", SECRET, "tree"]
    for path in (folder / "tree").rglob("*"):
        assert path.resolve().is_relative_to((folder / "tree").resolve())


def test_good_archive(tmp_path: Path) -> None:
    """Files, directories and inner links come out; of the mode only the executable bit does."""
    tree = _unpack(
        tmp_path,
        _tar(
            [
                _file("top/a.py", b"print()"),
                _file("top/bin/run", b"#!", mode=0o6777),
                _link("top/bin/a", "../a.py"),
                _link("top/dangling", "bin/none"),
                _link("top/l1", "l2/run"),
                _link("top/l2", "bin"),
                _member("top/empty", tarfile.DIRTYPE),
                _file("top/" + "long/" * 40 + "x"),
            ]
        ),
    )
    assert (tree / "bin" / "a").read_bytes() == b"print()"
    assert (tree / "l1").read_bytes() == b"#!"
    assert (tree / "bin" / "run").stat().st_mode & 0o7777 == 0o755
    assert (tree / "a.py").stat().st_mode & 0o7777 == 0o644
    assert (tree / "dangling").is_symlink()
    assert (tree / "empty").is_dir()
    assert not (tree / "top").exists()
    _assert_contained(tmp_path)


def test_modes_do_not_depend_on_the_umask(tmp_path: Path, strict_umask: None) -> None:
    """Directories that are named and those that are not, and files: 0755 and 0644 exactly."""
    del strict_umask
    named, implied = _member("top/named", tarfile.DIRTYPE), _file("top/implied/a", mode=0o600)
    tree = _unpack(tmp_path, _tar([named, implied]))
    modes = {str(p.relative_to(tree)): p.stat().st_mode & 0o7777 for p in (tree, *tree.rglob("*"))}
    assert modes == {".": 0o755, "named": 0o755, "implied": 0o755, "implied/a": 0o644}


_DEEP = "d" * 200

ATTACKS: dict[str, list[Entry]] = {
    "absolute path": [_file("/outside/x")],
    "parent path": [_file("top/../../outside")],
    "parent path within": [_file("top/a/../b")],
    "other top": [_file("other/x")],
    "top is a file": [_file("other")],
    "file through a link": [_link("top/l", "."), _file("top/l/x")],
    "file through a link, reversed": [_file("top/l/x"), _link("top/l", "..")],
    "directory over a link": [_link("top/l", "."), _member("top/l", tarfile.DIRTYPE)],
    "file over a link": [_link("top/l", "x"), _file("top/l", b"evil")],
    "link over a file": [_file("top/l"), _link("top/l", "x")],
    "file twice": [_file("top/x"), _file("top/x", b"y")],
    "file below a file": [_file("top/x"), _file("top/x/y")],
    # The shape of CVE-2026-11940 and its kin: every single link looks fine to a filter that
    # resolves names on disk, the chain of them is not.
    "link chain out": [
        _member(f"top/{_DEEP}/{_DEEP}", tarfile.DIRTYPE),
        _link("top/a", f"{_DEEP}/{_DEEP}"),
        _link("top/b", "a/.."),
        _link("top/c", "b/.."),
        _link("top/e", "c/.."),
        _file("top/e/outside", b"evil"),
    ],
    "hard link out": [_member("top/h", tarfile.LNKTYPE, "/etc/passwd")],
    "hard link in": [_file("top/x"), _member("top/h", tarfile.LNKTYPE, "top/x")],
    "hard link to a link": [_link("top/l", "x"), _member("top/h", tarfile.LNKTYPE, "top/l")],
    "character device": [_member("top/d", tarfile.CHRTYPE)],
    "block device": [_member("top/d", tarfile.BLKTYPE)],
    "fifo": [_member("top/f", tarfile.FIFOTYPE)],
    "git directory": [_file("top/sub/.GIT/config")],
    "too long a name": [_file("top/" + "n" * 300)],
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(tmp_path: Path, name: str) -> None:
    """Every way out of the tree is refused, and nothing outside of it is touched."""
    with pytest.raises(SourceError) as caught:
        _unpack(tmp_path, _tar(ATTACKS[name]))
    assert caught.value.found
    _assert_contained(tmp_path)


LINKS: dict[str, tuple[list[Entry], str]] = {
    "absolute": ([_link("top/l", "/etc/passwd")], "l"),
    "parent": ([_link("top/l", "../outside")], "l"),
    "above": ([_link("top/l", "..")], "l"),
    "empty": ([_link("top/l", "")], "l"),
    "deep parent": ([_link("top/a/b/l", "../../../outside")], "a/b/l"),
    "there and back": ([_link("top/l", "../tree/x")], "l"),
    "loop": ([_link("top/a", "b"), _link("top/b", "a")], "a b"),
    "itself": ([_link("top/a", "a/x")], "a"),
    "through another": (
        [_member("top/a/b", tarfile.DIRTYPE), _link("top/l", "a/b"), _link("top/m", "l/../../..")],
        "m",
    ),
    "chain": (
        [_link("top/a", "x/y"), _link("top/x/y", "../."), _link("top/b", "a/../outside")],
        "b",
    ),
    "through one that is left out": ([_link("top/a", "/"), _link("top/b", "a/etc")], "a b"),
    "too long a target": ([_link("top/l", "x/" * 600)], "l"),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_that_lead_out_are_left_out(tmp_path: Path, name: str) -> None:
    """Such a link is not made and is named; everything else of the source is there."""
    entries, names = LINKS[name]
    omissions: list[Omission] = []
    tree = _unpack(tmp_path, _tar([*entries, _file("top/main.py")]), omissions=omissions)
    assert [one.path for one in omissions if one.kind == "link"] == names.split()
    assert not any((tree / path).is_symlink() for path in names.split())
    assert (tree / "main.py").read_bytes() == b"x"
    _assert_contained(tmp_path)


def test_a_link_that_points_nowhere_is_named_and_kept(tmp_path: Path) -> None:
    """What it points at may be made at run time."""
    omissions: list[Omission] = []
    tree = _unpack(
        tmp_path, _tar([_link("top/l", "var/x"), _link("top/m", "l")]), omissions=omissions
    )
    assert [(one.kind, one.path) for one in omissions] == [("dangling", "l"), ("dangling", "m")]
    assert (tree / "l").is_symlink()


@pytest.mark.parametrize("seed", range(40))
def test_random_trees_stay_inside(tmp_path: Path, seed: int) -> None:
    """Whatever mix of links, files and directories: refused, or unpacked wholly inside."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable choice of test data
    names = ["a", "b", "a/c", "b/a", "a/c/d", "c"]
    targets = ["a", "..", "../a", "c/..", "a/../..", "b/c", ".", "../../outside", "a/c/../../b"]
    entries = [
        dice.choice(
            [
                _file(f"top/{dice.choice(names)}", b"evil"),
                _link(f"top/{dice.choice(names)}", dice.choice(targets)),
                _member(f"top/{dice.choice(names)}", tarfile.DIRTYPE),
            ]
        )
        for _ in range(dice.randint(1, 5))
    ]
    with contextlib.suppress(SourceError):
        _unpack(tmp_path, _tar(entries))
    _assert_contained(tmp_path)


def test_links_that_multiply(tmp_path: Path) -> None:
    """Links that double each other end at a cap, quickly."""
    entries = [_link(f"top/l{i}", f"l{i + 1}/" * 100) for i in range(900)]
    with pytest.raises(SourceError, match="multiply"):
        _unpack(tmp_path, _tar([*entries, _member("top/l900", tarfile.DIRTYPE)]))


def test_caps(tmp_path: Path) -> None:
    """Too many bytes and too many entries are refused."""
    (tmp_path / "1").mkdir()
    with pytest.raises(SourceError, match="IAC_FETCH_MAX_MB"):
        _unpack(tmp_path / "1", _tar([_file("top/x", os.urandom(2000))]), SourceLimits(1000))
    (tmp_path / "2").mkdir()
    with pytest.raises(
        SourceError, match=r"too many files.*\n.*more than 10 .*\n.*which no setting changes"
    ):
        _unpack(
            tmp_path / "2", _tar([_file(f"top/{i}") for i in range(20)]), SourceLimits(10**6, 10)
        )


def test_bombs(tmp_path: Path) -> None:
    """A bomb ends by its ratio, a bomb outside of any file by the cap of the stream."""
    (tmp_path / "1").mkdir()
    with pytest.raises(SourceError, match="bomb"):
        _unpack(tmp_path / "1", _tar([_file("top/x", bytes(15 * 10**6))]))
    (tmp_path / "2").mkdir()
    with pytest.raises(SourceError, match=r"too large|bomb"):
        _unpack(tmp_path / "2", _tar([_file("top/x")]) + bytes(4 * 10**6), SourceLimits(10**6, 10))


def _header(size: bytes, kind: bytes = b"0") -> bytes:
    """A raw tar header with any size field."""
    block = bytearray(tarfile.TarInfo("top/x").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = size.ljust(12, b"\0")
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tar at all",
        _tar([_file("top/x", b"y" * 2000)])[:2100],
        _tar([_file("top/x")])[:1024],
        _tar([_file("top/x")], fmt=tarfile.USTAR_FORMAT)[:1536] + b"garbage!" * 64 + bytes(1024),
        _header(b"\xff" * 12),
        _header(b"\xff" * 12, b"x"),
        _header(b"77777777777", b"x"),
        _header(b"77777777777", b"L"),
        _header(b"00000000000", b"L") * 3000,
        _header(b"00000000144", b"S") + bytes(512),
    ],
)
def test_broken_archives(tmp_path: Path, data: bytes) -> None:
    """Broken, cut off and malformed archives are refused: never half a tree, never a hang."""
    with pytest.raises(SourceError):
        _unpack(tmp_path, data)


def test_broken_gzip(tmp_path: Path) -> None:
    """A cut-off or damaged gzip stream is found, even behind the last file."""
    packed = gzip.compress(_tar([_file("top/x", os.urandom(5000))]))
    for number, data in enumerate(
        (packed[:-9], packed[:3000], packed[:-8] + bytes(8), b"\x1f\x8b")
    ):
        file = tmp_path / f"{number}.tar.gz"
        file.write_bytes(data)
        with pytest.raises(SourceError, match="broken"):
            unpack(file, tmp_path / f"{number}", LIMITS, strip_top=True)


def test_huge_extended_header(tmp_path: Path) -> None:
    """An extended header, which is read into memory whole, has a cap of its own."""
    info = _member("top/x")[0]
    info.pax_headers = {"comment": "x" * 2**21}
    with pytest.raises(SourceError, match="impossible header"):
        _unpack(tmp_path, _tar([(info, b"")]))


def test_commit_in_the_header(tmp_path: Path) -> None:
    """The commit that git notes in an archive is compared with the one that was asked for."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "a" * 40}
    ) as tar:
        tar.addfile(_member("top", tarfile.DIRTYPE)[0])
    for commit in ("a" * 40, "b" * 40):
        (tmp_path / commit).mkdir()
    assert _unpack(tmp_path / ("a" * 40), buffer.getvalue(), commit="a" * 40).is_dir()
    with pytest.raises(SourceError, match="another commit"):
        _unpack(tmp_path / ("b" * 40), buffer.getvalue(), commit="b" * 40)
