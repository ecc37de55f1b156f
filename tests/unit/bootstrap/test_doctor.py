"""`iac doctor` of a machine: each check with what it passes, and with a real fault."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.adapters import capacity
from iac_wrapper.bootstrap import doctor
from iac_wrapper.bootstrap.doctor import ThisMachine
from iac_wrapper.files.host import Host, PythonBase, save_host
from iac_wrapper.files.machine_home import MachineHome
from iac_wrapper.model.checkup import Finding, examine
from iac_wrapper.operations.doctor.room import FULL_MB, room
from tests.support.docker_daemon import Daemon
from tests.unit.bootstrap.conftest import Rig, executable

KERNEL = {
    "meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4096000 kB\n",
    "loadavg": "0.1 0.2 0.3 1/456 789\n",
    "sys/kernel/pid_max": "32768\n",
    "sys/kernel/threads-max": "60000\n",
    "sys/fs/inotify/max_user_instances": "128\n",
    "sys/fs/file-nr": "1400\t0\t200000\n",
    "sys/net/ipv4/ip_forward": "1\n",
    "sys/net/netfilter/nf_conntrack_count": "80\n",
    "sys/net/netfilter/nf_conntrack_max": "100\n",
}

RECORD_IMAGES = ("iac/envoy:1", "python:3.11", "iac/runtime:3.11")
TERRAFORM = '#!/bin/sh\necho \'{"terraform_version": "1.9.0", "platform": "linux_amd64"}\'\n'

Look = Callable[..., Finding]


@pytest.fixture
def machine(rig: Rig, engine_double: Daemon, monkeypatch: pytest.MonkeyPatch) -> ThisMachine:
    """One where all is well: an engine that answers, and tools of sh files."""
    engine_double.images += [{"RepoTags": [name]} for name in RECORD_IMAGES]
    home = MachineHome(rig.root / ".iac")
    executable(home.terraform, TERRAFORM)
    executable(home.mirror / "launch", "#!/bin/sh\n")
    executable(home.bin / "npm", "#!/bin/sh\n")
    rig.tool("node", "#!/bin/sh\necho v20.1.0\n")
    save_host(
        Host(
            docker=str(rig.tools / "docker"),
            terraform=str(home.terraform),
            node=str(rig.tools / "node"),
            provider="embedded",
            sidecar_image=RECORD_IMAGES[0],
            bases={"3.11": PythonBase(*RECORD_IMAGES[1:])},
        ),
        home,
    )
    for name, text in KERNEL.items():
        path = rig.root / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    Path(engine_double.host.removeprefix("unix://")).chmod(0o660)
    return _machine(rig, engine_double.host)


def _machine(rig: Rig, host: str, **more: str) -> ThisMachine:
    environ = {**rig.context.environ, "DOCKER_HOST": host, "IAC_HOME": str(rig.root / ".iac")}
    return ThisMachine(settings.load_settings(None, environ | more), rig.root / "proc")


def _look(machine: ThisMachine, name: str) -> Finding:
    """The finding of one check, whatever the others say."""
    (check,) = (check for check in doctor.checks(machine) if check.name == name)
    (found,) = examine([check], machine, fix=False)
    return found


def test_a_good_machine_passes_every_check(machine: ThisMachine) -> None:
    """In an order in which each finds what it needs."""
    found = list(examine(doctor.checks(machine), machine, fix=False))
    assert [each for each in found if each.outcome != "PASSED"] == []
    names = [each.name for each in found]
    for check in doctor.checks(machine):
        places = [names.index(name) for name in check.after if name in names]
        assert max(places, default=-1) < names.index(check.name)


def test_an_engine_that_is_not_there(rig: Rig, machine: ThisMachine) -> None:
    """No socket, then one that nobody listens at; what it would say is not looked at."""
    path = rig.root / "dead.sock"
    dead = _machine(rig, f"unix://{path}")
    assert "No such file or directory" in _look(dead, "engine").evidence
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    found = {each.name: each for each in examine(doctor.checks(dead), dead, fix=False)}
    assert (found["engine"].outcome, found["engine"].exit_code) == ("FAILED", 5)
    assert "Connection refused" in found["engine"].evidence
    assert "make bootstrap" in found["engine"].next_step
    for name in ("engine socket", "limits", "clock", "engine disk", "base images", "DNS"):
        assert found[name].evidence == "not looked at, as engine FAILED: see there"
    assert found["Terraform"].outcome == "PASSED"


def test_an_engine_of_another_time(machine: ThisMachine, engine_double: Daemon) -> None:
    """Too old; a clock that certificates do not survive, and one that they do."""
    engine_double.version = "19.03.15"
    found = _look(machine, "engine")
    assert (found.outcome, "20.10 or newer" in found.evidence) == ("FAILED", True)
    engine_double.clock = time.time() - 3600
    found = _look(machine, "clock")
    assert (found.outcome, "timedatectl" in found.next_step) == ("FAILED", True)


def test_a_clock_that_went_back(machine: ThisMachine) -> None:
    """The record of the set-up is of the future."""
    record = machine.settings.machine_home.record
    os.utime(record, (time.time() + 3600,) * 2)
    found = _look(machine, "clock")
    assert (found.outcome, "went back" in found.evidence) == ("WARN", True)


def test_a_socket_for_everybody(machine: ThisMachine, engine_double: Daemon) -> None:
    path = Path(engine_double.host.removeprefix("unix://"))
    path.chmod(0o666)
    found = _look(machine, "engine socket")
    assert (found.outcome, found.next_step) == ("WARN", f"sudo chmod o-rwx {path}")


def test_limits_that_nobody_keeps(machine: ThisMachine, engine_double: Daemon) -> None:
    engine_double.info = {"MemoryLimit": False, "PidsLimit": True}
    found = _look(machine, "limits")
    assert (found.outcome, "a container's memory:" in found.evidence) == ("WARN", True)


def test_a_full_disk(tmp_path: Path) -> None:
    """Less than is wanted is a warning, next to nothing a failure."""
    assert not room(5000, 2048, "/x", "prune").next_step
    assert room(1000, 2048, "/x", "prune").next_step == "free some space: prune"
    with pytest.raises(Exception, match="the disk is full"):
        room(FULL_MB - 1, 2048, "/x", "prune")
    assert capacity.disk_left(tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "text", "outcome", "words"),
    [
        ("memory", "meminfo", "MemAvailable: 40960 kB\n", "FAILED", "40 MiB are free"),
        ("memory", "meminfo", "MemAvailable: 409600 kB\n", "WARN", "may use 768"),
        ("memory", "meminfo", "", "PASSED", "does not say"),
        ("processes", "sys/kernel/pid_max", "470\n", "FAILED", "14 more"),
        ("processes", "sys/kernel/pid_max", "600\n", "WARN", "kernel.pid_max"),
        ("inotify", "sys/fs/inotify/max_user_instances", "8\n", "FAILED", "9 for each"),
        ("open files", "sys/fs/file-nr", "1400\t0\t2000\n", "WARN", "1400 of 2000"),
        ("forwarding", "sys/net/ipv4/ip_forward", "0\n", "FAILED", "reach nothing"),
        ("connections", "sys/net/netfilter/nf_conntrack_count", "95\n", "WARN", "95 of 100"),
    ],
)
def test_kernel_limits(  # noqa: PLR0917 - a row of the table above
    machine: ThisMachine, name: str, file: str, text: str, outcome: str, words: str
) -> None:
    """Each has a command that raises it."""
    (machine.proc / file).write_text(text)
    found = _look(machine, name)
    assert (found.outcome, words in found.evidence) == (outcome, True), found
    assert bool(found.next_step) == (outcome != "PASSED")


def test_containers_that_are_one_users(machine: ThisMachine, engine_double: Daemon) -> None:
    """With a rootless engine the kernel counts all Envoys together."""
    engine_double.info = {"SecurityOptions": ["name=rootless"]}
    found = _look(machine, "inotify")
    assert (found.outcome, "14 services" in found.evidence) == ("WARN", True)
    assert found.next_step == "sudo sysctl fs.inotify.max_user_instances=1024"


def test_this_kernel_has_what_is_looked_at(machine: ThisMachine) -> None:
    """The files are those of a real one."""
    real = ThisMachine(machine.settings)
    for name in ("memory", "processes", "inotify", "open files", "forwarding"):
        found = _look(real, name)
        assert "does not say" not in found.evidence
        assert "this system has no" not in found.evidence


def test_the_kernel_of_another_machine_is_not_looked_at(rig: Rig) -> None:
    there = _machine(rig, "tcp://192.0.2.1:2376")
    assert not {"memory", "inotify"} & {check.name for check in doctor.checks(there)}


@pytest.mark.parametrize("setup", ["none", "other files"])
def test_a_machine_that_is_not_set_up(machine: ThisMachine, setup: str) -> None:
    """Or by another version: everything else follows from that."""
    record = machine.settings.machine_home.record
    if setup == "none":
        record.unlink()
    else:
        record.write_text(record.read_text().replace('"inputs": "', '"inputs": "0'))
    found = {each.name: each for each in examine(doctor.checks(machine), machine, fix=False)}
    assert (found["set-up"].outcome, found["set-up"].exit_code) == ("FAILED", 2)
    assert found["set-up"].next_step == "make bootstrap"
    assert found["Node.js"].evidence == "not looked at, as set-up FAILED: see there"


def _remove(path: str) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        found = rig.root / path
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    return act


def _write(path: str, script: str) -> Callable[[Rig], None]:
    def act(rig: Rig) -> None:
        executable(rig.root / path, script)

    return act


@pytest.mark.parametrize(
    ("name", "fault", "words"),
    [
        ("Terraform", _remove(".iac/bin/terraform"), "terraform"),
        ("Terraform", _write(".iac/bin/terraform", TERRAFORM.replace("1.9", "1.2")), "1.2.0"),
        ("Terraform", _write(".iac/bin/terraform", "#!/bin/sh\nexit 1\n"), "does not run"),
        ("provider", _remove(".iac/mirror"), "launch"),
        ("provider", _write(".iac/mirror/launch", "#!/bin/sh\necho gone >&2; exit 1\n"), "gone"),
        ("Node.js", _remove("tools/node"), "no usable Node.js"),
        ("Node.js", _remove(".iac/bin/npm"), "with npm"),
        ("Node.js", _write("tools/node", "#!/bin/sh\necho v12.0.0\n"), "18 or newer"),
        ("BuildKit", _remove("tools/docker"), "docker"),
        (
            "BuildKit",
            _write("tools/docker", "#!/bin/sh\n[ $1 = version ] && echo 28.2.2 20.10.24\n"),
            "no buildx plugin",
        ),
    ],
)
def test_tools_that_are_not_there_or_too_old(
    rig: Rig, machine: ThisMachine, name: str, fault: Callable[[Rig], None], words: str
) -> None:
    """The set-up is the way out."""
    assert _look(machine, name).outcome == "PASSED"
    fault(rig)
    found = _look(machine, name)
    assert (found.outcome, words in found.evidence) == ("FAILED", True), found
    assert found.next_step


def test_a_configuration_of_terraform_that_is_not_there(rig: Rig, engine_double: Daemon) -> None:
    """One that is there decides, and is said."""
    path = rig.root / "terraformrc"
    machine = _machine(rig, engine_double.host, TF_CLI_CONFIG_FILE=str(path))
    save_host(Host("", "", "", "embedded", "", {}), machine.settings.machine_home)
    assert _look(machine, "provider").outcome == "WARN"
    path.write_text("")
    found = _look(machine, "provider")
    assert (found.outcome, str(path) in found.evidence) == ("PASSED", True)


def test_base_images_that_somebody_removed(machine: ThisMachine, engine_double: Daemon) -> None:
    engine_double.images = [{"RepoTags": [name]} for name in RECORD_IMAGES[1:]]
    found = _look(machine, "base images")
    assert (found.outcome, found.next_step) == ("FAILED", "make bootstrap (makes them again)")
    assert "no iac/envoy:1" in found.evidence
    assert "runtime" not in found.evidence


def _run(code: int, said: str = "") -> str:
    return f'#!/bin/sh\n[ "$1" = run ] && {{ echo "{said}" >&2; exit {code}; }}\n'


def test_names_in_containers(rig: Rig, machine: ThisMachine) -> None:
    """The engine cannot start one; it cannot resolve what this machine can; nobody can."""
    rig.tool("docker", _run(125, "docker: could not find bridge docker0"))
    found = _look(machine, "DNS")
    assert (found.outcome, "could not find bridge docker0" in found.evidence) == ("FAILED", True)
    rig.tool("docker", _run(1))
    host = machine.settings.environment["DOCKER_HOST"]
    here = _machine(rig, host, UV_DEFAULT_INDEX="http://localhost:3141/simple")
    found = _look(here, "DNS")
    assert (found.outcome, "daemon.json" in found.next_step) == ("FAILED", True)
    nowhere = _machine(rig, host, UV_DEFAULT_INDEX="http://index.invalid/simple")
    found = _look(nowhere, "DNS")
    assert (found.outcome, "index.invalid" in found.evidence) == ("WARN", True)
    address = _machine(rig, host, UV_DEFAULT_INDEX="http://192.0.2.1/simple")
    assert _look(address, "DNS").outcome == "PASSED"
    proxied = _machine(rig, host, HTTPS_PROXY="proxy.invalid:3128", UV_DEFAULT_INDEX="http://x/")
    assert "proxy.invalid" in _look(proxied, "DNS").evidence
