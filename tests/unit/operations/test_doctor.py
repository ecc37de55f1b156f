"""`iac doctor` of settings and of a project: what passes, and real faults."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from iac_wrapper.files import file_lock, users_file
from iac_wrapper.identity import certificate_authority
from iac_wrapper.model.checkup import Finding, examine
from iac_wrapper.model.users import Users
from iac_wrapper.operations import keeping, notifications, recording
from iac_wrapper.operations.doctor import PROJECT_CHECKS, SETTINGS_CHECKS, project
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import load_settings
from tests.support.deployed import app, deployed, service
from tests.support.docker_daemon import Daemon, FakeContainer
from tests.support.receiver import Receiver


@pytest.fixture
def shop(workspace: Workspace) -> Workspace:
    """A deployed project: its lock is held by nobody, its service answers nobody."""
    lock = deployed(workspace.layout, app("web"))
    users = {name: Users(os.geteuid() - 1) for name in ("gateway", "web")}
    users_file.save_users(users, workspace.layout.users("demo"))
    workspace.directory.chmod(0o700)
    (workspace.layout.root / "cdktf.json").write_text("{}")
    environ = {**workspace.settings.environment, "IAC_ADMIN_SOCKET": str(_socket(workspace))}
    assert lock.apps
    return replace(workspace, settings=load_settings(workspace.layout.root, environ))


def _socket(workspace: Workspace) -> Path:
    return workspace.layout.root / "admin.sock"


def _look(workspace: Workspace, name: str, *, fix: bool = False) -> Finding:
    (check,) = (check for check in PROJECT_CHECKS if check.name == name)
    (found,) = examine([check], workspace, fix=fix)
    return found


def _settings(root: Path, text: str) -> dict[str, Finding]:
    (root / ".env").write_text(text)
    return {each.name: each for each in examine(SETTINGS_CHECKS, root, fix=False)}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of who runs the tests."""
    for name in [name for name in os.environ if name.startswith(("IAC_", "SUPABASE_", "DOCKER_"))]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("clean")
def test_settings_that_are_good(tmp_path: Path) -> None:
    found = _settings(tmp_path, "IAC_MEMORY_MB=256\nLOG=x\n")
    assert {each.outcome for each in found.values()} == {"PASSED"}
    assert found["settings"].evidence == "not as by default: IAC_MEMORY_MB"


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("IAC_MEMORY_MB=1\n", ["IAC_MEMORY_MB: bad setting: '1'"]),
        ("IAC_MEMORY_MB=1\nIAC_KEEPER=on\n", ["IAC_MEMORY_MB is '1'", "IAC_KEEPER is 'on'"]),
        ('NAME="\n', [".env:1"]),
    ],
)
def test_bad_settings_are_named_together(tmp_path: Path, text: str, words: list[str]) -> None:
    """The other checks of settings need good ones."""
    found = _settings(tmp_path, text)
    assert (found["settings"].outcome, found["settings"].exit_code) == ("FAILED", 2)
    assert [word for word in words if word not in found["settings"].evidence] == []
    assert found["names"].evidence == "not looked at, as settings FAILED: see there"


@pytest.mark.usefixtures("clean")
def test_names_that_nothing_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of the pen has the name that was meant; what the environment overrules is said."""
    found = _settings(tmp_path, "IAC_MEMORY=256\nIAC_ZZZZZZ=1\n")["names"]
    assert found.outcome == "WARN"
    assert "IAC_MEMORY (IAC_MEMORY_MB?), IAC_ZZZZZZ" in found.evidence
    monkeypatch.setenv("IAC_MEMORY_MB", "512")
    found = _settings(tmp_path, "IAC_MEMORY_MB=256\n")["names"]
    assert (found.outcome, "IAC_MEMORY_MB; .env" in found.evidence) == ("WARN", True)
    assert _settings(tmp_path, "IAC_MEMORY_MB=512\n")["names"].outcome == "PASSED"


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("IAC_GATEWAY_PORT=80\n", "IAC_GATEWAY_PORT and IAC_HTTP_PORT are both 80"),
        ("IAC_ADMIN_GRPC=127.0.0.1:8080\n", "IAC_ADMIN_BIND and IAC_ADMIN_GRPC are both 8080"),
        ("IAC_ADMIN_USERS=a@example.com\n", "IAC_ADMIN_USERS does nothing without SUPABASE_URL"),
        ("DOCKER_HOST=unix:///x\nDOCKER_CONTEXT=y\n", "DOCKER_CONTEXT does nothing"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, text: str, words: str) -> None:
    found = _settings(tmp_path, text)["together"]
    assert (found.outcome, words in found.evidence) == ("WARN", True), found.evidence


@contextmanager
def _running(shop: Workspace, engine_double: Daemon) -> Iterator[None]:
    """Its service answers, and the engine has its containers."""
    with service(shop.layout, "web") as web:
        web.serving()
        deployed(shop.layout, app("web"), app("db"), gateway_port=web.port, stopped=["db"])
        roles = ("gateway", "envoy", "app")
        known = [{"attributes": {"id": role}} for role in roles]
        state = json.loads(shop.layout.state("demo").read_text())
        state["resources"] = [{"mode": "managed", "type": "docker_container", "instances": known}]
        shop.layout.state("demo").write_text(json.dumps(state))
        for role in roles:
            name = "demo-gateway" if role == "gateway" else f"demo-web-{role}"
            whose = "" if role == "gateway" else "web"
            ports = [web.port] if role == "gateway" else []
            engine_double.add(FakeContainer(role, "demo", whose, role, name=name, ports=ports))
        yield


def test_a_deployed_project_that_is_well(shop: Workspace, engine_double: Daemon) -> None:
    """All but that nobody keeps it."""
    with _running(shop, engine_double):
        found = {each.name: each for each in examine(PROJECT_CHECKS, shop, fix=False)}
    bad = {name: each.evidence for name, each in found.items() if each.outcome != "PASSED"}
    assert bad == {"keeper": "no process starts again what dies or hangs"}
    assert found["record"].evidence == "1 services are deployed, 1 are stopped"


def test_services_that_do_not_serve(shop: Workspace, engine_double: Daemon) -> None:
    """A stopped container has the command that starts it, a silent service that which says why."""
    with _running(shop, engine_double):
        assert _look(shop, "services").outcome == "PASSED"
        engine_double.containers["gateway"].state = "exited"
        found = _look(shop, "services")
        assert (found.outcome, found.exit_code) == ("FAILED", 7)
        assert "the gateway is stopped" in found.evidence
        assert found.next_step == "iac heal --project demo"
        engine_double.containers["gateway"].state = "running"
    found = _look(shop, "services")
    assert (found.outcome, "0 of 1 services serve: web: " in found.evidence) == ("FAILED", True)
    assert found.next_step == "iac health --project demo"


def test_a_folder_in_which_nothing_was_deployed(workspace: Workspace) -> None:
    """There is nothing that could be wrong."""
    quiet = replace(workspace, settings=load_settings(workspace.layout.root, {}))
    object.__setattr__(quiet, "engine", workspace.engine)
    found = list(examine(PROJECT_CHECKS, quiet, fix=False))
    assert [each for each in found if each.outcome != "PASSED"] == []


def test_containers_of_another_folder(shop: Workspace, engine_double: Daemon) -> None:
    engine_double.add(FakeContainer("1", "demo", "web", "app", mounts=["/elsewhere/secrets/x"]))
    found = _look(shop, "project")
    assert (found.outcome, "/elsewhere" in found.evidence) == ("FAILED", True)


def test_containers_without_a_record(workspace: Workspace, engine_double: Daemon) -> None:
    engine_double.add(FakeContainer("1", "demo", "web", "app"))
    found = _look(workspace, "record")
    assert (found.outcome, "no record of a finished deploy" in found.evidence) == ("FAILED", True)


def test_addresses_and_ports_that_another_has(shop: Workspace, engine_double: Daemon) -> None:
    """A network with the project's subnet, a program on its port."""
    other = {"Id": "x", "Name": "x", "Labels": {}}
    engine_double.networks = [other | {"IPAM": {"Config": [{"Subnet": "172.20.0.0/24"}]}}]
    found = _look(shop, "network")
    assert (found.outcome, "IAC_SUBNET" in found.next_step) == ("FAILED", True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        deployed(shop.layout, app("web"), gateway_port=port)
        found = _look(shop, "ports")
        assert (found.outcome, str(port) in found.evidence) == ("FAILED", True)
    assert _look(shop, "ports").outcome == "PASSED"


def test_what_a_killed_command_left(shop: Workspace, engine_double: Daemon) -> None:
    """A container that no state knows, and a candidate; not one that runs a person's command."""
    state = shop.layout.state("demo")
    ours = {"type": "docker_container", "instances": [{"attributes": {"id": "1"}}]}
    state.write_text(json.dumps(json.loads(state.read_text()) | {"resources": [ours]}))
    engine_double.add(FakeContainer("1", "demo", "web", "app"))
    engine_double.add(FakeContainer("2", "demo", "web", "run-app"))
    assert _look(shop, "leftovers").outcome == "PASSED"
    engine_double.add(FakeContainer("3", "demo", "old", "envoy"))
    engine_double.add(FakeContainer("4", "demo", "web", "candidate-app"))
    found = _look(shop, "leftovers", fix=True)
    assert found.outcome == "WARN"
    assert "demo-old-envoy, demo-web-candidate-app" in found.evidence
    assert found.next_step.startswith("iac deploy")
    assert not engine_double.calls, "a deploy removes them, as it knows that no other is at work"
    with shop.hold("iac deploy"):
        assert "`iac deploy` (process" in _look(shop, "leftovers").evidence
        assert "at work: `iac deploy`" in _look(shop, "record").evidence


def test_a_project_that_nobody_keeps(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real lock on its file tells who does; --fix starts what a deploy would."""
    assert _look(shop, "keeper").outcome == "WARN"
    started: list[str] = []
    monkeypatch.setattr(keeping, "ensure", lambda one: started.append(one.project))
    monkeypatch.setattr(project, "KEEPER_SECONDS", 0.0)
    found = _look(shop, "keeper", fix=True)
    assert (started, "started" in found.fixed) == (["demo"], True)
    held = file_lock.acquire(shop.layout.keeper("demo"))
    assert held is not None
    os.write(held, json.dumps({"pid": os.getpid()}).encode())
    assert _look(shop, "keeper").outcome == "PASSED"
    os.utime(held, (1, 1))
    found = _look(shop, "keeper")
    assert (found.outcome, "is stopped or hangs" in found.evidence) == ("WARN", True)
    file_lock.release(held)


def _open_secrets(shop: Workspace) -> Path:
    return shop.layout.secrets


def _open_key(shop: Workspace) -> Path:
    return shop.layout.secrets / "ca.key"


def _open_leaf(shop: Workspace) -> Path:
    folder = shop.layout.certificates("demo") / "web"
    return next(path for path in folder.rglob("tls.key") if not path.is_symlink())


def _open_state(shop: Workspace) -> Path:
    return shop.directory


@pytest.mark.parametrize("which", [_open_secrets, _open_key, _open_leaf, _open_state])
def test_secrets_that_others_can_read(shop: Workspace, which: Callable[[Workspace], Path]) -> None:
    """Named with their mode; --fix closes them, and nothing else."""
    assert _look(shop, "secrets").outcome == "PASSED"
    path = which(shop)
    before = path.stat().st_mode & 0o777
    path.chmod(before | 0o044)
    name = str(path.relative_to(shop.layout.root))
    found = _look(shop, "secrets")
    assert (found.outcome, found.exit_code) == ("FAILED", 4)
    assert f"{name} ({before | 0o044:04o})" in found.evidence
    found = _look(shop, "secrets", fix=True)
    assert (found.outcome, found.fixed) == ("PASSED", f"closed to other users: {name}")
    assert path.stat().st_mode & 0o777 == before


def test_an_env_file_that_everybody_reads(shop: Workspace) -> None:
    """It is closed to everybody; a group keeps what it has."""
    path = shop.layout.root / ".env"
    path.write_text("TOKEN=x\n")
    path.chmod(0o644)
    found = _look(shop, "secrets")
    assert (found.outcome, found.next_step) == ("WARN", f"chmod o-rwx {path}")
    assert _look(shop, "secrets", fix=True).fixed == "closed to other users: .env"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def listener(shop: Workspace) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(_socket(shop)))
        _socket(shop).chmod(0o600)
        yield found


def test_the_socket_of_the_admin_api(shop: Workspace, listener: socket.socket) -> None:
    """One that nobody listens at, one that answers, one for everybody."""
    found = _look(shop, "admin socket")
    assert (found.outcome, "Connection refused" in found.evidence) == ("WARN", True)
    listener.listen()
    assert _look(shop, "admin socket").outcome == "PASSED"
    _socket(shop).chmod(0o666)
    found = _look(shop, "admin socket")
    assert (found.outcome, found.next_step) == ("FAILED", f"chmod o-rwx {_socket(shop)}")


def test_an_authority_that_is_gone_or_ends(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.layout.secrets / "ca.key").unlink()
    found = _look(shop, "CA")
    assert (found.outcome, "half of the CA is missing" in found.evidence) == ("FAILED", True)
    (shop.layout.secrets / "ca.pem").unlink()
    found = _look(shop, "CA")
    assert (found.outcome, "there is no CA" in found.evidence) == ("FAILED", True)
    monkeypatch.setattr(certificate_authority, "CA_LIFETIME", timedelta(days=30))
    certificate_authority.ensure_ca(shop.layout.secrets)
    found = _look(shop, "CA")
    assert (found.outcome, found.next_step) == ("WARN", "iac certs rotate-ca")


def test_certificates_that_cannot_be_used(shop: Workspace) -> None:
    """The command that issues them anew is named with the services."""
    assert _look(shop, "certificates").outcome == "PASSED"
    _open_leaf(shop).write_text("no key")
    found = _look(shop, "certificates")
    assert (found.outcome, found.exit_code) == ("FAILED", 4)
    assert found.next_step == "iac certs rotate web --project demo"


def test_hooks_and_notifications_are_looked_at(shop: Workspace) -> None:
    """A hook that could not be run, and a receiver that took nothing, before a deploy says it."""
    assert _look(shop, "hooks").evidence == "none"
    assert _look(shop, "notifications").evidence == "nobody is notified"
    hook = shop.layout.root / "hooks" / "pre-deploy"
    hook.parent.mkdir(mode=0o755)
    hook.touch(0o644)
    assert (_look(shop, "hooks").outcome, _look(shop, "hooks").next_step[:5]) == ("FAILED", "chmod")
    hook.chmod(0o755)
    assert _look(shop, "hooks").evidence == f"pre-deploy in {hook.parent}"
    (hook.parent / "post_deploy.py").touch()
    assert _look(shop, "hooks").outcome == "WARN"
    nobody = Receiver("http://127.0.0.1:1/token")
    environment = {**shop.settings.environment, **nobody.environment}
    shop = replace(shop, settings=load_settings(shop.layout.root, environment))
    recording.note(shop, "renew", ["web: a new certificate"])
    assert _look(shop, "notifications").outcome == "PASSED"
    notifications.send(shop)
    found = _look(shop, "notifications")
    assert (found.outcome, found.next_step) == ("WARN", "iac notifications --send --project demo")
    assert found.evidence == "http://127.0.0.1:1 did not take 1 of them (it cannot be reached)"
