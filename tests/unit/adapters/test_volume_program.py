"""What happens to the files of a volume: real files, as root, without a container."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from iac_wrapper.adapters import volume_program
from iac_wrapper.adapters.volume_program import MARK, Packer, Unpacker

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

UID, GID = 30_000, 10_001


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume as the engine makes it."""
    made = tmp_path / "volume"
    made.mkdir(mode=0o755)
    return made


def _owner(path: Path) -> tuple[int, int]:
    return path.lstat().st_uid, path.lstat().st_gid


def _packed(volume: Path, mode: str = "w|") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        Packer(tar).run(volume)
    return out.getvalue()


def _tar(*entries: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, type, target of a link)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return out.getvalue()


def _restored(volume: Path, data: bytes, *, everything: bool = False) -> None:
    volume_program.discard(volume)
    Unpacker(volume, everything=everything).run(io.BytesIO(data))
    volume_program.swap(volume)


def test_a_new_volume_is_for_its_program_alone(volume: Path) -> None:
    """0700, and not empty, so that Docker does not copy the image's owner over it."""
    assert volume_program.own(volume, UID, GID, everything=True)
    assert (_owner(volume), stat.S_IMODE(volume.lstat().st_mode)) == ((UID, GID), 0o700)
    assert [path.name for path in volume.iterdir()] == [MARK]
    assert volume_program.entries(volume) == 0
    assert volume_program.own(volume, UID, GID, everything=True) == 0


def test_files_of_others_become_the_programs(volume: Path, tmp_path: Path) -> None:
    """Copied in by hand, or from when the service had other uids. What a link names stays."""
    outside = tmp_path / "outside"
    outside.touch()
    volume_program.own(volume, UID, GID, everything=True)
    (volume / "deep" / "er").mkdir(parents=True)
    (volume / "deep" / "er" / "file").touch()
    (volume / "link").symlink_to(outside)
    assert volume_program.own(volume, UID, GID, everything=True) == 4
    assert _owner(volume / "deep" / "er" / "file") == _owner(volume / "link") == (UID, GID)
    assert volume_program.own(volume, 30_004, GID, everything=True) == 6
    assert _owner(volume / "deep" / "er" / "file") == (30_004, GID)
    assert _owner(outside) == (0, 0)


def test_without_everything_only_the_owners_files_move(volume: Path) -> None:
    """An image may have several users."""
    volume_program.own(volume, 999, 999, everything=False)
    assert list(volume.iterdir()) == []
    for name, uid in (("own", 999), ("other", 33)):
        (volume / name).touch()
        os.chown(volume / name, uid, uid)
    volume_program.own(volume, 70, 70, everything=False)
    assert _owner(volume / "own") == (70, 70)
    assert _owner(volume / "other") == (33, 33)


def test_a_restored_volume_is_what_was_packed(volume: Path, tmp_path: Path) -> None:
    """Contents, modes, times, links of both kinds, odd names, attributes; owners are mapped, and
    nothing of the old data is left."""
    source = tmp_path / "source"
    source.mkdir()
    volume_program.own(source, 30_008, GID, everything=True)
    folder = source / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"x" * 100_000)
    (folder / "file").chmod(0o640)
    os.setxattr(folder / "file", "user.kind", b"\xff\x00")
    os.link(folder / "file", source / "again")
    (source / "link").symlink_to("/etc/passwd")
    (source / os.fsdecode(b"\xff\xfe")).touch()
    os.mkfifo(source / "pipe")
    for path in (*source.rglob("*"), source):
        os.chown(path, 30_008, GID, follow_symlinks=False)
    os.chown(source / "link", 33, 33, follow_symlinks=False)
    folder.chmod(0o2750)
    os.utime(folder, (10**9, 10**9))
    volume_program.own(volume, UID, GID, everything=True)
    (volume / "old").touch()

    _restored(volume, _packed(source, "w|gz"))

    names = {path.name for path in volume.iterdir()}
    assert names == {MARK, "folder", "again", "link", os.fsdecode(b"\xff\xfe")}
    made = volume / "folder"
    assert (made / "file").read_bytes() == b"x" * 100_000
    assert (made / "file").lstat().st_ino == (volume / "again").lstat().st_ino
    assert stat.S_IMODE((made / "file").lstat().st_mode) == 0o640
    assert os.getxattr(made / "file", "user.kind") == b"\xff\x00"
    assert (stat.S_IMODE(made.lstat().st_mode), made.lstat().st_mtime) == (0o2750, 10**9)
    assert (volume / "link").readlink() == Path("/etc/passwd")
    assert _owner(volume) == _owner(made) == _owner(made / "file") == (UID, GID)
    assert _owner(volume / "link") == (33, 33)


DIR, REG, SYM, LNK = (tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)

EVIL = {
    "above": _tar(("../x", REG, "")),
    "absolute": _tar(("/srv/x", REG, "")),
    "device": _tar(("null", tarfile.CHRTYPE, "")),
    "pipe": _tar(("pipe", tarfile.FIFOTYPE, "")),
    "twice": _tar(("x", REG, ""), ("x", REG, "")),
    "file-and-folder": _tar(("x", REG, ""), ("x/y", REG, "")),
    "through-a-link": _tar(("x", SYM, "/srv"), ("x/y", REG, "")),
    "hard-link-out": _tar(("x", LNK, "/etc/passwd")),
    "hard-link-above": _tar(("x", LNK, "../old")),
    "hard-link-by-a-link": _tar(("x", SYM, "/etc"), ("y", LNK, "x/passwd")),
    "nothing": b"",
    "no-tar": b"hello\n" * 1000,
    "cut-off": _tar(("x", REG, ""))[:512],
    "cut-between": _tar(("x", REG, ""), ("y", REG, ""))[:1024],
}


@pytest.mark.parametrize("data", EVIL.values(), ids=EVIL)
def test_a_bad_tar_leaves_the_old_files(volume: Path, data: bytes) -> None:
    """Nothing outside is written, and what was unpacked so far goes."""
    (volume / "old").write_text("data")
    with pytest.raises((ValueError, OSError, tarfile.TarError)):
        _restored(volume, data)
    volume_program.discard(volume)
    assert [path.name for path in volume.iterdir()] == ["old"]
    assert not Path("/srv/x").exists()


def test_a_restore_that_is_cut_off_is_finished(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every rename of the last step: the next look at the volume finds all of the new, and
    nothing of the old."""
    rename = Path.rename
    for fatal in range(1, 9):
        for name in ("a", "b"):
            (volume / name).write_text("old")
        data = _tar(("a", REG, ""), ("c", REG, ""))
        left = fatal

        def counted(self: Path, target: Path) -> Path:
            nonlocal left
            left -= 1
            if left == 0:
                raise InterruptedError
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", counted)
        try:
            _restored(volume, data)
            finished = True
        except InterruptedError:
            finished = False
        monkeypatch.setattr(Path, "rename", rename)
        volume_program.discard(volume)
        if fatal > 1:  # before the first one, nothing was to take a place
            assert {path.name for path in volume.iterdir()} == {"a", "c"}, fatal
            assert (volume / "a").read_text() == ""
        (volume / "c").unlink(missing_ok=True)
    assert finished


def test_a_file_that_shrinks_under_the_copy_is_said(volume: Path) -> None:
    """The tar stays one: the rest is zeros."""
    whole = volume_program._Whole(io.BytesIO(b"abc"), 5)
    assert whole.read(10) == b"abc\0\0"
    assert whole.short
