"""The embedded provider under real Terraform on a real engine, beside the official one's record."""

from __future__ import annotations

import json
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from provider import schema
from provider.container import ContainerResource
from provider.engine import EngineApi
from provider.image import ImageResource
from provider.network import NetworkResource
from provider.problems import ProviderError
from provider.resource import ProviderContext
from provider.server import resources
from provider.values import settle
from tests.support import machine
from tests.support.embedded_provider import Project, make_mirror, planned
from tests.support.machine import base_image
from tests.support.sidecar_stack import sidecar_stack

pytestmark = pytest.mark.integration

OFFICIAL = Path(__file__).parents[1] / "data" / "official"
MACHINE = {"id", "image_id", "mountpoint", "network_data", "bridge"}
"""Attributes whose values belong to one machine; network_data is compared apart."""

ENVOY = """RUN printf '#!/bin/sh\\ntrap "exit 0" TERM\\nsleep 600 & wait\\n' \\
 > /usr/local/bin/envoy && chmod 755 /usr/local/bin/envoy
ENTRYPOINT ["/usr/local/bin/envoy"]
"""


@pytest.fixture(scope="module")
def cli_configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mirror(tmp_path_factory.mktemp("provider"))


@pytest.fixture(scope="module")
def engine() -> EngineApi:
    return machine.engine()


@pytest.fixture
def prefix() -> str:
    return f"prv{secrets.token_hex(4)}"


@pytest.fixture
def project(tmp_path: Path, cli_configuration: Path) -> Iterator[Project]:
    made = Project(tmp_path / "tf", cli_configuration)
    yield made
    if (made.folder / "terraform.tfstate").exists():
        done = made.run("destroy", "-auto-approve")
        assert done.returncode == 0, done.stdout + done.stderr


class Box:
    """Objects made without Terraform, with one name, removed at the end."""

    def __init__(self, context: ProviderContext, name: str) -> None:
        self.context = context
        self.name = name
        self._resources = resources()
        self._made: list[tuple[str, dict[str, Any]]] = []

    def create(self, kind: str, **config: Any) -> dict[str, Any]:
        """Create a resource; `name` and `image` have defaults, what a type lacks is dropped."""
        block = schema.load_schemas().resources[kind].block
        names = {**block.attributes, **block.blocks}
        wanted = {"name": self.name, "image": base_image(), **config}
        values = planned(kind, **{k: v for k, v in wanted.items() if k in names})
        try:
            state = self._resources[kind].create(self.context, values)
        except ProviderError as error:
            if error.state is not None:
                error.state = settle(block, error.state)
                self._made.append((kind, error.state))
            raise
        state = settle(block, state)
        self._made.append((kind, state))
        return state

    def run_in(self, script: str) -> str:
        """What a shell script prints in the container."""
        argv = [machine.record().docker, "exec", self.name, "sh", "-c", script]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def clear(self) -> None:
        """Remove everything, last first."""
        for kind, state in reversed(self._made):
            self._resources[kind].delete(self.context, state)


@pytest.fixture
def box(prefix: str, engine: EngineApi) -> Iterator[Box]:
    made = Box(ProviderContext(engine), prefix)
    yield made
    made.clear()


class Sample:
    """The official provider's sample, with names and places of this run put in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"prv{secrets.token_hex(4)}"
        self._names = {
            "/example": str(folder / "example"),
            "iacnet": f"{self.prefix}net",
            "svc-a": self.prefix,
            "iac/envoy:1.40.0": f"{self.prefix}/envoy:1",
            '"python:3.11-slim"': f'"{base_image()}"',
            "172.20.": f"10.{100 + secrets.randbelow(150)}.",
            "25990": str(free_port()),
            # Nothing in the app handles SIGTERM: ten seconds of grace for nothing.
            "SIGTERM": "SIGKILL",
        }

    def read(self, name: str) -> Any:
        """A file of the sample, with this run's names."""
        text = (OFFICIAL / name).read_text()
        for old, new in self._names.items():
            text = text.replace(old, new)
        return json.loads(text)

    def make_files(self) -> None:
        """The build context and the mounted folder."""
        (self.folder / "example" / "secrets" / self.prefix).mkdir(parents=True)
        context = self.folder / "example" / "src" / self.prefix
        context.mkdir(parents=True)
        (context / "Dockerfile").write_text(f"FROM {base_image()}\nENTRYPOINT []\n")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def sample(
    tmp_path_factory: pytest.TempPathFactory, cli_configuration: Path, engine: EngineApi
) -> Iterator[tuple[Sample, Project]]:
    made = Sample(tmp_path_factory.mktemp("sample"))
    made.make_files()
    image = f"{made.prefix}/envoy:1"
    envoy = made.folder / "envoy"
    envoy.mkdir()
    (envoy / "Dockerfile").write_text(f"FROM {base_image()}\n{ENVOY}")
    project = Project(made.folder / "tf", cli_configuration)
    config = made.read("sample.tf.json")
    block = {"context": str(envoy)}
    context = ProviderContext(engine)
    built = ImageResource().create(context, planned("docker_image", name=image, build=[block]))
    config.pop("terraform")
    project.write(config)
    done = project.apply()
    assert done.returncode == 0, done.stdout + done.stderr
    yield made, project
    done = project.run("destroy", "-auto-approve")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in (image, f"karstkit/{made.prefix}:0123456789ab"):
        ImageResource().delete(context, {**built, "name": name})
    left = engine.get("/containers/json", all=True, filters=json.dumps({"name": [made.prefix]}))
    assert left == []
    networks = engine.get("/networks", filters=json.dumps({"name": [made.prefix]}))
    assert networks == []


def _comparable(attributes: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    text = json.dumps({k: v for k, v in attributes.items() if k not in MACHINE}, sort_keys=True)
    for identifier, name in ids.items():
        text = text.replace(identifier, name)
    return dict(json.loads(text))


def _ids(state: dict[tuple[str, str], dict[str, Any]]) -> dict[str, str]:
    names = {item["attributes"]["id"]: f"<{key[1]}>" for key, item in state.items()}
    images = {
        item["attributes"]["image_id"]: "<image>"
        for key, item in state.items()
        if key[0] == "docker_image"
    }
    return {**images, **names}


def test_state_of_the_sample_is_the_official_one(sample: tuple[Sample, Project]) -> None:
    """Attribute by attribute, zero values and nulls included, ids and addresses aside."""
    made, project = sample
    official = {
        (r["type"], r["name"]): r["instances"][0]
        for r in made.read("sample.tfstate.json")["resources"]
    }
    ours = project.state()
    assert ours.keys() == official.keys()
    for key, wanted in official.items():
        assert ours[key]["schema_version"] == wanted["schema_version"]
        assert ours[key]["attributes"].keys() == wanted["attributes"].keys()
        assert _comparable(ours[key]["attributes"], _ids(ours)) == _comparable(
            wanted["attributes"], _ids(official)
        )
    theirs = official["docker_container", "pod"]["attributes"]["network_data"][0]
    data = ours["docker_container", "pod"]["attributes"]["network_data"][0]
    assert {**data, "mac_address": ""} == {**theirs, "mac_address": ""}


def test_second_plan_is_empty(sample: tuple[Sample, Project]) -> None:
    """What was just applied needs no change."""
    assert sample[1].changes() == ""


def test_state_written_by_the_official_provider_plans_empty(
    sample: tuple[Sample, Project], cli_configuration: Path
) -> None:
    """Its state file, with the ids of this machine's objects, needs no change either."""
    made, project = sample
    ours = project.state()
    text = json.dumps(made.read("sample.tfstate.json"))
    data = json.loads(text)
    for item in data["resources"]:
        attributes = item["instances"][0]["attributes"]
        mine = ours[item["type"], item["name"]]["attributes"]
        for name in ("image_id", "id"):
            if name in attributes:
                text = text.replace(attributes[name], mine[name])
    other = Project(made.folder / "official", cli_configuration)
    other.folder.mkdir()
    (other.folder / "terraform.tfstate").write_text(text)
    config = made.read("sample.tf.json")
    config.pop("terraform")
    other.write(config)
    assert other.changes() == ""


def test_drift_is_seen_and_healed(sample: tuple[Sample, Project], engine: EngineApi) -> None:
    """A removed container comes back, a stopped one is started, a foreign network is removed."""
    _, project = sample
    state = project.state()
    app, envoy, pod = (
        state["docker_container", name]["attributes"]["id"] for name in ("app", "envoy", "pod")
    )
    engine.delete(f"/containers/{app}", force=True)
    engine.post(f"/containers/{envoy}/stop", t=0)
    engine.post("/networks/bridge/connect", {"Container": pod})
    plan = project.changes()
    assert "docker_container.app will be created" in plan
    assert re.search(r"must_run += false -> true", plan)
    assert "docker_container.pod must be replaced" in plan
    assert engine.get(f"/containers/{envoy}/json")["State"]["Running"] is False
    engine.post("/networks/bridge/disconnect", {"Container": pod})
    assert project.apply().returncode == 0
    assert engine.get(f"/containers/{envoy}/json")["State"]["Running"] is True
    assert project.changes() == ""


def test_a_sidecar_stack_plans_empty_at_once(project: Project, prefix: str, tmp_path: Path) -> None:
    """What was just applied needs no change, memory without memory_swap included."""
    stack = sidecar_stack(prefix, tmp_path)
    stack["resource"]["docker_container"]["app"]["memory_swap"] = None
    project.write(stack)
    done = project.apply()
    assert done.returncode == 0, done.stderr
    assert project.changes() == ""


def test_a_network_that_is_gone_takes_its_containers_along(
    project: Project, prefix: str, tmp_path: Path, engine: EngineApi
) -> None:
    """Whoever was attached is cut off: it, and who shares its namespace, is made anew."""
    project.write(sidecar_stack(prefix, tmp_path))
    assert project.apply().returncode == 0
    network = f"/networks/{project.state()['docker_network', 'it']['attributes']['id']}"
    engine.post(f"{network}/disconnect", {"Container": f"{prefix}-envoy", "Force": True})
    engine.delete(network)
    plan = project.changes()
    assert "docker_network.it will be created" in plan
    for name in ("envoy", "app"):
        assert f"docker_container.{name} must be replaced" in plan
    assert project.apply().returncode == 0
    assert project.changes() == ""


def test_a_build_block_counts_only_under_a_new_tag(project: Project, tmp_path: Path) -> None:
    """As stacks of this project ignore it: a state of an older version plans nothing, and the
    image of a new tag is built as its own block says."""
    label = "org.karstkit.image-key"
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image()}\n")
    prefix = f"prv{secrets.token_hex(4)}"

    def stack(tag: str, dockerfile: str) -> dict[str, Any]:
        build = {"context": str(tmp_path), "dockerfile": dockerfile, "label": {label: tag}}
        lifecycle = {"create_before_destroy": True, "ignore_changes": ["build"]}
        image = {
            "name": f"{prefix}:{tag}",
            "build": [build],
            "lifecycle": lifecycle,
            "triggers": {"image": tag},
        }
        return {"resource": {"docker_image": {"it": image}}}

    project.write(stack("one", "Dockerfile"))
    assert project.apply().returncode == 0
    absolute = str(tmp_path / "Dockerfile")
    project.write(stack("one", absolute))
    assert project.changes() == ""
    project.write(stack("two", absolute))
    assert project.apply().returncode == 0
    (build,) = project.state()["docker_image", "it"]["attributes"]["build"]
    assert (build["dockerfile"], build["label"]) == (absolute, {label: "two"})


def test_limits_and_restart_policy_change_in_place(box: Box) -> None:
    """The container keeps its id; the engine has the new values."""
    made = box.create("docker_container", command=["sleep", "600"], memory=64, memory_swap=64)
    wanted = {
        **made,
        "memory": 128,
        "memory_swap": 128,
        "cpu_shares": 256,
        "restart": "always",
        "cpu_period": 100000,
        "cpu_quota": 50000,
    }
    after = ContainerResource().update(box.context, made, wanted)
    assert after == wanted
    host = box.context.engine.get(f"/containers/{made['id']}/json")["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["CpuShares"]) == (2**27, 2**27, 256)
    assert (host["CpuPeriod"], host["CpuQuota"]) == (100000, 50000)
    assert host["RestartPolicy"]["Name"] == "always"


def test_a_taken_port_is_named_and_the_container_kept_for_the_state(box: Box) -> None:
    """What was created is in the error's state, so that Terraform can taint and replace it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ProviderError) as failure:
            box.create(
                "docker_container",
                command=["sleep", "600"],
                ports=[{"internal": 80, "external": port, "ip": "127.0.0.1"}],
            )
    error = failure.value
    assert f"Port {port} of this machine" in error.summary
    assert error.path == ("ports", 0, "external")
    assert error.state is not None
    ContainerResource().delete(box.context, error.state)
    assert ContainerResource().read(box.context, error.state) is None
    ContainerResource().delete(box.context, error.state)  # gone already: a success


@pytest.mark.parametrize(
    ("config", "sentence", "path"),
    [
        ({"image": "localhost:1/none:1"}, "cannot be pulled", ("image",)),
        ({"command": ["/no/such"]}, "cannot start its program /no/such", ("command",)),
        (
            {"mounts": [{"type": "bind", "source": "/no/such", "target": "/x"}]},
            "bind source /no/such",
            ("mounts",),
        ),
        ({"network_mode": "container:nobody"}, "is not running", ("network_mode",)),
        ({"networks_advanced": [{"name": "no-such-net"}]}, "no-such-net", ("networks_advanced",)),
    ],
)
def test_refusals_are_sentences(
    box: Box, config: dict[str, Any], sentence: str, path: tuple[str, ...]
) -> None:
    """Each names the attribute and what the engine found wrong."""
    with pytest.raises(ProviderError) as failure:
        box.create("docker_container", **{"command": ["sleep", "600"], **config})
    assert sentence in failure.value.summary
    assert failure.value.path == path


def test_a_container_that_ended_is_seen_as_not_running(box: Box) -> None:
    """`must_run` is what drifts; an update starts it again; `must_run = false` accepts the end."""
    made = box.create("docker_container", command=["sleep", "600"])
    box.context.engine.post(f"/containers/{made['id']}/kill")
    seen = ContainerResource().read(box.context, made)
    assert seen is not None
    assert (seen["must_run"], seen["exit_code"]) == (False, 137)
    assert ContainerResource().update(box.context, seen, made)["must_run"] is True
    box.context.engine.post(f"/containers/{made['id']}/kill")
    idle = {**made, "must_run": False}
    assert ContainerResource().read(box.context, idle) == {
        **idle,
        "exit_code": 137,
        "network_data": ANY,
    }


def test_a_restart_loop_is_not_lost(box: Box) -> None:
    """Docker still looks after a container that fails again and again: no drift."""
    made = box.create(
        "docker_container", command=["sh", "-c", "sleep 0.2; exit 1"], restart="always"
    )
    deadline = time.monotonic() + 10
    found: Any = {"State": {"Restarting": False}}
    while not found["State"]["Restarting"]:
        assert time.monotonic() < deadline
        found = box.context.engine.get(f"/containers/{made['id']}/json")
    seen = ContainerResource().read(box.context, made)
    assert seen is not None
    assert seen["must_run"] is True


def test_a_taken_name_says_how_to_go_on(box: Box) -> None:
    """Container and network alike."""
    for kind, step in (("docker_container", "docker rm -f"), ("docker_network", "network rm")):
        box.create(kind, command=["sleep", "600"])
        with pytest.raises(ProviderError, match="exists already") as failure:
            box.create(kind, command=["sleep", "600"])
        assert step in failure.value.next_step


def test_waiting_for_health(box: Box) -> None:
    """The wait ends with the first check that passes."""
    check = {"test": ["CMD", "true"], "interval": "50ms", "retries": 1}
    made = box.create("docker_container", command=["sleep", "600"], wait=True, healthcheck=[check])
    found = box.context.engine.get(f"/containers/{made['id']}/json")
    assert found["State"]["Health"]["Status"] == "healthy"


def test_what_a_container_gets(box: Box, tmp_path: Path) -> None:
    """Uploads, tmpfs, sysctl, ulimit, host entry, volume and two networks are in the container."""
    networks = [box.create("docker_network", name=f"{box.name}-{i}") for i in (1, 2)]
    volume = box.create("docker_volume")
    (tmp_path / "source").write_text("from a file")
    made = box.create(
        "docker_container",
        command=["sleep", "600"],
        networks_advanced=[{"name": n["name"], "aliases": ["other"]} for n in networks],
        upload=[
            {"file": "/up/a", "content": "inline", "executable": True},
            {"file": "/up/b", "source": str(tmp_path / "source"), "permissions": "0600"},
        ],
        volumes=[{"volume_name": volume["name"], "container_path": "/data", "read_only": True}],
        host=[{"host": "peer", "ip": "192.0.2.1"}],
        ulimit=[{"name": "nproc", "soft": 100, "hard": 100}],
        tmpfs={"/t": "size=1m"},
        ports=[{"internal": 80}],
    )
    script = "stat -c %a /up/a /up/b; cat /up/a; grep peer /etc/hosts; "
    script += "grep -c 'processes *100 ' /proc/self/limits; cat /up/b; ls /data"
    assert " ".join(box.run_in(script).split()) == "744 600 inline192.0.2.1 peer 1 from a file"
    assert [item["network_name"] for item in made["network_data"]] == [n["name"] for n in networks]
    assert made["ports"][0]["external"] >= 1024
    assert ContainerResource().read(box.context, made) == made


def test_limits_of_one_service_are_in_its_container(box: Box) -> None:
    """User, groups, processors, tmpfs sizes, sysctls, the way to the host, a named volume."""
    volume = box.create("docker_volume")
    wanted = {
        "command": ["sleep", "600"],
        "user": "20001:20001",
        "group_add": ["20003"],
        "cpus": "0.5",
        "tmpfs": {"/tmp": "size=2m,mode=1777", "/own": "size=1m,uid=20001,mode=0700"},  # noqa: S108
        "sysctls": {"net.ipv4.ip_unprivileged_port_start": "81"},
        "host": [{"host": "host.docker.internal", "ip": "host-gateway"}],
        "stop_timeout": 2,
        "destroy_grace_seconds": 2,
        "mounts": [{"type": "volume", "source": volume["name"], "target": "/data"}],
    }
    made = box.create("docker_container", **wanted)
    script = (
        "id -u; id -G; df -m /tmp | tail -1 | cut -d' ' -f1; stat -fc %b /tmp /own; touch /own/x; "
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; grep -c /data /proc/mounts; "
        "grep -o '[0-9.]*.host.docker.internal' /etc/hosts"
    )
    said = box.run_in(script).split()
    assert said[:8] == ["20001", "20001", "20003", "tmpfs", "512", "256", "81", "1"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", said[8])
    assert ContainerResource().read(box.context, made) == made
    box.context.engine.post(f"/containers/{made['id']}/update", {"NanoCpus": 10**9})
    seen = ContainerResource().read(box.context, made)
    assert seen == {**made, "cpus": "1"}


def test_build_failure_shows_the_log(box: Box, tmp_path: Path) -> None:
    """The end of the build's output and the file with all of it are in the error."""
    (tmp_path / "Dockerfile").write_text(f"FROM {base_image()}\nRUN echo the-very-reason; exit 3\n")
    log = tmp_path / "build.log"
    build = {"context": str(tmp_path), "build_log_file": str(log)}
    with pytest.raises(ProviderError, match="build failed") as failure:
        box.create("docker_image", name=f"{box.name}:1", build=[build])
    assert "the-very-reason" in failure.value.next_step
    assert str(log) in failure.value.next_step
    assert "the-very-reason" in log.read_text()


def test_build_secret_and_content_key(box: Box, tmp_path: Path) -> None:
    """A secret reaches the build; an image whose label carries its own tag is not built again."""
    secret, log = tmp_path / "secret", tmp_path / "build.log"
    secret.write_text("sentinel")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base_image()}\nRUN --mount=type=secret,id=s test $(cat /run/secrets/s) = sentinel\n"
    )
    build = {
        "context": str(tmp_path),
        "secrets": [{"id": "s", "src": str(secret)}],
        "build_log_file": str(log),
        "label": {"org.karstkit.image-key": "abc"},
    }
    image = {"name": f"{box.name}:abc", "build": [build], "triggers": {"key": "abc"}}
    made = box.create("docker_image", **image)
    assert log.exists()
    log.unlink()
    assert box.create("docker_image", **image) == made
    assert not log.exists()
    user = box.create("docker_container", image=made["image_id"], command=["sleep", "600"])
    with pytest.raises(ProviderError, match=f"still used by {box.name}"):
        ImageResource().delete(box.context, made)
    ContainerResource().delete(box.context, user)
    ImageResource().delete(box.context, made)
    assert ImageResource().read(box.context, made) is None


def test_a_network_in_use_is_named_with_its_containers(box: Box) -> None:
    """Destroy says who still uses the network."""
    network = box.create("docker_network")
    box.create("docker_container", command=["sleep", "600"], network_mode=box.name)
    with pytest.raises(ProviderError, match=f"still has containers: {box.name}"):
        NetworkResource().delete(box.context, network)


def test_interrupt_kills_a_running_build(project: Project, prefix: str, tmp_path: Path) -> None:
    """Ctrl-C ends the build at once and leaves no state of an image that is not there."""
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base_image()}\nRUN echo {prefix} begun; sleep 120\n"
    )
    wanted = {"name": f"{prefix}/it:1", "build": [{"context": str(tmp_path)}]}
    project.write({"resource": {"docker_image": {"it": wanted}}})
    process = subprocess.Popen(
        ["terraform", "apply", "-auto-approve", "-no-color"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    log = project.folder / "logs" / f"{prefix}_it_1.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and f"{prefix} begun\n" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert time.monotonic() - begun < 10
    assert "The image build was stopped." in output
    assert not (project.folder / "terraform.tfstate").exists() or project.state() == {}


def test_import_of_all_four(project: Project, prefix: str, engine: EngineApi) -> None:
    """Objects made by hand are taken over; what was configured like them needs no replacement."""
    subnet = f"10.{100 + secrets.randbelow(150)}.7.0/24"
    resource = {
        "docker_network": {"it": {"name": prefix, "ipam_config": [{"subnet": subnet}]}},
        "docker_volume": {"it": {"name": prefix}},
        "docker_image": {"it": {"name": f"{prefix}:1"}},
        "docker_container": {
            "it": {
                "name": prefix,
                "image": base_image(),
                "command": ["sleep", "600"],
                "env": ["A=b"],
                "memory": 64,
                "networks_advanced": [{"name": "${docker_network.it.name}"}],
                "labels": [{"label": "x", "value": "y"}],
                "read_only": True,
                "mounts": [{"type": "tmpfs", "target": "/t"}],
            }
        },
    }
    engine.post("/networks/create", {"Name": prefix, "IPAM": {"Config": [{"Subnet": subnet}]}})
    engine.post("/volumes/create", {"Name": prefix})
    host = {"Memory": 2**26, "ReadonlyRootfs": True, "Mounts": [{"Type": "tmpfs", "Target": "/t"}]}
    made = engine.post(
        "/containers/create",
        {
            "Image": base_image(),
            "Cmd": ["sleep", "600"],
            "Env": ["A=b"],
            "Labels": {"x": "y"},
            "HostConfig": host,
            "NetworkingConfig": {"EndpointsConfig": {prefix: {}}},
        },
        name=prefix,
    )
    engine.post(f"/containers/{made['Id']}/start")
    engine.post(f"/images/{base_image()}/tag", repo=prefix, tag="1")
    imports = [
        {"to": f"{kind}.it", "id": f"{prefix}:1" if kind == "docker_image" else prefix}
        for kind in resource
    ]
    project.write({"resource": resource, "import": imports})
    plan = project.changes()
    assert "4 to import, 0 to add" in plan
    assert "0 to destroy" in plan
    assert project.apply().returncode == 0
    assert project.changes() == ""


def test_a_type_that_is_not_here_says_where_to_get_it(project: Project) -> None:
    """Resource and data source, instead of Terraform's \"does not support\"."""
    tag = {"x": {"source_image": "a", "target_image": "b"}}
    project.write({"resource": {"docker_tag": tag}, "data": {"docker_logs": {"x": {"name": "x"}}}})
    said = re.sub(r"[\s│]+", " ", project.run("validate").stderr)  # Terraform breaks its lines
    for missing in ("resource docker_tag", "data source docker_logs"):
        assert f"but no {missing}." in said
    assert said.count("take the official provider: ") == 2


def test_no_engine_is_one_clear_error(tmp_path: Path, cli_configuration: Path) -> None:
    """The address and the next step, once, however many resources there are."""
    project = Project(tmp_path / "tf", cli_configuration)
    host = f"unix://{tmp_path}/none.sock"
    networks = {name: {"name": name} for name in ("a", "b")}
    project.write(
        {"provider": {"docker": {"host": host}}, "resource": {"docker_network": networks}}
    )
    done = project.run("plan")
    assert done.returncode == 1
    assert done.stderr.count("No Docker engine answers") == 1
    assert "none.sock" in done.stderr
