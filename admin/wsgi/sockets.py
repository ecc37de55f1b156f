"""Listening sockets: the loopback port, and the Unix socket whose file mode decides who may call.

Taking over a stale socket file is made exclusive by a lock beside it (``<socket>.lock``, flock,
held while the server lives): of two servers that start at once, one gets the lock and the other an
error. Renaming a socket into place would be atomic, too, but hides who replaced whom, and the
kernel's tables (``ss -lx``) would go on to show the temporary name.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from pathlib import Path

from admin.wsgi.peer import PeerProcess
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import file_lock

GROUP = "iac"
"""Members of it may use root's socket, if it exists."""

_BACKLOG = 1024  # connections the kernel completes before we accept them; somaxconn bounds it
_CHOOSE = "stop the other server, or set IAC_ADMIN_SOCKET to another path"


def bind_tcp(address: tuple[str, int]) -> socket.socket:
    """A socket that listens on `address`.

    Raises:
        ConfigError: the address is in use, or not ours to use.
    """
    host, port = address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT of the last run
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        in_use = error.errno == errno.EADDRINUSE
        raise ConfigError(
            "address in use" if in_use else "cannot listen on this address",
            where=f"{host}:{port}",
            found="another program listens there" if in_use else error.strerror,
            next_step="stop the other server, or set IAC_ADMIN_BIND to another address",
        ) from None
    return sock


class UnixSocket:
    """A Unix socket that listens on `path`.

    Mode 0660 and group ``iac`` when root makes it and that group exists, else 0600, and never wider
    in between: until it listens nobody can connect, and it is born with 0600.

    Raises:
        ConfigError: somebody listens there, something else has that name, or the folder is one
            where others could swap the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._inode: tuple[int, int] | None = None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _check_folder(path.parent)
            self._lock = _lock(path)
            _remove_stale(path)
            self._bind()
        except OSError as error:
            self.close()
            found = error.strerror or str(error)  # a path too long has no errno
            next_step = "correct its folder, or set IAC_ADMIN_SOCKET to another path"
            raise _error("cannot make the Unix socket", path, found, next_step) from None
        except ConfigError:
            self.close()
            raise

    def _bind(self) -> None:
        os.fchmod(self.socket.fileno(), 0o600)  # Linux: the file is born with this mode
        self.socket.bind(str(self.path))
        found = self.path.lstat()
        self._inode = (found.st_dev, found.st_ino)
        group = _group()
        if group is not None:
            os.chown(self.path, -1, group, follow_symlinks=False)
        self.path.chmod(0o600 if group is None else 0o660)
        self.socket.listen(_BACKLOG)

    def unlink(self) -> None:
        """Remove the file if it is still ours."""
        with contextlib.suppress(FileNotFoundError):
            found = self.path.lstat()
            if self._inode == (found.st_dev, found.st_ino):
                self.path.unlink()
        self._inode = None

    def close(self) -> None:
        """Remove the file, close the socket, let go of the lock. Once is enough, twice is fine."""
        if self._inode is not None:
            self.unlink()
        self.socket.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                _lock_path(self.path).unlink()
            os.close(self._lock)
            self._lock = None


def _error(message: str, path: Path, found: str, next_step: str = _CHOOSE) -> ConfigError:
    return ConfigError(message, where=str(path), found=found, next_step=next_step)


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _check_folder(folder: Path) -> None:
    """In a folder of others, or one that everybody writes, the file could be swapped under us."""
    found = folder.stat()
    open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if open_to_all or found.st_uid not in (0, os.geteuid()):
        raise _error(
            "not a safe folder for the Unix socket",
            folder,
            f"mode {stat.S_IMODE(found.st_mode):04o}, owner uid {found.st_uid}",
            "set IAC_ADMIN_SOCKET to a path in a folder of your own or of root",
        )


def _lock(path: Path) -> int:
    """Hold the lock beside `path`."""
    beside = _lock_path(path)
    lock = file_lock.acquire(beside)
    if lock is None:
        holder = file_lock.noted_pid(beside) or "unknown"
        raise _error("another server has this socket", path, f"process {holder}")
    file_lock.note_pid(lock, os.getpid())
    return lock


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _error(
            "there is something else where the socket should be",
            path,
            "not a socket",
            "move it away, or set IAC_ADMIN_SOCKET to another path",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # nobody listens: left behind by a server that was killed
            return
        except BlockingIOError:  # nobody accepts, but somebody listens
            raise _error("somebody listens on this socket", path, "a server that hangs") from None
        raise _error(
            "somebody listens on this socket", path, f"process {PeerProcess.of(probe).pid}"
        )


def _group() -> int | None:
    if os.geteuid() != 0:
        return None
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None
