"""Every policy with the breach that it is there for."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.policies import violations

MOUNTABLE = ("/project/secrets/iacnet",)


def _labels(role: str) -> list[dict[str, str]]:
    values = {"project": "iacnet", "service": "svc-a", "role": role}
    return [{"label": f"org.karstkit.{name}", "value": value} for name, value in values.items()]


def _container(role: str = "app", **changes: Any) -> dict[str, Any]:
    return {
        "labels": _labels(role),
        "capabilities": {"drop": ["ALL"]},
        "security_opts": ["no-new-privileges:true"],
        "read_only": True,
        "memory": 512,
        "memory_swap": 512,
        "user": "0:10001",
        **changes,
    }


def _check(kind: str, body: dict[str, Any]) -> list[str]:
    terraform = {"resource": {kind: {"it": body}}}
    return violations(terraform, project="iacnet", mountable=MOUNTABLE, own={f"{kind}.it"})


def _mount(source: str, *, read_only: bool = True) -> dict[str, Any]:
    return {"mounts": [{"source": source, "target": "/x", "type": "bind", "read_only": read_only}]}


def _volume(name: str) -> dict[str, Any]:
    return {"mounts": [{"source": name, "target": "/x", "type": "volume", "read_only": False}]}


def test_good_resources_pass() -> None:
    """Nothing is said about what the constructs really make."""
    assert _check("docker_container", _container(**_volume("iacnet-svc-a-data"))) == []
    image = {"build": {"label": {item["label"]: item["value"] for item in _labels("app")}}}

    assert _check("docker_container", _container()) == []
    assert _check("docker_container", _container(**_mount("/project/secrets/iacnet/svc-a"))) == []
    assert _check("docker_image", image) == []
    assert _check("docker_image", {"name": "iac/envoy:1"}) == []
    assert _check("docker_network", {"labels": _labels("network")}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"privileged": True}, "is privileged"),
        ({"capabilities": {"drop": []}}, "does not drop every capability"),
        ({"capabilities": [{"drop": ["CAP_CHOWN"]}]}, "does not drop every capability"),
        ({"capabilities": {"drop": ["ALL"], "add": ["CAP_NET_ADMIN"]}}, "keeps CAP_NET_ADMIN"),
        ({"security_opts": []}, "may gain privileges"),
        ({"group_add": ["0"]}, "is a member of root's group"),
        ({"cgroupns_mode": "host"}, "shares a namespace with the host"),
        (
            {"security_opts": ["no-new-privileges:true", "seccomp=unconfined"]},
            "with seccomp=unconfined",
        ),
        ({"user": "0:0"}, "starts user code as '0:0', expected the runner, as 0:10001"),
        ({"user": ""}, "starts user code as ''"),
        ({"read_only": False}, "has a writable root"),
        ({"memory": None}, "has no full memory limit"),
        ({"memory_swap": 1024}, "has no full memory limit"),
        ({"network_mode": "host"}, "shares a namespace with the host"),
        ({"pid_mode": "host"}, "shares a namespace with the host"),
        ({"ports": [{"internal": 80, "ip": "192.0.2.1"}]}, "publishes port 80 beyond this host"),
        ({"ports": [{"internal": 80}]}, "publishes port 80 beyond this host"),
        ({"upload": [{"file": "/k", "source": "/k"}]}, "uploads files"),
        ({"volumes": [{"host_path": "/", "container_path": "/x"}]}, "uses devices or volumes"),
        (_mount("/var/run/docker.sock"), "mounts /var/run/docker.sock, expected"),
        (_mount("/project/secrets/iacnet"), "expected a directory below /project/secrets/iacnet"),
        (_mount("/project/secrets/iacnet/../ca.key"), "mounts /project/secrets/iacnet/../ca.key"),
        (_mount("/project/secrets/iacnet2/a"), "mounts /project/secrets/iacnet2/a"),
        (_mount("/project/secrets/iacnet/a", read_only=False), "writable"),
        (_volume("iacnet-svc-b-data"), "expected one of its own: iacnet-svc-a-<name>"),
        (_volume("iacnet-svc-a-b-data"), "mounts volume iacnet-svc-a-b-data, expected"),
        (_volume("karstkit-uids-30000"), "mounts volume karstkit-uids-30000, expected"),
    ],
)
def test_weak_app_container_is_named(changes: dict[str, Any], expected: str) -> None:
    """One breach, one sentence with the resource's address."""
    found = _check("docker_container", _container(**changes))

    assert len(found) == 1
    assert found[0].startswith("docker_container.it: ")
    assert expected in found[0]


def test_only_a_program_has_volumes() -> None:
    """Who wrote to one besides would be a second writer."""
    body = _container("gateway", user="0:0", **_volume("iacnet-svc-a-data"))
    assert "expected volumes for programs only" in _check("docker_container", body)[0]


def test_a_sidecar_keeps_its_state_in_the_volume_of_its_uids() -> None:
    """In no other service's, and at no other place."""

    def sidecar(name: str, target: str) -> list[str]:
        body = _container("envoy", user="0:0", **_volume(name))
        body["mounts"][0]["target"] = target
        body["labels"].append({"label": "org.karstkit.uids", "value": "30004 iacnet/svc-a"})
        return _check("docker_container", body)

    expected = "expected karstkit-uids-30004 at /var/lib/iac only"
    assert sidecar("karstkit-uids-30004", "/var/lib/iac") == []
    assert expected in sidecar("karstkit-uids-30008", "/var/lib/iac")[0]
    assert expected in sidecar("karstkit-uids-30004", "/etc/iac/tls")[0]
    assert expected in sidecar("iacnet-svc-a-data", "/var/lib/iac")[0]


def test_an_app_starts_with_what_its_runner_needs_and_no_more() -> None:
    """To become two other users, and to end the program. A foreign image has no runner."""

    def keeps(*names: str, foreign: bool = False) -> list[str]:
        body = _container(capabilities={"drop": ["ALL"], "add": list(names)})
        if foreign:
            body["labels"].append({"label": "org.karstkit.foreign", "value": "1"})
        return _check("docker_container", body)

    assert keeps("CAP_KILL", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID") == []
    assert "keeps CAP_CHOWN" in keeps("CAP_CHOWN")[0]
    assert "keeps CAP_KILL" in keeps("CAP_KILL", foreign=True)[0]
    assert "runs user code as root" in keeps(foreign=True)[0]


def test_envoy_may_keep_what_its_init_needs_and_no_more() -> None:
    """The firewall needs NET_ADMIN; nothing needs SYS_ADMIN."""

    def keeps(name: str) -> list[str]:
        body = _container("envoy", user="0:0", capabilities={"drop": ["ALL"], "add": [name]})
        return _check("docker_container", body)

    assert keeps("CAP_NET_ADMIN") == []
    assert "keeps CAP_SYS_ADMIN" in keeps("CAP_SYS_ADMIN")[0]


@pytest.mark.parametrize("kind", ["docker_container", "docker_network", "docker_image"])
@pytest.mark.parametrize("missing", ["project", "service", "role"])
def test_missing_label_is_named(kind: str, missing: str) -> None:
    """Without its labels a resource could be neither healed nor swept up."""
    kept = [item for item in _labels("envoy") if not item["label"].endswith(missing)]
    body = _container(labels=kept)
    body["build"] = [{"label": {item["label"]: item["value"] for item in kept}}]

    assert f"{kind}.it: label org.karstkit.{missing} is missing" in _check(kind, body)


def test_label_of_another_project_is_named() -> None:
    """A destroy of that other project would take this resource along."""
    body = _container()
    body["labels"][0]["value"] = "shop"

    assert "is 'shop', expected 'iacnet'" in _check("docker_container", body)[0]


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----",
        "postgres://app:hunter22@db/x",
        "glpat-" + "a1" * 10,
    ],
)
def test_secret_shaped_text_is_found_anywhere_but_not_repeated(secret: str) -> None:
    """The address is enough to find it; the message itself ends up in logs."""
    in_environment = _check("docker_container", _container(env=["A=1", f"KEY={secret}"]))
    in_map = _check("docker_container", _container(log_opts={"tag": secret}))

    assert in_environment[0].startswith("resource.docker_container.it.env[KEY]: looks like")
    assert in_map[0].startswith("resource.docker_container.it.log_opts.tag: looks like")
    assert secret not in in_environment[0] + in_map[0]
