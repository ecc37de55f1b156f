"""The command as people use it, without an engine: exit codes, messages, no tracebacks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.adapters import workspace_lock
from tests.support.docker_daemon import Daemon, FakeContainer
from tests.support.git_server import GitServer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder, which is also the working directory."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def test_help_imports_nothing_heavy() -> None:
    """`iac --help` pays neither for grpc, the Docker SDK, cdktf nor cryptography."""
    code = (
        "import sys; from iac_wrapper.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'docker', 'cdktf', 'cryptography', 'jsii'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deploy" in done.stdout


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 2, ["repos.yaml", "expected"]),
        ("- [", 2, ["repos.yaml:1"]),
        ("- gh:owner\n", 2, ["repos.yaml:1", "gh:owner"]),
        ("- slug: gh:o/r\n  prot: 1\n", 2, ["repos.yaml:2", "prot"]),
        ("- ./none\n", 3, ["./none"]),
    ],
)
def test_bad_input_has_a_code_and_names_the_place(
    folder: Path, engine_double: Daemon, content: str | None, code: int, words: list[str]
) -> None:
    """Missing file, bad YAML, bad slug, unknown key, missing path: message and exit code."""
    if content is not None:
        (folder / "repos.yaml").write_text(content)
    result = _iac("deploy", "--file", "repos.yaml", "--project", "demo")
    assert result.exit_code == code, result.output
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.output
    assert not (folder / "repos.lock.json").exists()


@pytest.mark.parametrize(
    ("slug", "words"),
    [
        ("gh:acme/none", ["not found", "gh:acme/none"]),
        ("gh:acme/app#nowhere", ["nowhere", "main"]),
        ("gh:acme/app#main:no/such", ["no/such"]),
        ("gh:acme/empty", ["main.py", "entrypoint"]),
    ],
)
def test_bad_sources_are_exit_code_3(
    folder: Path,
    engine_double: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    slug: str,
    words: list[str],
) -> None:
    """Unknown repository, missing ref, missing subdirectory, nothing to run: said, with code 3."""
    with GitServer(folder / "git") as server:
        server.repository("acme/app").commit({"main.py": "print()"})
        server.repository("acme/empty").commit({"README": "nothing to run"})
        monkeypatch.setenv("IAC_GITHUB_URL", server.url)
        result = _iac("deploy", slug, "--project", "demo")
    assert result.exit_code == 3, result.output
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_host_is_exit_code_3(
    folder: Path, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that does not resolve is named; the error says that trying again may help."""
    monkeypatch.setenv("IAC_GITHUB_URL", "https://no-such-host.invalid")
    result = _iac("deploy", "gh:acme/app", "--project", "demo", "--json")
    assert result.exit_code == 3, result.output
    error = json.loads(result.stdout)["error"]
    assert error["retryable"]
    assert "no-such-host.invalid" in json.dumps(error)


def test_a_taken_gateway_port_is_exit_code_2(
    folder: Path, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port is named before anything is fetched or changed."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setenv("IAC_GATEWAY_PORT", str(port))
        result = _iac("deploy", "gh:acme/app", "--project", "demo")
    assert result.exit_code == 2
    assert f"port {port}" in result.stderr
    assert "IAC_GATEWAY_PORT" in result.stderr


def test_json_errors_are_json(folder: Path) -> None:
    """With --json an error is an object on stdout, beside the text on stderr."""
    del folder
    result = _iac("plan", "--file", "none.yaml", "--json")
    error = json.loads(result.stdout)["error"]
    assert (error["error"], error["exit_code"]) == ("ConfigError", 2)


def test_a_busy_project_is_refused(folder: Path, engine_double: Daemon) -> None:
    """Exit code 6, with the holder named."""
    (folder / "app").mkdir()
    (folder / "app" / "main.py").write_text("print()")
    (folder / "repos.yaml").write_text("- ./app\n")
    with workspace_lock.hold(folder / ".iac" / "projects" / "demo", "iac deploy"):
        result = _iac("deploy", "--project", "demo")
    assert result.exit_code == 6
    assert f"process {os.getpid()}" in result.stderr


@pytest.mark.parametrize("verb", ["health", "logs"])
def test_nothing_deployed_is_said(folder: Path, engine_double: Daemon, verb: str) -> None:
    """Health and logs of a project without services: exit 2 and what to do."""
    result = _iac(verb, "--project", "demo")
    assert result.exit_code == 2
    assert "nothing is deployed in project demo" in result.stderr
    assert "iac deploy" in result.stderr


def test_an_absent_engine_is_exit_code_5(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No engine: the message names it and the next command."""
    (folder / "repos.yaml").write_text("- ./app\n")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for verb in (["deploy"], ["plan"], ["destroy", "--yes"]):
        result = _iac(*verb)
        assert result.exit_code == 5, verb
        assert "the Docker engine does not answer" in result.stderr


def test_destroy_of_nothing_succeeds_and_sweeps_strays(folder: Path, engine_double: Daemon) -> None:
    """Without a state, what carries the label is still removed; the project folder goes."""
    engine_double.add(FakeContainer("s", "demo", "web", "app"))
    (folder / "secrets" / "demo" / "web").mkdir(parents=True)
    result = _iac("destroy", "--project", "demo", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["swept"] == ["container demo-web-app"]
    assert engine_double.containers == {}
    assert not (folder / ".iac" / "projects" / "demo").exists()
    assert not (folder / "secrets" / "demo").exists()


def test_logs_are_prefixed_and_cannot_steer_the_terminal(
    folder: Path, engine_double: Daemon
) -> None:
    """Escape sequences are dropped on the terminal and kept in JSON."""
    line = b"\x1b]0;title\x07\x1b[31mred\x1b[0m\tplain\n"
    engine_double.add(FakeContainer("1", "demo", "web", "app", log=[(1, line)]))
    assert _iac("logs", "--project", "demo").stdout == "web | red\tplain\n"
    record = json.loads(_iac("logs", "--project", "demo", "--json").stdout)
    assert record["line"] == line.decode().rstrip("\n")


def test_heal_reports(folder: Path, engine_double: Daemon) -> None:
    """Heal names what it started, or says that there was nothing."""
    engine_double.add(FakeContainer("1", "demo", "web", "envoy", state="exited"))
    assert _iac("heal", "--project", "demo").stdout == "demo-web-envoy: started\n"
    assert _iac("heal", "--project", "demo").stdout == "Nothing to heal.\n"


def test_heal_all_heals_every_project(folder: Path, engine_double: Daemon) -> None:
    """What the systemd unit calls: one command for the whole engine."""
    engine_double.add(FakeContainer("1", "one", "a", "envoy", state="exited"))
    engine_double.add(FakeContainer("2", "two", "b", "gateway", state="exited"))
    healed = json.loads(_iac("heal", "--all", "--json").stdout)["healed"]
    assert healed == ["one-a-envoy: started", "two-b-gateway: started"]


def test_a_bad_project_name_is_refused(folder: Path) -> None:
    """The name must be usable for networks and containers."""
    result = _iac("health", "--project", "No Good")
    assert result.exit_code == 2
    assert "--project" in result.stderr


def test_two_slugs_and_one_environment_entrypoint(
    folder: Path, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENTRYPOINT can only mean one app."""
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "main.py").write_text("print()")
    monkeypatch.setenv("ENTRYPOINT", "main")
    result = _iac("plan", "./a", "./b", "--project", "demo")
    assert result.exit_code == 2
    assert "ENTRYPOINT" in result.stderr
    assert "a, b" in result.stderr


def test_outside_a_project_folder_the_installed_one_is_used(tmp_path: Path) -> None:
    """From anywhere, the folder that the package was installed from is the project."""
    assert cli.find_root(tmp_path) == Path(cli.__file__).resolve().parent.parent
