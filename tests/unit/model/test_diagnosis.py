"""One cause, one line of evidence, one step: from logs as programs leave them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iac_wrapper.model.crash_patterns import find
from iac_wrapper.model.diagnosis import SHOWN_LINES, DiagnosisFacts, diagnose
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.options import Options
from tests.support.deployed import app

APP = app("web")

ENVIRON = """Traceback (most recent call last):
  File "/app/main.py", line 2, in <module>
    os.environ["DATABASE_URL"]
    ~~~~~~~~~~^^^^^^^^^^^^^^^^
  File "<frozen os>", line 679, in __getitem__
    raise KeyError(key) from None
KeyError: 'DATABASE_URL\'"""

PYDANTIC = """pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings
database_url
  Field required [type=missing, input_value={}, input_type=dict]"""

KEPT = "such as `volumes: {data: /app/data}`; what need not stay, below /tmp"

CASES = {
    "ModuleNotFoundError: No module named 'yaml.cyaml'": ("missing-module", "`PyYAML`"),
    "ModuleNotFoundError: No module named 'requests'": ("missing-module", "`requests`"),
    "ModuleNotFoundError: No module named 'shop.settings'": (
        "missing-module",
        "shop is there: add shop/settings.py to its source",
    ),
    ENVIRON: ("missing-variable", "`env: {DATABASE_URL: …}`"),
    PYDANTIC: ("missing-variable", "`env: {DATABASE_URL: …}`"),
    "ImproperlyConfigured: Set the SECRET_KEY environment variable": (
        "missing-variable",
        "`env: {SECRET_KEY: …}`",
    ),
    "decouple.UndefinedValueError: TOKEN not found. Declare it as envvar or define a default": (
        "missing-variable",
        "`env: {TOKEN: …}`",
    ),
    "OSError: [Errno 30] Read-only file system: '/app/uploads/a.png'": (
        "read-only-path",
        "`volumes: {uploads: /app/uploads}` in its entry if that is to stay,"
        " `tmpfs: {/app/uploads: 64m}` if not",
    ),
    "OSError: [Errno 30] Read-only file system: '/app/a.png'": ("read-only-path", KEPT),
    "OSError: [Errno 30] Read-only file system: '/app/media'": (
        "read-only-path",
        "`volumes: {media: /app/media}`",
    ),
    '  File "<frozen os>", line 225, in makedirs\n    mkdir(name, mode)\n'
    "OSError: [Errno 30] Read-only file system: '/srv/2.0'": (
        "read-only-path",
        "`volumes: {data: /srv/2.0}`",
    ),
    "Error: EROFS: read-only file system, open '/var/lib/shop/a.db'": (
        "read-only-path",
        "`volumes: {shop: /var/lib/shop}`",
    ),
    "Error: EROFS: read-only file system, mkdir '/app/data'": (
        "read-only-path",
        "`volumes: {data: /app/data}`",
    ),
    "panic: open /srv/x/log: read-only file system": ("read-only-path", "{x: /srv/x}"),
    "mkdir: cannot create directory '/app/data': Read-only file system": (
        "read-only-path",
        "{data: /app/data}",
    ),
    "/app/main: line 3: /srv/x/log: Read-only file system": ("read-only-path", "{x: /srv/x}"),
    "fopen: /srv/x/log: Read-only file system": ("read-only-path", "{x: /srv/x}"),
    "sqlite3.OperationalError: attempt to write a readonly database": ("read-only-path", KEPT),
    "SqliteError: unable to open database file": ("read-only-path", KEPT),
    "PermissionError: [Errno 13] Permission denied: '/etc/hosts'": ("permission", KEPT),
    "Error: EACCES: permission denied, open '/etc/hosts'": ("permission", KEPT),
    "open /etc/hosts: permission denied": ("permission", KEPT),
    "OSError: [Errno 98] Address already in use": ("address-in-use", "$PORT (50051)"),
    "[2026-11-01 10:00:00 +0000] [7] [ERROR] Worker (pid:9) was sent SIGSEGV!": (
        "worker-killed",
        "PYTHONFAULTHANDLER=1",
    ),
    "/usr/bin/env: 'python3\\r': No such file or directory": ("windows-lines", "sed -i"),
    "/app/main: 2: set: Illegal option -\r\nmain: 3: echo\r: not found": ("windows-lines", "eol"),
}


@pytest.mark.parametrize("text", CASES)
def test_known_failures_say_what_to_write(text: str) -> None:
    """The newest of them, with the line that shows it."""
    found = find(["KeyError: 'A'", *text.split("\n"), "something else"], APP)
    code, step = CASES[text]
    assert found
    assert (found.code, step in found.next_step) == (code, True), found
    assert found.evidence == text.rsplit("\n", maxsplit=1)[-1].strip()


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'price'",
        "1 validation error for Order\nprice\n  Input should be a valid number",
        "hello world",
        "Environment variable SENTRY_DSN is not set, error tracking is off\nGET / 503",
    ],
)
def test_other_failures_are_not_guessed_at(text: str) -> None:
    """A dictionary without a key is no missing variable."""
    assert find(text.split("\n"), APP) is None


def test_a_program_with_a_volume_is_sent_there() -> None:
    """It has a place; and a file in it that is another's is mended by a deploy."""
    app = replace(APP, options=Options(volumes={"data": "/srv"}))
    database = find(["OperationalError: unable to open database file"], app)
    denied = find(["PermissionError: [Errno 13] Permission denied: '/srv/a.db'"], app)
    bare = find(["thread 'main' panicked: Read-only file system (os error 30)"], app)
    assert database
    assert database.next_step == "let it write below /srv, which `volumes:` in its entry names"
    assert denied
    assert denied.next_step.startswith("run `iac deploy`: it gives all files of /srv")
    assert bare
    assert (bare.code, bare.next_step) == ("read-only-path", database.next_step)


def facts(health: Health, **more: Any) -> DiagnosisFacts:
    given = {
        "app": APP,
        "project": "demo",
        "health": health,
        "probe": Probe("web", refused=True, message="refused"),
        "rotated": True,
        "state": "running, 0 restarts",
        "oom": False,
        "waited": 60.0,
        "limit": 60.0,
        "memory_mb": 512,
    }
    return DiagnosisFacts(**{**given, **more})


CRASHED = Health(
    *("web", "NOT_SERVING", "FAILED"),
    exit_code=1,
    message="exited with code 1",
    failures=3,
    hopeless=True,
)


def test_a_traceback_is_shown_once() -> None:
    """The runner starts a failed program again: only its last run's words are shown, bounded."""
    run = [f"line {n}" for n in range(30)]
    run += ["ValueError: bad", "runner: the program ended (exited with code 1); starting it again"]
    run[-1] += " in 0 s"
    found = diagnose(facts(CRASHED, lines=run * 3))
    assert found.log == tuple(run[:-1][-SHOWN_LINES:]), "nor that it was started again"
    assert found.finding.cause == "exited with code 1"
    assert found.finding.evidence == "ValueError: bad"
    assert found.finding.next_step == "iac logs web --project demo"


def test_words_that_came_after_the_line_of_the_runner_are_shown() -> None:
    """The program's output and the runner's lines are two streams: Docker may turn them round."""
    again = "runner: the program ended (exited with code 3); starting it again in 0 s"
    for lines in (
        ["last words", again, again],
        [again, again, "last words"],
        [again, "last words"],
    ):
        found = diagnose(facts(CRASHED, lines=lines))
        assert found.log == ("last words",)
        assert found.finding.evidence == "last words"


def test_an_exception_is_evidence_and_the_request_after_it_is_not() -> None:
    """Development servers log the request when its traceback is out; colours are theirs."""
    health = Health("web", "NOT_SERVING", "RUNNING", message="GET /: 500", cause="no-answer")
    raised = "urllib.error.URLError: <urlopen error [Errno -5] No address>"
    noted = '127.0.0.1 - - [27/Nov/2026 19:18:17] "\x1b[35m\x1b[1mGET / HTTP/1.1\x1b[0m" 500 -'
    lines = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', raised]
    assert diagnose(facts(health, lines=[*lines, noted])).finding.evidence == raised
    assert diagnose(facts(health, lines=[*lines, noted, "later"])).finding.evidence == "later"
    assert diagnose(facts(health, lines=["hello", noted])).finding.evidence == noted


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("", "[2030-01-01 00:00:00 +0000] [9] [ERROR] Reason: Worker failed to boot."),
        ("ERROR:    ", "ERROR:    Application startup failed. Exiting."),
    ],
)
def test_an_exception_is_evidence_and_the_farewell_of_the_server_is_not(
    first: str, last: str
) -> None:
    """The application could not be imported or started, and the server says that it leaves."""
    raised = "ImportError: Bad git executable."
    lines = [f"{first}Traceback (most recent call last):", '  File "a.py", line 1', raised]
    assert diagnose(facts(CRASHED, lines=[*lines, "", "More.", last])).finding.evidence == raised
    assert diagnose(facts(CRASHED, lines=["hello", last])).finding.evidence == last


def test_what_a_worker_said_before_its_end_is_evidence() -> None:
    """gunicorn starts the next one all the time, and says so all the time."""
    health = Health("web", "NOT_SERVING", "RUNNING", message="no answer", cause="no-answer")
    booting = "[2030-01-01 00:00:00 +0000] [9] [INFO] Booting worker with pid: 9"
    ended = "[2030-01-01 00:00:00 +0000] [1] [ERROR] Worker (pid:9) exited with code 1"
    said = "Error: please configure a random SECRET_KEY"
    lines = [booting, said, ended, booting]
    assert diagnose(facts(health, lines=lines)).finding.evidence == said
    assert diagnose(facts(health, lines=[booting])).finding.evidence == booting


def test_memory_wins_over_what_the_program_said() -> None:
    """Limit and both places to raise it."""
    killed = replace(CRASHED, oom=True, message="killed by the kernel: out of memory")
    found = diagnose(facts(killed, lines=["ModuleNotFoundError: No module named 'x'"])).finding
    assert (found.code, found.cause) == ("out-of-memory", "out of memory: its limit is 512 MiB")
    assert "`memory: 1024m`" in found.next_step
    assert "IAC_MEMORY_MB" in found.next_step


def test_a_killed_worker_is_memory_though_the_program_lives() -> None:
    """gunicorn's master goes on; what listens elsewhere fails for that and not for memory."""
    lives = Health("web", "NOT_SERVING", "RUNNING", cause="no-answer", message="503", oom_kills=3)
    found = diagnose(facts(lives, lines=["Worker (pid:8) was sent SIGKILL!"])).finding
    expected = "out of memory: its limit is 512 MiB; the kernel killed 3 of its processes"
    assert (found.code, found.cause) == ("out-of-memory", expected)
    elsewhere = replace(lives, cause="wrong-port", message="listens on 9000")
    assert diagnose(facts(elsewhere)).finding.code == "wrong-port"


def test_a_slow_start_names_both_limits() -> None:
    """The entry's own and the one for all."""
    starting = Health("web", "NOT_SERVING", "STARTING", message="accepts, does not answer yet")
    found = diagnose(facts(starting)).finding
    assert found.cause == "not SERVING within 60 s: accepts, does not answer yet"
    assert "`health_timeout: 120`" in found.next_step
    assert "IAC_HEALTH_TIMEOUT" in found.next_step


def test_who_listens_nowhere_may_be_a_worker() -> None:
    """Alive to the end of the wait, without a port."""
    silent = Health("web", "NOT_SERVING", "STARTING", cause="no-listener", message="alive")
    found = diagnose(facts(silent)).finding
    assert found.cause == "alive for 60 s and not listening anywhere"
    assert found.next_step.startswith("write `run: worker` if it is not a server")

    known = facts(silent)
    tcp = replace(known, app=replace(known.app, run=None, options=Options(tcp=(6000,))))
    found = diagnose(tcp).finding
    assert found.cause == "alive for 60 s and not listening on port 6000"
    assert found.next_step.startswith("correct `tcp:` if it listens on other ports")


def test_the_runners_own_advice_is_passed_on() -> None:
    """Its cause is the evidence, too."""
    wrong = Health("web", "NOT_SERVING", "STARTING", cause="wrong-port", message="listens on 9000")
    found = diagnose(facts(replace(wrong, next_step="write `port: 9000`"), lines=["up"])).finding
    assert (found.code, found.evidence, found.next_step) == ("wrong-port", "", "write `port: 9000`")


def test_a_web_object_beside_what_ended_is_named() -> None:
    """The program that was chosen is not the one to serve."""
    entrypoint = replace(APP.entrypoint, web_object="site:app")
    ended = replace(CRASHED, exit_code=0, cause="ended", message="ended with exit code 0")
    found = diagnose(facts(ended, app=replace(APP, entrypoint=entrypoint))).finding
    assert "`entrypoint: site:app`" in found.next_step


def test_what_is_around_the_program_comes_first() -> None:
    """A certificate out of date, a stranger let in, a sidecar that is not there."""
    serving = Health("web", "SERVING", "RUNNING")
    assert diagnose(facts(serving, rotated=False)).finding.code == "old-certificate"
    answered = Probe("web", refused=False, message="answered")
    assert diagnose(facts(serving, probe=answered)).finding.code == "stranger"
    gone = Health("web", "UNREACHABLE", cause="unreachable", message="no sidecar answers as web")
    found = diagnose(facts(gone, lines=["KeyError: 'x'"])).finding
    assert (found.code, found.next_step.endswith("--envoy")) == ("unreachable", True)
