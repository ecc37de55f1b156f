"""An engine that does not answer is installed, started, or explained."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.bootstrap import apt, engine
from iac_wrapper.bootstrap.engine import Situation
from iac_wrapper.bootstrap.machine import Machine
from iac_wrapper.errors import CommandError, EngineError
from tests.unit.bootstrap.conftest import DEBIAN_ROOT, Rig

STOPPED = Situation(client=True, daemon=True, message="Cannot connect", endpoint="")
MISSING = Situation(client=False, daemon=False, message="", endpoint="")
USER = replace(DEBIAN_ROOT, root=False)
MAC = Machine(root=False, distribution="macos", codename="", apt=False, init="none")
FEDORA = Machine(root=True, distribution="fedora", codename="", apt=False, init="systemd")


def test_an_installed_engine_is_not_installed_again() -> None:
    assert engine.must_install(STOPPED, DEBIAN_ROOT) is False


def test_root_on_debian_installs_what_is_missing() -> None:
    assert engine.must_install(MISSING, DEBIAN_ROOT) is True
    assert engine.must_install(replace(MISSING, client=True), DEBIAN_ROOT) is True


@pytest.mark.parametrize(
    ("machine", "advice"),
    [
        (USER, "sudo apt-get install docker.io"),
        (MAC, "Docker Desktop"),
        (FEDORA, "docs.docker.com/engine/install"),
    ],
)
def test_others_are_told_what_to_install(machine: Machine, advice: str) -> None:
    with pytest.raises(EngineError) as caught:
        engine.must_install(MISSING, machine)
    assert advice in str(caught.value.next_step)


def test_an_engine_chosen_by_the_user_is_never_replaced() -> None:
    """DOCKER_HOST is a decision: starting another engine would deploy to the wrong place."""
    chosen = replace(MISSING, endpoint="tcp://10.0.0.9:2376", message="timeout")
    with pytest.raises(EngineError, match=r"10\.0\.0\.9:2376: timeout"):
        engine.must_install(chosen, DEBIAN_ROOT)


def test_a_user_outside_the_docker_group_is_told_so() -> None:
    denied = replace(STOPPED, message="permission denied while trying to connect")
    with pytest.raises(EngineError) as caught:
        engine.must_install(denied, USER)
    assert "usermod -aG docker" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("init", "argv"),
    [
        ("systemd", ("systemctl", "start", "docker")),
        ("sysv", ("service", "docker", "start")),
    ],
)
def test_the_service_manager_starts_the_engine(init: str, argv: tuple[str, ...]) -> None:
    machine = replace(DEBIAN_ROOT, init=init)
    assert engine.start_command(STOPPED, machine, Path("log")).argv == argv


def test_without_a_service_manager_dockerd_gets_a_session_of_its_own() -> None:
    command = engine.start_command(STOPPED, replace(DEBIAN_ROOT, init="none"), Path("/x/d.log"))
    assert command.argv[:4] == ("setsid", "--fork", "sh", "-c")
    assert command.argv[-1] == "/x/d.log"


def test_only_root_can_start_it() -> None:
    with pytest.raises(EngineError, match="sudo systemctl start docker"):
        engine.start_command(STOPPED, USER, Path("log"))


def test_a_dockerd_that_is_still_missing_is_an_error() -> None:
    with pytest.raises(EngineError, match="no dockerd"):
        engine.start_command(replace(STOPPED, daemon=False), DEBIAN_ROOT, Path("log"))


def test_a_running_engine_needs_nothing(rig: Rig) -> None:
    engine.ensure(rig.context)
    assert rig.said == []


def test_a_stopped_engine_is_started_and_waited_for(rig: Rig) -> None:
    rig.flag("down")
    rig.tool("dockerd", "#!/bin/sh\n")
    rig.tool("systemctl", f'#!/bin/sh\n[ "$1 $2" = "start docker" ] && /bin/rm {rig.engine}/down\n')
    engine.ensure(rig.context)
    assert not (rig.engine / "down").exists()
    assert rig.said[0] == "· starting the Docker engine (systemctl)"


def test_an_engine_that_does_not_come_up_shows_its_log(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "START_TIMEOUT", 0.3)
    rig.flag("down")
    rig.tool("dockerd", "#!/bin/sh\n")
    rig.tool("systemctl", "#!/bin/sh\n")
    log = rig.context.log_file("dockerd")
    log.parent.mkdir(parents=True)
    log.write_text("failed to mount overlay\n")
    with pytest.raises(EngineError) as caught:
        engine.ensure(rig.context)
    assert caught.value.detail == "failed to mount overlay"


def test_a_missing_engine_is_installed_from_debian(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    (rig.tools / "docker").rename(rig.root / "docker.deb")
    install = f'echo "$@" > {rig.root}/installed; /bin/mv {rig.root}/docker.deb {rig.tools}/docker'
    rig.tool("apt-get", f'#!/bin/sh\n[ "$1" != install ] || {{ {install}; }}\n')
    rig.tool(
        "apt-cache", '#!/bin/sh\n[ "$4" = "" ] && [ "$3" = docker-buildx ] && echo Package: x\n'
    )
    engine.ensure(rig.context)
    assert (rig.root / "installed").read_text().split()[-3:] == [
        "docker.io",
        "iptables",
        "docker-buildx",
    ]


def test_a_failed_installation_keeps_the_log(rig: Rig) -> None:
    rig.tool("apt-get", "#!/bin/sh\necho 'E: no network'; exit 100\n")
    with pytest.raises(CommandError) as caught:
        apt.install(rig.context, ("docker.io",))
    assert "E: no network" in str(caught.value.detail)
    assert rig.context.log_file("apt").read_text().startswith("$ apt-get update")


def test_a_pid_file_of_another_process_is_removed(tmp_path: Path) -> None:
    """A number that is not dockerd's any more must not keep dockerd from starting."""
    pid_file = tmp_path / "docker.pid"
    for pid in ("1", "999999999", ""):
        pid_file.write_text(pid)
        engine.remove_stale(pid_file, "dockerd")
        assert not pid_file.exists(), pid
    engine.remove_stale(pid_file, "dockerd")
    pid_file.write_text(str(os.getpid()))
    own = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    engine.remove_stale(pid_file, own)
    assert pid_file.exists()
