"""Listening sockets: where, with which mode, and who wins."""

from __future__ import annotations

import fcntl
import grp
import multiprocessing
import os
import socket
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from admin.wsgi.peer import PeerProcess
from admin.wsgi.sockets import UnixSocket, bind_tcp
from iac_wrapper.errors import ConfigError
from iac_wrapper.settings import Settings
from iac_wrapper.settings.admin_socket import default_socket


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_root_uses_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's socket is the system's."""
    as_user(monkeypatch, 0)
    assert default_socket(Settings()) == Path("/run/iac_wrapper.sock")


def test_others_use_their_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody else's lies in XDG_RUNTIME_DIR."""
    as_user(monkeypatch, 1000)
    settings = Settings(environment={"XDG_RUNTIME_DIR": "/run/user/1000"})
    assert default_socket(settings) == Path("/run/user/1000/iac_wrapper.sock")


def test_without_a_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one the error says which setting helps."""
    as_user(monkeypatch, 1000)
    with pytest.raises(ConfigError) as caught:
        default_socket(Settings())
    assert "IAC_ADMIN_SOCKET" in str(caught.value.next_step)


def test_the_setting_wins() -> None:
    """IAC_ADMIN_SOCKET is taken as it is, if absolute."""
    assert default_socket(Settings(IAC_ADMIN_SOCKET="/x/y")) == Path("/x/y")
    with pytest.raises(ConfigError, match="absolute"):
        default_socket(Settings(IAC_ADMIN_SOCKET="x/y"))


def test_a_port_in_use() -> None:
    """A taken port names itself and the setting that changes it."""
    with bind_tcp(("127.0.0.1", 0)) as first:
        address = first.getsockname()
        with pytest.raises(ConfigError, match="address in use") as caught:
            bind_tcp(address)
    assert caught.value.where == f"127.0.0.1:{address[1]}"
    assert "IAC_ADMIN_BIND" in str(caught.value.next_step)


def test_an_address_of_another_machine() -> None:
    """An address that is not ours is an error, too (192.0.2.0/24 is documentation's)."""
    with pytest.raises(ConfigError, match="cannot listen"):
        bind_tcp(("192.0.2.1", 0))


def test_mode_of_a_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the group only the owner may connect."""
    monkeypatch.setattr(grp, "getgrnam", raise_key_error)
    mine = UnixSocket(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    mine.close()
    assert list(path.parent.iterdir()) == []


def raise_key_error(name: str) -> None:
    raise KeyError(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to a group")
def test_mode_with_the_group(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's socket is 0660 and the group's."""
    monkeypatch.setattr(grp, "getgrnam", lambda _: SimpleNamespace(gr_gid=12345))
    mine = UnixSocket(path)
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o660, 12345)
    mine.close()


def test_mode_is_narrow_before_listen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between bind and chmod the file is 0600 already, whatever the umask."""
    seen = []
    chmod = Path.chmod

    def watch(self: Path, mode: int) -> None:
        seen.append(stat.S_IMODE(self.lstat().st_mode))
        with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self))  # it does not listen yet
        chmod(self, mode)

    monkeypatch.setattr(Path, "chmod", watch)
    old = os.umask(0)
    try:
        UnixSocket(path).close()
    finally:
        os.umask(old)
    assert seen == [0o600]


def stale(path: Path) -> None:
    """A socket file as a killed server leaves it."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()


def test_a_stale_socket_is_replaced(path: Path) -> None:
    """A file nobody listens on is no obstacle."""
    stale(path)
    mine = UnixSocket(path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert PeerProcess.of(client) == PeerProcess(os.getpid(), os.getuid(), os.getgid())
    mine.close()
    assert not path.exists()


def test_a_living_server_is_left_alone(path: Path) -> None:
    """Who listens keeps the name; the error tells its process."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ConfigError, match="somebody listens") as caught:
            UnixSocket(path)
        assert caught.value.found == f"process {os.getpid()}"
        assert "IAC_ADMIN_SOCKET" in str(caught.value.next_step)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_server_that_hangs_is_left_alone(path: Path) -> None:
    """A full backlog is somebody who listens, not a stale file."""
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as client:
        other.bind(str(path))
        other.listen(0)
        client.connect(str(path))
        with pytest.raises(ConfigError, match="somebody listens"):
            UnixSocket(path)
        assert path.exists()


def test_a_second_server_of_ours(path: Path) -> None:
    """The lock names the process that holds it, and is not taken from it."""
    mine = UnixSocket(path)
    with pytest.raises(ConfigError, match="another server") as caught:
        UnixSocket(path)
    assert (caught.value.where, caught.value.found) == (str(path), f"process {os.getpid()}")
    assert path.exists()
    mine.close()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_other_files_are_left_alone(path: Path, kind: str) -> None:
    """Only a socket is ever replaced; a link is not followed either."""
    target = path.with_name("target")
    stale(target)
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
    before = path.lstat()
    with pytest.raises(ConfigError, match="something else"):
        UnixSocket(path)
    assert os.path.samestat(before, path.lstat())
    assert target.exists()
    assert not path.with_name("s.lock").exists()


def test_only_our_own_file_is_removed(path: Path) -> None:
    """What has come in place of our socket meanwhile stays."""
    mine = UnixSocket(path)
    path.rename(path.with_name("moved"))
    stale(path)
    mine.close()
    assert path.exists()


def test_a_folder_everybody_writes(path: Path) -> None:
    """Where anybody could swap the file we do not chmod and chown anything."""
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="safe folder"):
        UnixSocket(path)
    path.parent.chmod(0o1777)
    UnixSocket(path).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_somebody_else(path: Path) -> None:
    """Its owner could swap the file as well."""
    os.chown(path.parent, 12345, -1)
    with pytest.raises(ConfigError, match="owner uid 12345"):
        UnixSocket(path)


@pytest.mark.parametrize("name", ["x" * 120, "missing/s"])
def test_paths_that_cannot_be(path: Path, name: str) -> None:
    """Too long for the kernel, no such folder: errors with the path."""
    with pytest.raises(ConfigError) as caught:
        UnixSocket(path.parent / name)
    assert name in str(caught.value.where)


def test_a_lock_behind_a_link(path: Path) -> None:
    """The lock file is never created through somebody's link."""
    path.with_name("s.lock").symlink_to(path.with_name("elsewhere"))
    with pytest.raises(ConfigError):
        UnixSocket(path)
    assert not path.with_name("elsewhere").exists()


def test_a_lock_that_was_removed_meanwhile(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file its last holder has removed protects nothing, so it is taken anew."""
    flock = fcntl.flock
    calls: list[int] = []

    def late(lock: int, how: int) -> None:
        if not calls:
            path.with_name("s.lock").unlink()
        calls.append(lock)
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", late)
    mine = UnixSocket(path)
    with pytest.raises(ConfigError, match="another server"):
        UnixSocket(path)
    mine.close()


def take(path: Path, barrier: threading.Barrier, won: list[UnixSocket]) -> None:
    barrier.wait()
    try:
        won.append(UnixSocket(path))
    except ConfigError:
        return


def test_many_at_once(path: Path) -> None:
    """Of eight that start together over a stale file one wins, each time."""
    for _ in range(20):
        stale(path)
        won: list[UnixSocket] = []
        barrier = threading.Barrier(8)
        threads = [threading.Thread(target=take, args=(path, barrier, won)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        won[0].close()


def hold(path: Path, ready: Any) -> None:
    mine = UnixSocket(path)
    ready.set()
    mine.socket.accept()


def test_after_a_kill(path: Path) -> None:
    """A killed server leaves file and lock; the next one starts all the same."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(path, ready))
    process.start()
    assert ready.wait(10)
    process.kill()
    process.join()
    assert path.exists()
    mine = UnixSocket(path)
    mine.close()
    assert list(path.parent.iterdir()) == []
