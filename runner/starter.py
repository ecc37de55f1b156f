"""Starts the program as its own user, for a PID 1 that is another one and cannot change users.

PID 1 forks the starter while it still is root. Asked for it, the starter makes the program a child
of PID 1 (CLONE_PARENT), with pipes of the program's user: it may open ``/dev/stdout`` anew. And it
looks at what only the program's user may see: which sockets its processes hold. The program may end
or stop it; then PID 1 leaves, and the container starts anew.
"""

from __future__ import annotations

import array
import ctypes
import errno
import json
import os
import platform
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, NoReturn

from runner import processes
from runner.settings import child_environment

_CLONE_PARENT = 0x8000
_SYS_CLONE = {"x86_64": 56, "aarch64": 220}
_MOST = 1 << 18
"""Bytes of a question or an answer: two lists of inodes."""

ANSWER_SECONDS = 10.0
"""How long an answer may take before the starter counts as stopped: a start is done when the
program is executed, a look is a walk through /proc of a thousand processes at most."""


class StarterGoneError(Exception):
    """The starter has ended: no program can be started any more."""


class Starter:
    """The starter, as PID 1 sees it. Make it before the first thread.

    Args:
        argv: the program (looked up on PATH) and its arguments.
        uid: whom it shall run as; None: as ourselves.
    """

    def __init__(self, argv: Sequence[str], uid: int | None = None) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self.pid = os.fork()
        if self.pid == 0:
            self._socket.close()
            _serve(other, argv, uid)
        other.close()
        self._socket.settimeout(ANSWER_SECONDS)

    def start(self) -> tuple[int, int, int]:
        """Start the program: its process id, and where its output and its errors can be read.

        Raises:
            OSError: it cannot be executed.
            StarterGoneError: there is nobody to start it.
        """
        answer, descriptors = self._ask({"do": "start"})
        if answer["errno"]:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        out, err = descriptors
        return answer["pid"], out, err

    def held_below(self, root: int, sockets: Set[int]) -> set[int]:
        """As in `processes`."""
        return set(self._look("held_below", root, sorted(sockets)))

    def may_have_grpc(self, sockets: Set[int]) -> bool:
        """As in `processes`."""
        return bool(self._look("may_have_grpc", sorted(sockets)))

    def orphans(self) -> list[int]:
        """Living children of ours but the starter: what programs left behind comes to PID 1."""
        return [pid for pid in processes.children(os.getpid()) if pid != self.pid]

    def kill_orphans(self) -> None:
        """End every one of them."""
        for pid in self.orphans():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _look(self, what: str, *arguments: Any) -> Any:
        try:
            return self._ask({"do": what, "with": arguments})[0]["found"]
        except StarterGoneError:  # a start that is asked for tells
            return []

    def _ask(self, question: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            try:
                self._socket.send(json.dumps(question).encode())
                data, descriptors, _, _ = socket.recv_fds(self._socket, _MOST, 2)
            except TimeoutError as error:  # stopped; continued, it would answer the next question
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                raise StarterGoneError from error
            except OSError as error:
                raise StarterGoneError from error
        if not data:
            raise StarterGoneError
        answer: dict[str, Any] = json.loads(data)
        return answer, descriptors


def _serve(asked: socket.socket, argv: Sequence[str], uid: int | None) -> NoReturn:
    """The starter's life, from the fork on."""
    try:
        os.setsid()  # not of the group that a program may signal
        if uid is not None:
            from runner import privileges  # noqa: PLC0415 - not where no user is changed

            privileges.become(uid, kill=False)
        while data := asked.recv(_MOST):
            question = json.loads(data)
            if question["do"] == "start":
                _start(asked, argv)
            else:
                asked.send(json.dumps({"found": _look(question)}).encode())
    except OSError as error:
        sys.stderr.write(f"runner: cannot start programs: {error.strerror}\n")
    os._exit(0)


def _look(question: Mapping[str, Any]) -> Any:
    if question["do"] == "held_below":
        root, sockets = question["with"]
        return sorted(processes.held_below(root, set(sockets)))
    return processes.may_have_grpc(set(question["with"][0]))


def _start(asked: socket.socket, argv: Sequence[str]) -> None:
    out, child_out = os.pipe2(os.O_CLOEXEC)
    err, child_err = os.pipe2(os.O_CLOEXEC)
    failed, tell = os.pipe2(os.O_CLOEXEC)
    pid = _clone()
    if pid == 0:
        _become(argv, child_out, child_err, tell)
    for each in (child_out, child_err, tell):
        os.close(each)
    said = os.read(failed, 16) if pid > 0 else str(errno.EAGAIN).encode()  # nothing: it runs
    os.close(failed)
    answer = {"pid": pid, "errno": int(said or b"0")}
    descriptors = array.array("i", [] if said else [out, err])
    asked.sendmsg(
        [json.dumps(answer).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
    )
    os.close(out)
    os.close(err)


def _clone() -> int:
    """Fork, but so that the child is our parent's: 0 in it, below 0 if there is none.

    Nothing of Python's is prepared for that in the child, which executes the program at once.
    """
    flags = _CLONE_PARENT | signal.SIGCHLD
    # Not CDLL, which lets go of the interpreter's lock.
    libc = ctypes.PyDLL(None)
    return int(libc.syscall(_SYS_CLONE[platform.machine()], flags, 0, 0, 0, 0))


def _become(argv: Sequence[str], out: int, err: int, tell: int) -> NoReturn:
    code = errno.ENOENT
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, that is inherited
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        environment = child_environment()
        # Found on our own PATH, which is the image's, as a shell would.
        folders = [""] if "/" in argv[0] else [f"{folder}/" for folder in os.get_exec_path()]
        for folder in folders:
            try:
                os.execve(f"{folder}{argv[0]}", list(argv), environment)  # noqa: S606
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    code = error.errno or code
    except OSError as error:
        code = error.errno or code
    os.write(tell, str(code).encode())
    os._exit(127)
