"""One service as Terraform resources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from constructs_lib.envoy_sidecar import STOP_GRACE
from iac_wrapper.errors import ConfigError
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.entrypoint import Entrypoint
from iac_wrapper.model.labels import FIXED
from iac_wrapper.model.options import Options
from runner import settings as runner_settings
from tests.constructs.facts import (
    TREE,
    app,
    environment,
    host,
    label_values,
    lock,
    only,
    props,
    synth,
)


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """The stack of one app with a secret and a literal value."""
    return synth(props(app(port_declared=True, env={"TOKEN": "${MY_TOKEN}", "MODE": "fast"})))


def test_service_is_as_recorded(service: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    """Image, Envoy and app are what the snapshot says, and nothing of this machine is in it."""
    resources = {
        kind: {name: body for name, body in bodies.items() if name.startswith("svc-a")}
        for kind, bodies in service["resource"].items()
        if kind != "terraform_data"
    }

    assert {kind: len(bodies) for kind, bodies in resources.items()} == {
        "docker_container": 2,
        "docker_image": 1,
        "docker_network": 0,
    }
    assert snapshot(extension_class=JSONSnapshotExtension) == resources


def test_app_joins_the_namespace_of_its_envoy(service: dict[str, Any]) -> None:
    """The app has no network, port or host name of its own."""
    container = only(service, "docker_container", "svc-a_app")

    assert container["network_mode"].startswith("container:${docker_container.svc-a_envoy")
    assert not {"networks_advanced", "ports", "hostname"} & container.keys()
    assert container["image"].endswith(".image_id}")


def test_app_runs_without_privileges(service: dict[str, Any]) -> None:
    """User code: what its runner gives up, no writable root, bounded memory and processes."""
    container = only(service, "docker_container", "svc-a_app")

    assert container["user"] == "0:10001"
    kept = ["CAP_KILL", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"]
    assert container["capabilities"] == {"drop": ["ALL"], "add": kept}
    assert container["read_only"] is True
    assert container["security_opts"] == ["no-new-privileges:true"]
    assert container["memory"] == container["memory_swap"] == 512
    assert [limit["name"] for limit in container["ulimit"]] == ["nproc"]


def test_secret_values_come_by_mount(service: dict[str, Any]) -> None:
    """A referenced value is a read-only file of this app; without references there is none."""
    container = only(service, "docker_container", "svc-a_app")

    assert "TOKEN" not in environment(container)
    assert environment(container)["MODE"] == "fast"
    passwd = {
        "type": "bind",
        "source": "/project/.iac/projects/iacnet/passwd/svc-a",
        "target": "/etc/passwd",
        "read_only": True,
    }
    values = {"source": "/project/secrets/iacnet.env/svc-a", "target": "/run/iac/env"}
    assert container["mounts"] == [passwd, passwd | values]
    assert only(synth(props(app())), "docker_container", "svc-a_app")["mounts"] == [passwd]


def test_a_volume_is_a_mount_by_name_and_no_resource() -> None:
    """Terraform mounts it and cannot destroy it; who else mounts it is refused."""
    stack = synth(props(app(options=Options(volumes={"uploads": "/srv", "data": "/app/data"}))))
    container = only(stack, "docker_container", "svc-a_app")

    kept = {"type": "volume", "read_only": False}
    assert container["mounts"][1:] == [
        kept | {"source": "iacnet-svc-a-data", "target": "/app/data"},
        kept | {"source": "iacnet-svc-a-uploads", "target": "/srv"},
    ]
    assert "docker_volume" not in stack["resource"]
    plain = only(synth(props(app())), "docker_container", "svc-a_app")
    fixed = "org.karstkit.fixed"
    assert label_values(container)[fixed] != label_values(plain)[fixed]


def test_envoy_is_the_service_on_the_network(service: dict[str, Any]) -> None:
    """Envoy's container has the service's name, its certificate and a few values for PID 1."""
    container = only(service, "docker_container", "svc-a_envoy")

    assert container["hostname"] == "svc-a"
    assert container["networks_advanced"] == [
        {"name": "${docker_network.iac_network.name}", "aliases": ["svc-a"]}
    ]
    assert container["mounts"][0]["source"] == "/project/secrets/iacnet/svc-a"
    assert container["mounts"][0]["read_only"] is True
    assert environment(container) == {
        "IAC_APP_UID": "30004",
        "IAC_ENVOY_UID": "30005",
        "IAC_MAX_HEADERS": "100",
        "IAC_MAX_HEADERS_KB": "60",
        "IAC_POLICY": '{"callers":{"svc-a":[]},"ingress":false,"services":["svc-a"]}',
        "IAC_PORT": "50051",
        "IAC_PORT_DECLARED": "1",
        "IAC_PROJECT": "iacnet",
        "IAC_ROLE": "sidecar",
        "IAC_RUNNER_UID": "30006",
        "IAC_SERVICE": "svc-a",
        "IAC_SUBNET": "172.20.0.0/16",
        "IAC_TRUST_DOMAIN": "iacnet",
    }
    assert "ports" not in container


def test_every_service_has_uids_of_its_own() -> None:
    """What the kernel counts by uid is used up by one service alone, be it program or Envoy."""
    facts = props(app("a"), app("b"))
    containers = synth(facts)["resource"]["docker_container"].values()
    envoys = [environment(c)["IAC_ENVOY_UID"] for c in containers if c["user"] == "0:0"]
    programs = [environment(c)["IAC_FIRST_UID"] for c in containers if c["user"] != "0:0"]

    assert sorted(envoys) == ["30001", "30005", "30009"]
    assert sorted(programs) == ["30004", "30008"]
    assert {label_values(c)["org.karstkit.uids"] for c in containers} == {
        "30000 iacnet/gateway",
        "30004 iacnet/a",
        "30008 iacnet/b",
    }


def test_the_sidecar_knows_the_uid_of_its_program(service: dict[str, Any]) -> None:
    """Its firewall and its view of sockets tell the two apart by uid; its /run is Envoy's."""
    container = only(service, "docker_container", "svc-a_envoy")

    assert environment(container)["IAC_APP_UID"] == "30004"
    assert container["tmpfs"] == {"/run": "uid=30005,gid=30005,mode=0755,size=16m"}


def test_the_host_has_a_name_in_every_service(service: dict[str, Any]) -> None:
    """The owner of the namespace has the hosts file of both; the address is the engine's choice."""
    container = only(service, "docker_container", "svc-a_envoy")

    assert container["host"] == [{"host": "host.docker.internal", "ip": "host-gateway"}]
    assert "host" not in only(service, "docker_container", "svc-a_app")


def test_options_of_a_service_reach_its_container() -> None:
    """Limits and grace are the app's own; Docker waits a little longer than the program may."""
    sizes = {"/tmp": 256, "/app/x": 8}  # noqa: S108
    options = Options(memory_mb=1024, cpus=1.5, stop_grace=40, tmpfs=sizes)
    container = only(synth(props(app(options=options))), "docker_container", "svc-a_app")

    assert container["memory"] == container["memory_swap"] == 1024
    assert (container["cpu_period"], container["cpu_quota"]) == (100_000, 150_000)
    assert container["stop_timeout"] == container["destroy_grace_seconds"] == 45
    assert environment(container)["IAC_STOP_GRACE"] == "40"
    assert container["tmpfs"] == {
        "/tmp": "size=256m,mode=1777",  # noqa: S108
        "/app/x": f"size=8m,mode=1777,uid={environment(container)['IAC_FIRST_UID']}",
    }


def test_without_options_everything_is_as_before(service: dict[str, Any]) -> None:
    """The defaults: what is not said is not set, and Docker waits longer than the runner does."""
    container = only(service, "docker_container", "svc-a_app")

    assert container["tmpfs"] == {"/tmp": "size=64m,mode=1777"}  # noqa: S108
    assert container["stop_timeout"] == container["destroy_grace_seconds"] == 13
    assert runner_settings.load_runner_settings({}).stop_grace == STOP_GRACE < 10
    assert not {"cpus", "cpu_period", "cpu_quota"} & container.keys()
    assert "IAC_STOP_GRACE" not in environment(container)


def test_a_service_of_tcp_ports_alone_is_expected_on_the_first() -> None:
    """Its Envoy has a second alias, and knows its ports; nothing else of the stack does."""
    options = Options(tcp=(5432, 6379))
    stack = synth(props(app(options=options, port_declared=False, run=None)))
    envoy = only(stack, "docker_container", "svc-a_envoy")

    assert envoy["networks_advanced"][0]["aliases"] == ["svc-a", "svc-a_tcp"]
    told = environment(envoy)
    assert (told["IAC_TCP"], told["IAC_TCP_ONLY"]) == ("5432,6379", "1")
    assert (told["IAC_PORT"], told["IAC_PORT_DECLARED"]) == ("5432", "1")
    program = environment(only(stack, "docker_container", "svc-a_app"))
    assert (program["PORT"], program["IAC_PORT_DECLARED"]) == ("5432", "1")
    assert program["IAC_TCP"] == "5432,6379"


def test_a_service_with_http_beside_its_tcp_ports_keeps_its_port() -> None:
    """Its sidecar's callers send every other port there."""
    stack = synth(props(app(options=Options(tcp=(5432,)), port=8080, run="web")))
    told = environment(only(stack, "docker_container", "svc-a_envoy"))
    assert (told["IAC_TCP"], told["IAC_PORT"]) == ("5432", "8080")
    assert "IAC_TCP_ONLY" not in told


@pytest.mark.parametrize("possible", [True, False])
def test_a_service_has_an_ipv6_loopback_where_the_kernel_has_ipv6(possible: bool) -> None:
    """Docker refuses the setting on a kernel without IPv6."""
    facts = host(loopback_v6=possible)
    container = only(synth(props(app(), host=facts)), "docker_container", "svc-a_envoy")

    expected = {"net.ipv6.conf.lo.disable_ipv6": "0"} if possible else None
    assert container.get("sysctls") == expected
    assert container["dns_opts"] == ["ndots:0"]


def test_envoy_follows_a_replaced_network(service: dict[str, Any]) -> None:
    """A network made anew keeps its name, so only this rule moves the containers over."""
    container = only(service, "docker_container", "svc-a_envoy")

    # A bare address: Terraform refuses "${…}" here.
    assert container["lifecycle"] == {
        "replace_triggered_by": ["docker_network.iac_network"],
        "ignore_changes": ["env"],
    }


def test_a_policy_makes_no_new_container_and_all_else_of_the_environment_does() -> None:
    """Terraform ignores the environment; a label has the hash of what must not be ignored."""

    def sidecar(*apps: ResolvedApp) -> dict[str, Any]:
        return only(synth(props(*apps)), "docker_container", "svc-a_envoy")

    plain = sidecar(app("svc-a"), app("svc-b"))
    closed = sidecar(app("svc-a", options=Options(allow={})), app("svc-b"))
    moved = sidecar(app("svc-a", port=8080), app("svc-b"))

    assert json.loads(environment(plain)["IAC_POLICY"])["callers"] == {"svc-a": [], "svc-b": []}
    assert json.loads(environment(closed)["IAC_POLICY"])["callers"] == {"svc-a": []}
    assert plain | {"env": closed["env"]} == closed
    assert label_values(plain)[FIXED] != label_values(moved)[FIXED]


def test_policies_are_sent_when_they_change_and_when_all_sidecars_are_there() -> None:
    """By a resource that a change of the list replaces; a new port is no reason."""

    def sender(*apps: ResolvedApp) -> dict[str, Any]:
        return only(synth(props(*apps)), "terraform_data", "iac_policies")

    plain = sender(app("svc-a"), app("svc-b"))
    assert {name.partition(".")[2].rpartition("_")[0] for name in plain["depends_on"]} >= {
        "svc-a_envoy",
        "svc-b_envoy",
    }
    moved = sender(app("svc-a", port=8080), app("svc-b"))
    assert moved["triggers_replace"] == plain["triggers_replace"]
    narrow = sender(app("svc-a", options=Options(allow={})), app("svc-b"))
    assert narrow["triggers_replace"] != plain["triggers_replace"]
    command = plain["provisioner"][0]["local-exec"]
    assert command["interpreter"][1:4] == ["-P", "-m", "iac_wrapper.operations.push_policies"]
    assert command["command"] == plain["triggers_replace"]["digest"]


def test_image_is_built_from_its_context(service: dict[str, Any]) -> None:
    """The build gets its context and two secret files; its labels hold what the tag stands for."""
    image = only(service, "docker_image", "svc-a_image")

    assert image["name"] == "iac/iacnet-svc-a:0123456789ab"
    context = "/project/.iac/build/iacnet/svc-a-0123456789ab"
    assert image["build"]["context"] == context
    assert image["build"]["dockerfile"] == f"{context}/Dockerfile"
    assert image["build"]["label"]["org.karstkit.tree"] == TREE
    assert [secret["id"] for secret in image["build"]["secrets"]] == ["ca", "env"]
    assert image["keep_locally"] is True
    assert image["lifecycle"] == {"create_before_destroy": True, "ignore_changes": ["build"]}


def test_a_process_runs_the_image_of_its_service() -> None:
    """One image for both, built once; a command of its own, in which nothing is interpolated."""
    worker = app(
        "svc-a-worker",
        image="iac/iacnet-svc-a:0123456789ab",
        process_of="svc-a",
        port=9000,
        entrypoint=Entrypoint("shell", 'sleep 1; exec celery -A "${APP}"', None, ""),
    )
    terraform = synth(props(app(), worker))

    assert len(terraform["resource"]["docker_image"]) == 2  # the sidecar's as well
    own = only(terraform, "docker_container", "svc-a_app")
    other = only(terraform, "docker_container", "svc-a-worker_app")
    assert own["image"] == other["image"]
    assert "command" not in own
    assert other["command"] == [
        *("--", "/bin/sh", "-c"),
        'sleep 1; exec celery -A "${"$"}{APP}"',
    ]
    assert "PORT=9000" in other["env"]
    assert label_values(other)["org.karstkit.service"] == "svc-a-worker"


def test_a_process_at_another_version_has_that_image() -> None:
    """It was put back, or its service was stopped: Terraform has the other tag as well."""
    old = "iac/iacnet-svc-a:ba9876543210"
    worker = app("svc-a-worker", image=old, process_of="svc-a")
    for apps, place in (((app(), worker), "svc-a-worker_image"), ((worker,), "svc-a_image")):
        image = only(synth(props(*apps)), "docker_image", place)
        assert image["name"] == old
        assert image["build"]["context"].endswith("svc-a-ba9876543210")
        labelled = image["build"]["label"]
        assert labelled["org.karstkit.service"] == "svc-a"


def test_a_process_stays_what_it_is_while_its_service_is_stopped() -> None:
    """Its image is the same resource: as another one it would replace what runs on."""
    worker = app("svc-a-worker", image=app().image, process_of="svc-a")
    both, alone = (synth(props(*apps)) for apps in ((app(), worker), (worker,)))
    assert alone["resource"]["docker_image"] == both["resource"]["docker_image"]
    there, here = (only(each, "docker_container", "svc-a-worker_app") for each in (both, alone))
    assert here["image"] == there["image"]


def test_labels_do_not_change_with_the_commit(service: dict[str, Any]) -> None:
    """Another commit with the same tree is no reason to replace anything."""
    container = only(service, "docker_container", "svc-a_app")
    plain = app(port_declared=True, env={"TOKEN": "${MY_TOKEN}", "MODE": "fast"}, commit="f" * 40)

    assert label_values(container)["org.karstkit.slug"] == "gh:owner/repo#main"
    assert synth(props(plain))["resource"] == service["resource"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"name": "x.y"}, "x.y"),
        ({"name": "X"}, "X"),
        ({"name": "control-plane"}, "control-plane"),
        ({"port": 0}, "0"),
        ({"port": 15000}, "15000"),
        ({"port": 15443}, "15443"),
        ({"image": "iac/other-svc-a:0123456789ab"}, "iac/other-svc-a"),
    ],
)
def test_impossible_apps_are_refused(changes: dict[str, Any], found: str) -> None:
    """The constructor says what it got and what it expected."""
    with pytest.raises(ConfigError) as caught:
        synth(props(app(**changes)))

    assert found in str(caught.value.found)
    assert caught.value.expected


def test_names_that_would_become_one_resource_are_refused() -> None:
    """cdktf drops the dot of x.y from ids, which would silently merge it with xy."""
    with pytest.raises(ConfigError, match="bad service name"):
        synth(props(app("xy"), app("x.y")))


def test_too_little_memory_is_refused() -> None:
    """Docker's own message would come minutes later."""
    with pytest.raises(ConfigError, match="bad memory"):
        synth(props(app(), memory_mb=5))
    with pytest.raises(ConfigError, match="bad memory"):
        synth(props(app(options=Options(memory_mb=5))))


def test_other_projects_have_their_own_paths_and_names() -> None:
    """Two projects share no container, certificate, secret or identity."""
    facts = lock(
        app(image="iac/shop-svc-a:0123456789ab", env={"T": "${T}"}),
        project="shop",
        network="iacnet-shop",
    )
    terraform = synth(props(lock=facts))

    assert only(terraform, "docker_container", "svc-a_app")["name"] == "shop-svc-a-app"
    sources = [
        mount["source"]
        for container in terraform["resource"]["docker_container"].values()
        for mount in container.get("mounts", ())
    ]
    assert sorted(sources) == [
        "/project/.iac/projects/shop/passwd/svc-a",
        "/project/secrets/shop.env/svc-a",
        "/project/secrets/shop/svc-a",
        "karstkit-uids-30004",
    ]


def test_variables_of_a_framework_reach_the_container() -> None:
    """With the port filled in; what repos.yaml says of the same variable wins."""
    variables = (("UI_HEADLESS", "true"), ("UI_PORT", "$PORT"), ("UI_THEME", "dark"))
    entrypoint = Entrypoint("module", "ui", None, "", variables=variables)
    stack = synth(props(app(entrypoint=entrypoint, env={"UI_THEME": "light"})))
    found = environment(only(stack, "docker_container", "svc-a_app"))
    assert {"UI_HEADLESS": "true", "UI_PORT": "50051", "UI_THEME": "light"}.items() <= found.items()


def test_folders_that_a_framework_writes_to_are_memory() -> None:
    """Unless a volume is mounted there."""
    entrypoint = Entrypoint("module", "ui", None, "", writable=("/app/.files", "/app/instance"))
    options = Options(volumes={"instance": "/app/instance"})
    stack = synth(props(app(entrypoint=entrypoint, options=options)))
    folders = set(only(stack, "docker_container", "svc-a_app")["tmpfs"])
    assert folders >= {"/app/.files"}
    assert "/app/instance" not in folders
