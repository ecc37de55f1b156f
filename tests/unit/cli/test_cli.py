"""The command as people use it, without an engine: exit codes, messages, no tracebacks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import iac_wrapper
from iac_wrapper import cli
from iac_wrapper.adapters import workspace_lock
from iac_wrapper.cli.folder import find_root
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import machine_home
from iac_wrapper.files.layout import Layout
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon, FakeContainer
from tests.support.git_server import GitServer
from tests.support.stream import result_of


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
    error = result_of(result.stdout)["error"]
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


def test_destroy_without_a_state_sweeps_strays(folder: Path, engine_double: Daemon) -> None:
    """What carries the label is still removed; the project's folders go."""
    engine_double.add(FakeContainer("s", "demo", "web", "app"))
    (folder / "secrets" / "demo" / "web").mkdir(parents=True)
    result = _iac("destroy", "--yes", "--project", "demo", "--json")
    assert result.exit_code == 0, result.output
    assert result_of(result.stdout)["swept"] == ["container demo-web-app"]
    assert engine_double.containers == {}
    assert not (folder / ".iac" / "projects" / "demo").exists()
    assert not (folder / "secrets" / "demo").exists()


def test_destroy_of_an_unknown_project_is_an_error(folder: Path, engine_double: Daemon) -> None:
    """A typing error must not read as a success: exit 2 with the known ones; scripts may say that
    it does not matter. Nothing is made on the way."""
    engine_double.add(FakeContainer("s", "demo", "web", "app"))
    (folder / ".iac" / "projects" / "older").mkdir(parents=True)
    (folder / ".iac" / "projects" / "older" / "terraform.tfstate").touch()
    result = _iac("destroy", "--yes", "--project", "dmeo")
    assert result.exit_code == 2
    assert "there is no project dmeo" in result.stderr
    assert "the projects demo, older" in result.stderr
    result = _iac("destroy", "--yes", "--if-exists", "--project", "dmeo")
    assert (result.exit_code, result.stdout) == (0, "There is no project dmeo.\n")
    assert not (folder / ".iac" / "projects" / "dmeo").exists()
    assert list(engine_double.containers) == ["s"]


def test_destroy_after_a_destroy_is_of_an_unknown_project(
    folder: Path, engine_double: Daemon
) -> None:
    """What a command that found nothing leaves, a folder with a lock in it, is no project."""
    engine_double.add(FakeContainer("s", "demo", "web", "app"))
    assert _iac("destroy", "--yes", "--project", "demo").exit_code == 0
    with workspace_lock.hold(folder / ".iac" / "projects" / "demo", "iac plan"):
        pass
    assert _iac("destroy", "--yes", "--project", "demo").exit_code == 2


def test_images_are_listed_with_why_and_pruned_on_request(
    folder: Path, engine_double: Daemon
) -> None:
    """Without a terminal a prune needs --yes; what is deployed stays. A destroy leaves the last
    image of each service and says so, and images alone are no project."""
    deployed(Layout(folder), app("web"))
    for service in ("web", "gone"):
        labels = {"org.karstkit.project": "demo", "org.karstkit.service": service}
        name = f"iac/demo-{service}:0123456789ab"
        made = {"Created": int(time.time()), "Size": 12_300_000}
        engine_double.images.append({"RepoTags": [name], "Labels": labels, **made})

    table = _iac("images", "--project", "demo").stdout.splitlines()
    refused = _iac("images", "prune", "--project", "demo")
    pruned = _iac("images", "prune", "--yes", "--json", "--project", "demo")
    again = _iac("images", "prune", "--project", "demo")

    assert [line.split()[1:5] for line in table[1:]] == [
        ["gone", "0123456789ab", "12.3", "MB"],
        ["web", "0123456789ab", "12.3", "MB"],
    ]
    assert [line.split("ago")[1].strip() for line in table[1:]] == ["for a next deploy", "deployed"]
    assert refused.exit_code == 2
    assert "iac images prune --yes --project demo" in refused.stderr
    assert json.loads(pruned.stdout)["removed"] == ["iac/demo-gone:0123456789ab"]
    assert again.stdout == "There is nothing to remove.\n"

    gone = _iac("destroy", "--yes", "--project", "demo")
    assert "nothing is left but its images: iac/demo-web:0123456789ab." in gone.stdout, gone.output
    assert "`iac images prune --project demo` removes them" in gone.stdout
    assert _iac("destroy", "--yes", "--project", "demo").exit_code == 2


def test_destroy_leaves_data_and_says_which(folder: Path, engine_double: Daemon) -> None:
    """`--yes` alone never removes it; a second destroy has nothing to do; `--volumes` does it."""
    engine_double.add(FakeContainer("s", "demo", "web", "app"))
    labels = {"org.karstkit.project": "demo", "org.karstkit.service": "web"}
    engine_double.volumes.append({"Name": "demo-web-data", "Labels": labels})
    for _ in range(2):
        result = _iac("destroy", "--yes", "--project", "demo")
        assert result.exit_code == 0, result.output
        assert "nothing is left but its volumes: demo-web-data." in result.stdout
    assert [volume["Name"] for volume in engine_double.volumes] == ["demo-web-data"]
    result = _iac("destroy", "--volumes", "--yes", "--json", "--project", "demo")
    assert result_of(result.stdout)["volumes_kept"] == []
    assert engine_double.volumes == []


def test_removing_takes_yes_where_nobody_can_be_asked(folder: Path, engine_double: Daemon) -> None:
    """Exit 2 with what would go and what to write; nothing is touched."""
    engine_double.add(FakeContainer("s", "demo", "web", "app"))
    engine_double.volumes.append({"Name": "demo-data", "Labels": {"org.karstkit.project": "demo"}})
    deployed(Layout(folder), app("web"), app("jobs"))
    (folder / "repos.yaml").write_text("- gh:acme/jobs\n")
    for verb, *more, found, command in (
        ("destroy", "services: jobs, web; volumes stay: demo-data", "iac destroy --yes"),
        (
            *("destroy", "--volumes"),
            "services: jobs, web; volumes, with all their data: demo-data",
            "iac destroy --volumes --yes",
        ),
        ("remove", "web", "web", "iac remove web --yes"),
        ("deploy", "--file", "repos.yaml", "web", "iac deploy --file repos.yaml --prune"),
        ("lock", "--file", "repos.yaml", "web", "iac deploy --file repos.yaml --prune"),
    ):
        result = _iac(verb, *more, "--project", "demo")
        assert result.exit_code == 2, result.output
        assert f"found:    {found}\n" in result.stderr
        assert f"{command} --project demo" in result.stderr
        assert verb in ("deploy", "lock") or "no terminal is there to ask" in result.stderr
    assert list(engine_double.containers) == ["s"]
    assert not (folder / "repos.lock.json").exists()
    assert engine_double.calls == []


@pytest.mark.parametrize("other", ["--locked", "--offline"])
def test_a_lock_is_updated_or_kept(folder: Path, other: str) -> None:
    """Not both; --update names entries of the file, also without --file."""
    result = _iac("lock", "--update", other)
    assert result.exit_code == 2
    assert "--update looks at refs anew" in result.stderr
    (folder / "repos.yaml").write_text("- gh:acme/jobs\n")
    result = _iac("lock", "--update", "web")
    assert result.exit_code == 2
    assert "web is not in the file" in result.stderr


def test_remove_of_an_unknown_service_names_the_known(folder: Path, engine_double: Daemon) -> None:
    """Exit 2, before anything is asked or done."""
    del engine_double
    deployed(Layout(folder), app("web"), app("jobs"))
    result = _iac("remove", "web", "wbe", "--project", "demo")
    assert result.exit_code == 2
    assert "no service wbe is deployed in project demo" in result.stderr
    assert "the services jobs, web" in result.stderr


def test_logs_are_of_the_services_that_are_named(folder: Path, engine_double: Daemon) -> None:
    """As words, or with --service; both count."""
    del folder
    for number, name in enumerate(("a", "b", "c")):
        log = [(1, f"line of {name}\n".encode())]
        engine_double.add(FakeContainer(str(number), "demo", name, "app", log=log))
    result = _iac("logs", "a", "--service", "c", "--project", "demo")
    assert result.stdout == "a | line of a\nc | line of c\n"
    assert _iac("logs", "d", "--project", "demo").exit_code == 2


def test_an_environment_is_a_project_of_its_own(folder: Path, engine_double: Daemon) -> None:
    """`--env` and the whole name mean the same one; which it is, is said; hints go on with it."""
    deployed(Layout(folder), app("web"), app("jobs"), project="demo-staging")
    (folder / "repos.yaml").write_text(
        "apps: [gh:acme/jobs]\nenvironments: {staging: {}, production: {}}\n"
    )
    for named in (["demo", "--env", "staging"], ["demo-staging", "--env", "staging"]):
        result = _iac("deploy", "--project", *named)
        assert result.exit_code == 2, result.output
        assert "==> Project demo-staging (environment staging)\n" in result.stderr
        assert "project demo-staging: this would remove" in result.stderr
        again = "iac deploy --file repos.yaml --env staging --prune --project demo-staging"
        assert again in result.stderr
    result = _iac("remove", "x", "--project", "demo-staging")
    assert "the services jobs, web" in result.stderr
    result = _iac("health", "--env", "production", "--project", "demo")
    assert "nothing is deployed in project demo-production" in result.stderr
    assert "next:     iac deploy --file repos.yaml --env production," in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--project", "demo"], ["which environment?", "staging, production", "--env staging"]),
        (["--project", "demo", "--env", "stagin"], ["no environment stagin", "'staging'"]),
        (["--project", "demo", "--env", "Staging"], ["bad name of an environment", "1 to 20"]),
        (["--project", "demo", "--env", ""], ["bad name of an environment", "1 to 20"]),
        (["--project", "d" * 30, "--env", "staging"], ["bad project name", "shorter --project"]),
    ],
)
def test_an_environment_that_is_not_there_is_refused(
    folder: Path, engine_double: Daemon, arguments: list[str], words: list[str]
) -> None:
    """Before anything is looked up, with those there are."""
    (folder / "repos.yaml").write_text(
        "apps: [gh:acme/jobs]\nenvironments: {staging: {}, production: {}}\n"
    )
    result = _iac("deploy", *arguments)
    assert result.exit_code == 2, result.output
    assert all(word in result.stderr for word in words), result.stderr
    assert not list(folder.glob("*.lock.json"))


def test_schema_prints_what_editors_check() -> None:
    """The file of the checkout, wherever the tool is installed."""
    result = _iac("schema")
    assert result.exit_code == 0
    assert result.stdout == (Path(__file__).parents[3] / "repos.schema.json").read_text()


def test_prune_needs_a_list(folder: Path, engine_double: Daemon) -> None:
    """Slugs alone are added to what runs: nothing says what stays."""
    result = _iac("deploy", "--prune", "gh:acme/web", "--project", "demo")
    assert result.exit_code == 2
    assert "--file" in result.stderr


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


def test_outside_a_project_folder_a_checkout_uses_its_own(tmp_path: Path) -> None:
    """From anywhere, the checkout that runs is the project; an installed `iac` has none."""
    own = machine_home.checkout()
    assert own == Path(iac_wrapper.__file__).resolve().parent.parent
    assert find_root(tmp_path, own) == own
    with pytest.raises(ConfigError, match="not in a project folder") as caught:
        find_root(tmp_path, machine_home.checkout(tmp_path))
    assert (caught.value.next_step or "").startswith("iac init")


@pytest.mark.parametrize("verb", [("exec", "nosuch"), ("run", "nosuch", "--", "ls", "-l")])
def test_a_command_for_a_service_that_is_not_there(
    folder: Path, engine_double: Daemon, verb: tuple[str, ...]
) -> None:
    """Exit code 2 with the services there are; what follows -- is the command's."""
    deployed(Layout(folder), app("web"))
    done = _iac(verb[0], "--project", "demo", *verb[1:])
    assert done.exit_code == 2
    assert "no service nosuch in project demo" in done.output
    assert "expected: web" in done.output


def test_run_wants_a_command(folder: Path) -> None:
    """There is no default: a server of its own would be found by nobody."""
    done = _iac("run", "web")
    assert done.exit_code == 2
    assert "COMMAND" in done.output
