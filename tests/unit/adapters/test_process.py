from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from iac_wrapper.adapters.process import (
    Command,
    argv,
    attach,
    run,
    run_bounded,
    start_alone,
    stream,
    stream_all,
)
from iac_wrapper.errors import CommandError
from iac_wrapper.files import file_lock


def _python(code: str, **more: object) -> Command:
    return Command((sys.executable, "-c", code), **more)  # type: ignore[arg-type]


def test_run_returns_both_streams_and_the_code() -> None:
    """What the program printed and how it ended comes back as values."""
    done = run(_python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_check_raises_with_the_tail_of_the_output() -> None:
    """A failed program's last words are in the error."""
    done = run(_python("import sys; [print(i, file=sys.stderr) for i in range(99)]; sys.exit(1)"))
    with pytest.raises(CommandError, match="it failed") as caught:
        done.check("it failed", next_step="look")
    assert caught.value.detail
    assert caught.value.detail.splitlines()[-1] == "98"
    assert len(caught.value.detail.splitlines()) == 40


def test_environment_is_added_to_and_taken_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is set, None removes, the rest is inherited."""
    monkeypatch.setenv("GONE", "1")
    monkeypatch.setenv("STAYS", "2")
    code = "import os; print(os.environ.get('GONE'), os.environ['STAYS'], os.environ['NEW'])"
    assert run(_python(code, env={"GONE": None, "NEW": "3"})).stdout == "None 2 3\n"


def test_a_missing_program_is_a_command_error() -> None:
    """No traceback when the program does not exist, in either form."""
    for start in (run, lambda c: stream(c, print)):
        with pytest.raises(CommandError, match="cannot start no-such-program"):
            start(Command(("no-such-program",)))


def test_a_program_that_takes_too_long_is_ended() -> None:
    """The limit is named, and the error is worth retrying."""
    with pytest.raises(CommandError, match=r"within 0\.2 s") as caught:
        run(_python("import time; time.sleep(30)"), timeout=0.2)
    assert caught.value.retryable


def test_a_program_that_prints_too_much_is_an_error_however_quick_it_was() -> None:
    """What it printed is not cut and taken for the whole."""
    with pytest.raises(CommandError, match="echo printed more than 3 bytes"):
        run_bounded(Command(("echo", "four")), timeout=5, limit=3)
    assert run_bounded(Command(("echo", "no")), timeout=5, limit=3).stdout == "no\n"


def test_all_that_a_program_started_ends_with_it(tmp_path: Path) -> None:
    """Of one that takes too long, not the program alone."""
    pid = tmp_path / "pid"
    command = Command(("sh", "-c", f"sleep 60 & echo $! > {pid}; wait"))
    with pytest.raises(CommandError, match=r"within 0\.5 s"):
        run_bounded(command, timeout=0.5, limit=100)
    state = Path(f"/proc/{pid.read_text().strip()}/stat")
    deadline = time.monotonic() + 5
    while state.exists() and state.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_stream_hands_over_each_line_as_it_comes() -> None:
    """Lines of both streams arrive one by one and are also kept."""
    lines: list[str] = []
    done = stream(
        _python("import sys; print('a'); print('b', file=sys.stderr, flush=True)"), lines.append
    )
    assert sorted(lines) == ["a", "b"]
    assert done.returncode == 0


def test_ctrl_c_lets_the_program_finish_in_order(tmp_path: Path) -> None:
    """One SIGINT reaches the program; what it does on it is awaited; then the interrupt goes on."""
    done = tmp_path / "done"
    code = (
        "import signal, sys, time, pathlib\n"
        f"def stop(*_): time.sleep(0.3); pathlib.Path({str(done)!r}).touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )

    def interrupt(line: str) -> None:
        if line == "ready":
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    started = time.monotonic()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in `&` ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            stream(_python(code), interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.exists()
    assert time.monotonic() - started < 10


def test_an_error_in_the_callback_asks_the_program_to_stop(tmp_path: Path) -> None:
    """A reader that fails (a closed terminal) must not kill Terraform: it gets SIGINT and time."""
    saved = tmp_path / "saved"
    code = (
        "import pathlib, signal, sys, time\n"
        f"def stop(*_): time.sleep(0.3); pathlib.Path({str(saved)!r}).touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        "print('x', flush=True)\n"
        "time.sleep(30)\n"
    )

    def fail(_line: str) -> None:
        raise RuntimeError("reader")

    with pytest.raises(RuntimeError, match="reader"):
        stream(_python(code), fail)
    assert saved.exists()


def test_programs_run_side_by_side_and_a_missing_one_ends_the_others() -> None:
    """All are started before the first is awaited; one that cannot start is an error."""
    pause = "import time; time.sleep(1.5); print('done')"
    began = time.monotonic()
    done = stream_all([_python(pause), _python(pause)], lambda *_: None)
    assert [one.stdout for one in done] == ["done\n", "done\n"]
    assert time.monotonic() - began < 2.9
    with pytest.raises(CommandError, match="cannot start"):
        stream_all([_python("import time; time.sleep(30)"), Command(("/",))], print)


def test_a_program_that_goes_on_alone_holds_the_file_open(tmp_path: Path) -> None:
    """A lock that it was handed is free when it ends, not before."""
    path = tmp_path / "lock"
    fd = file_lock.acquire(path)
    assert fd is not None
    start_alone(
        _python(
            f"import time, os\nwhile not os.path.exists({str(tmp_path / 'go')!r}): "
            "time.sleep(0.02)"
        ),
        keep_open=fd,
    )
    os.close(fd)
    assert file_lock.acquire(path) is None
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 10
    while (again := file_lock.acquire(path)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert again is not None
    os.close(again)
    with pytest.raises(CommandError):
        start_alone(Command(("/nowhere/at/all",)), keep_open=0)


def test_argv_flattens() -> None:
    """Strings, paths and lists become one tuple of strings."""
    assert argv("a", Path("b"), ["c", Path("d")]) == ("a", "b", "c", "d")


def test_an_attached_program_is_waited_for_whatever_signal_comes(tmp_path: Path) -> None:
    """Ctrl-C is for it alone; SIGTERM is handed on; its end is told as a shell does."""
    with (tmp_path / "lock").open("w") as file:
        assert attach(_python("raise SystemExit(3)"), keep_open=file.fileno()) == 3
        own = signal.getsignal(signal.SIGINT)
        code = "import os, signal; os.kill(os.getppid(), signal.SIGINT); raise SystemExit(4)"
        assert attach(_python(code), keep_open=file.fileno()) == 4
        code = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(30)"
        assert attach(_python(code), keep_open=file.fileno()) == 128 + signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) == own
        with pytest.raises(CommandError, match="cannot start no-such-program"):
            attach(Command(("no-such-program",)), keep_open=file.fileno())
