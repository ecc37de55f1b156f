"""The launcher around small programs: what they see, how they end, what OpenTelemetry tells."""

from __future__ import annotations

import contextlib
import http.server
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import launch, telemetry
from tests.support.running import running

pytestmark = pytest.mark.slow  # a Python for each test

LAUNCH = launch.__file__
BASE_PYTHON = str(Path(sys.base_prefix) / "bin" / "python3")
"""An interpreter without our packages, like an app's."""

SITE = sysconfig.get_path("purelib")
CONSOLE = {"IAC_OTEL_PATH": SITE, "OTEL_TRACES_EXPORTER": "console"}


class App:
    """A folder with a program in it, run as the container runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, path: str, text: str) -> None:
        """Add a file."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def run(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Launch; without OpenTelemetry unless `env` brings it."""
        return subprocess.run(
            [BASE_PYTHON, LAUNCH, *argv],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "IAC_OTEL_PATH": "/nonexistent", **env},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


@pytest.fixture
def app(tmp_path: Path) -> App:
    """An empty app folder, its name with a space."""
    (tmp_path / "the app").mkdir()
    return App(tmp_path / "the app")


def test_script_sees_what_python_would_show_it(app: App) -> None:
    """__main__, sys.argv, sys.path and __file__ are those of ``python path``."""
    text = (
        "import sys, json, pickle, os\n"
        "class Thing: pass\n"
        "pickle.dumps(Thing())\n"
        "print(json.dumps([__name__, sys.argv, sys.path[:3], __file__, __spec__ is None]))\n"
    )
    app.write("tools/run.py", text)
    app.write("src/x.py", "")
    done = app.run("script", "tools/run.py")
    assert done.stderr == ""
    root, script = str(app.folder), str(app.folder / "tools/run.py")
    folders = [f"{root}/tools", root, f"{root}/src"]
    assert json.loads(done.stdout) == ["__main__", [script], folders, script, True]


def test_module_runs_like_python_dash_m(app: App) -> None:
    """Relative imports work, __main__ has the module's spec, src/ is searched."""
    app.write("src/pkg/__init__.py", "")
    app.write("src/pkg/other.py", "WORD = 'found'")
    app.write("src/pkg/app.py", "from .other import WORD\nprint(__name__, __spec__.name, WORD)")
    app.write("src/pkg/__main__.py", "from .other import WORD\nprint('package', WORD)")
    assert app.run("module", "pkg.app").stdout == "__main__ pkg.app found\n"
    assert app.run("module", "pkg").stdout == "package found\n"


def test_a_supplied_server_comes_after_all_that_the_program_has(app: App, tmp_path: Path) -> None:
    """What both have is the program's own."""
    shutil.copy(LAUNCH, tmp_path / "launch.py")
    supplied = tmp_path / "servers"
    for name, text in {"serve": "import sys, kit; print(kit.WHO, sys.argv[1:])", "kit": ""}.items():
        (supplied / name).mkdir(parents=True)
        (supplied / name / "__init__.py").write_text("WHO = 'the supplied'")
        (supplied / name / "__main__.py").write_text(text)
    app.write("kit.py", "WHO = 'the own'")
    argv = [BASE_PYTHON, str(tmp_path / "launch.py"), "supplied", "serve", "--", "a:b"]
    done = subprocess.run(argv, cwd=app.folder, capture_output=True, text=True, check=True)
    assert done.stdout == "the own ['a:b']\n"


def test_arguments_follow_a_double_dash(app: App) -> None:
    """Everything after ``--`` is the program's, an option or another ``--`` included."""
    app.write("tool.py", "import sys; print(sys.argv[1:])")
    done = app.run("module", "tool", "--", "run", "--port", "8080", "--", "x")
    assert done.stdout == "['run', '--port', '8080', '--', 'x']\n"


def test_a_command_of_its_own_python_runs_in_process(app: App, tmp_path: Path) -> None:
    """gunicorn's own script, say: its arguments, the app on its path, and OpenTelemetry."""
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "python").symlink_to(BASE_PYTHON)
    (scripts / "serve").write_text(
        f"#!{scripts}/python\nimport sys, web\nprint(web.found, sys.argv[1:])\n"
    )
    (scripts / "serve").chmod(0o755)
    app.write("web.py", "found = True\n")  # beside the script it would not be
    argv = [str(scripts / "python"), LAUNCH, "command", "serve", "--", "a:b", "--x"]
    env = {"PATH": str(scripts), "IAC_OTEL_PATH": "/nonexistent"}
    done = subprocess.run(
        argv, cwd=app.folder, env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.stdout, done.stderr) == ("True ['a:b', '--x']\n", "")


def test_any_other_command_is_executed(app: App) -> None:
    """A program that is not our Python's takes the launcher's place, with its exit code."""
    done = app.run("command", "sh", "--", "-c", "echo $0 $PPID; exit 7", "zero")
    assert done.returncode == 7
    assert done.stdout == f"zero {os.getpid()}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"#!/bin/sh\r\necho\r\n", "launch: start.sh has Windows line ends (CR LF)\n"),
        (b"#!/no/such/shell\necho\n", "start.sh is for /no/such/shell, which is not in this"),
        (b"no program", "cannot start "),
    ],
)
def test_a_command_that_cannot_be_executed_is_one_line(app: App, text: bytes, words: str) -> None:
    """The kernel would only say that there is no such file."""
    script = app.folder / "start.sh"
    script.write_bytes(text)
    script.chmod(0o755)
    done = app.run("command", str(script))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert words in done.stderr


def test_script_function_that_nobody_calls_is_called(app: App) -> None:
    """The body runs as __main__, then the named function; an int is the exit code."""
    app.write("main.py", "print(__name__)\ndef main():\n    print('called')\n    return 4\n")
    done = app.run("script", "main.py", "main")
    assert (done.stdout, done.returncode) == ("__main__\ncalled\n", 4)


def test_script_function_may_return_anything(app: App) -> None:
    """A value that is no int is not an error message."""
    app.write("main.py", "def main():\n    return {'rows': 3}\n")
    assert app.run("script", "main.py", "main").returncode == 0


def test_coroutine_function_is_run(app: App) -> None:
    """An async main is awaited."""
    app.write(
        "main.py", "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    return 5\n"
    )
    assert app.run("script", "main.py", "main").returncode == 5


def test_module_function_has_console_script_semantics(app: App) -> None:
    """The module is imported under its name, and what the function returns goes to sys.exit."""
    app.write(
        "tool.py", "class Cli:\n    def run():\n        print(__name__)\n        return 'no'\n"
    )
    done = app.run("module", "tool", "Cli.run")
    assert (done.stdout, done.stderr, done.returncode) == ("tool\n", "no\n", 1)


def test_exit_codes_are_kept(app: App) -> None:
    """sys.exit of the program is the exit code."""
    app.write("main.py", "raise SystemExit(42)")
    assert app.run("script", "main.py").returncode == 42


def test_traceback_starts_in_the_program(app: App) -> None:
    """An uncaught exception shows the program's frames and none of the launcher's."""
    app.write("main.py", "def f():\n    1 / 0\nf()\n")
    done = app.run("script", "main.py")
    assert done.returncode == 1
    assert "launch.py" not in done.stderr
    assert 'main.py", line 3, in <module>' in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_syntax_error_shows_the_program_only(app: App) -> None:
    """A program that does not compile is shown as Python shows it."""
    app.write("main.py", "def (:\n")
    done = app.run("script", "main.py")
    assert "launch.py" not in done.stderr
    assert "SyntaxError" in done.stderr


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("script", "gone.py"), "cannot read"),
        (("module", "gone"), "no module named gone"),
        (("script", "empty.py", "main"), "has no main"),
        (("binary", "x"), "usage: launch.py"),
        (("command", "gunicorn-x"), "no program gunicorn-x in this image: add the package"),
    ],
)
def test_missing_things_are_one_line(app: App, argv: tuple[str, ...], words: str) -> None:
    """What is not there is said in one line, exit code 1."""
    app.write("empty.py", "")
    done = app.run(*argv)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_multiprocessing_spawn_finds_the_program(app: App) -> None:
    """A spawned worker imports the program again, not the launcher."""
    app.write(
        "main.py",
        "import multiprocessing as mp\n"
        "def work(x): return x * 2\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool: print(pool.map(work, [21]))\n",
    )
    done = app.run("script", "main.py")
    assert (done.stdout, done.stderr) == ("[42]\n", "")


def spans_of(stderr: str) -> dict[str, dict[str, Any]]:
    """Console spans by the first word of their name."""
    found = [json.loads(line) for line in stderr.splitlines() if line.startswith('{"name"')]
    return {span["name"].split()[0]: span for span in found}


otel = pytest.mark.skipif(
    not (Path(SITE) / "opentelemetry/sdk").exists(), reason="needs opentelemetry-sdk"
)


@otel
def test_console_spans_tell_start_and_end(app: App) -> None:
    """Where that is asked for, both spans go to stderr, with service name and exit code."""
    app.write("main.py", "print('work')\nraise SystemExit(3)")
    done = app.run("script", "main.py", OTEL_SERVICE_NAME="svc", **CONSOLE)
    assert (done.stdout, done.returncode) == ("work\n", 3)
    spans = spans_of(done.stderr)
    assert spans["start"]["context"]["trace_id"] == spans["run"]["context"]["trace_id"]
    assert spans["run"]["resource"]["attributes"]["service.name"] == "svc"
    assert spans["run"]["attributes"]["process.exit.code"] == 3
    assert spans["run"]["status"]["status_code"] == "ERROR"


@otel
def test_exception_is_on_the_span_and_still_raised(app: App) -> None:
    """The run span carries the exception, the program ends as without it."""
    app.write("main.py", "raise ValueError('boom')")
    done = app.run("script", "main.py", **CONSOLE)
    assert done.returncode == 1
    assert "launch.py" not in done.stderr
    assert spans_of(done.stderr)["run"]["events"][0]["name"] == "exception"


@otel
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    ],
    ids=["by default", "none", "disabled"],
)
def test_what_is_sent_nowhere_is_not_recorded(app: App, env: dict[str, str]) -> None:
    """Nothing on stderr and no SDK in memory; the API can be imported, and does nothing."""
    app.write(
        "main.py",
        "import sys\n"
        "from opentelemetry import trace\n"
        "with trace.get_tracer('x').start_as_current_span('y') as span:\n"
        "    print(span.is_recording(), 'opentelemetry.sdk' in sys.modules)\n",
    )
    done = app.run("script", "main.py", IAC_OTEL_PATH=SITE, **env)
    assert (done.stdout, done.stderr) == ("False False\n", "")


@otel
def test_a_program_that_brings_the_api_gets_the_sdk_that_fits(app: App, tmp_path: Path) -> None:
    """Ours joins an API of its version; beside another one it would break, and a line says so."""
    api = tmp_path / "brought"
    shutil.copytree(
        Path(SITE) / "opentelemetry", api / "opentelemetry", ignore=shutil.ignore_patterns("sdk")
    )
    shutil.copy(Path(SITE) / "typing_extensions.py", api)
    version = importlib.metadata.version("opentelemetry-api")
    for other in (version, "1.2.3"):
        (api / f"opentelemetry_api-{other}.dist-info").mkdir()
        (api / f"opentelemetry_api-{other}.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: opentelemetry-api\nVersion: {other}\n"
        )
        app.write("main.py", "from opentelemetry import trace\nprint(trace.__file__)\n")
        done = app.run("script", "main.py", PYTHONPATH=str(api), **CONSOLE)
        assert done.stdout.startswith(str(api))
        if other == version:
            assert spans_of(done.stderr)["run"]["name"] == "run main.py"
            shutil.rmtree(api / f"opentelemetry_api-{other}.dist-info")
        else:
            assert done.stderr == (
                "launch: no OpenTelemetry: the program brings opentelemetry-api 1.2.3 without its"
                " SDK; add opentelemetry-sdk to its requirements\n"
            )


@otel
def test_grpc_needs_the_programs_own_exporter(app: App) -> None:
    """What is missing is a line with the requirement, and the program runs."""
    app.write("main.py", "print('ran')")
    env = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_EXPORTER": "otlp"}
    done = app.run("script", "main.py", IAC_OTEL_PATH=SITE, **env)
    assert done.stdout == "ran\n"
    assert "needs opentelemetry-exporter-otlp-proto-grpc in the requirements" in done.stderr
    assert done.stderr.count("\n") == 1


def test_broken_opentelemetry_never_breaks_the_program(app: App, tmp_path: Path) -> None:
    """A set-up that fails is one line, and the program runs."""
    broken = tmp_path / "otel" / "opentelemetry" / "sdk"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('bad build')")
    app.write("main.py", "print('ran')")
    done = app.run("script", "main.py", **{**CONSOLE, "IAC_OTEL_PATH": str(tmp_path / "otel")})
    assert (done.stdout, done.returncode) == ("ran\n", 0)
    assert done.stderr.startswith("launch: no OpenTelemetry: ")
    assert done.stderr.count("\n") == 1


@otel
def test_program_with_its_own_sdk_keeps_the_global_provider(app: App) -> None:
    """A program that sets a provider itself is not overruled by ours."""
    app.write(
        "main.py",
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "mine = TracerProvider()\n"
        "trace.set_tracer_provider(mine)\n"
        "print(trace.get_tracer_provider() is mine)\n",
    )
    done = app.run("script", "main.py", PYTHONPATH=SITE, **CONSOLE)
    assert done.stdout == "True\n"
    assert "run" in spans_of(done.stderr)


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes OTLP/HTTP posts."""

    bodies: list[tuple[str, bytes]] = []  # noqa: RUF012 - set anew by the fixture

    def do_POST(self) -> None:
        """Keep what came."""
        length = int(self.headers["Content-Length"])
        self.bodies.append((self.path, self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        """Be quiet."""


@pytest.fixture
def collector() -> Iterator[str]:
    """URL of a real OTLP/HTTP endpoint."""
    Collector.bodies = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}"


@otel
def test_spans_reach_the_endpoint(app: App, collector: str) -> None:
    """With an endpoint spans go there at exit, and nothing to stderr."""
    app.write("main.py", "print('ok')")
    done = app.run(
        "script",
        "main.py",
        IAC_OTEL_PATH=SITE,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector,
        OTEL_SERVICE_NAME="svc",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")
    paths, bodies = zip(*Collector.bodies, strict=True)
    assert set(paths) == {"/v1/traces"}
    assert all(word in b"".join(bodies) for word in (b"svc", b"start main.py", b"run main.py"))


@otel
def test_dead_endpoint_does_not_hold_the_program_up(app: App) -> None:
    """Nobody at the endpoint costs seconds at most and not the exit code."""
    app.write("main.py", "raise SystemExit(3)")
    began = time.monotonic()
    done = app.run(
        "script", "main.py", IAC_OTEL_PATH=SITE, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
    )
    assert done.returncode == 3
    assert time.monotonic() - began < telemetry.EXPORT_SECONDS + 4


@pytest.fixture
def inside(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app's folder with this process in place of the launched one, put back afterwards."""
    monkeypatch.chdir(app.folder)
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", ["/opt/iac", *sys.path])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    yield app
    for name in ("inner", "inner.__main__"):
        sys.modules.pop(name, None)


def test_launcher_folder_leaves_the_path(inside: App) -> None:
    """The launcher's own folder is no place the program imports from."""
    inside.write("main.py", "import sys\ndef main(): return sys.path.count('/opt/iac')\n")
    inside.write("src/x.py", "")
    assert launch.main(["script", "main.py", "main"]) == 0
    assert sys.path[:2] == [str(inside.folder), str(inside.folder / "src")]


def test_each_mode_in_process(inside: App) -> None:
    """Package, module function and coroutine, without a process of their own."""
    inside.write("inner/__init__.py", "async def go():\n    return 9\n")
    inside.write("inner/__main__.py", "raise SystemExit(__spec__.name)")
    with pytest.raises(SystemExit, match=r"inner\.__main__"):
        launch.main(["module", "inner"])
    assert launch.main(["module", "inner", "go"]) == 9


@pytest.mark.parametrize(
    "argv", [["script", "gone.py"], ["module", "gone"], ["module", "json", "gone"], ["what"]]
)
def test_what_is_missing_in_process(inside: App, argv: list[str]) -> None:
    """Each missing thing ends with a sentence."""
    with pytest.raises(SystemExit, match=r"launch"):
        launch.main(argv)


def test_traceback_is_cut_in_process(inside: App, capsys: pytest.CaptureFixture[str]) -> None:
    """The hook drops the launcher's frames and keeps the program's."""
    inside.write("main.py", "1 / 0")
    with pytest.raises(ZeroDivisionError) as error:
        launch.main(["script", "main.py"])
    trace = error.value.__traceback__
    assert trace is not None
    sys.excepthook(ZeroDivisionError, error.value, trace.tb_next)
    assert "launch.py" not in capsys.readouterr().err


@otel
@pytest.mark.parametrize(
    ("body", "status"),
    [("pass", "UNSET"), ("raise SystemExit(0)", "UNSET"), ("raise SystemExit('no')", "ERROR")],
)
def test_spans_in_process(
    inside: App,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: str,
    status: str,
) -> None:
    """Only an exit that is no success is an error on the span."""
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    for name, value in CONSOLE.items():
        monkeypatch.setenv(name, value)
    inside.write("main.py", body)
    with contextlib.suppress(SystemExit):
        launch.main(["script", "main.py"])
    spans = spans_of(capsys.readouterr().err)
    assert spans["run"]["status"]["status_code"] == status
    assert spans["start"]["parent_id"] == spans["run"]["context"]["span_id"]


@otel
def test_endpoint_in_process(inside: App, monkeypatch: pytest.MonkeyPatch, collector: str) -> None:
    """An endpoint of its own for traces counts too; the program's exception is on the span."""
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector}/mine")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    inside.write("main.py", "raise ValueError('boom')")
    with pytest.raises(ValueError, match="boom"):
        launch.main(["script", "main.py"])
    deadline = time.monotonic() + 5
    while not any(b"boom" in body for _, body in Collector.bodies):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {path for path, _ in Collector.bodies} == {"/mine"}


def test_image_without_opentelemetry_says_nothing(app: App) -> None:
    """No packages at the path is no reason for a warning."""
    app.write("main.py", "print('ran')")
    done = app.run("script", "main.py")
    assert (done.stdout, done.stderr) == ("ran\n", "")
