"""A Terraform configuration that either Docker provider must plan empty on the other's state."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tests.support.machine import base_image


def sidecar_stack(prefix: str, folder: Path) -> dict[str, Any]:
    """A stack like those of this project, and what is delicate besides.

    A subnet without gateway, a network without subnet; an image with user, health check and
    secret; a shared namespace, tmpfs, limits, a volume.

    Args:
        prefix: begins every name.
        folder: gets the build context.
    """
    (folder / "secret").write_text("sentinel")
    (folder / "Dockerfile").write_text(
        f"FROM {base_image()}\nRUN --mount=type=secret,id=s cat /run/secrets/s > /dev/null\n"
        "USER 10001:10001\nWORKDIR /tmp\nENV A=b\nLABEL from=image\nVOLUME /var/tmp\n"
        'HEALTHCHECK --interval=1h CMD true\nENTRYPOINT ["sleep"]\nCMD ["600"]\n'
    )
    name = f"{prefix}/it:0123456789ab"
    build = {
        "context": str(folder),
        "dockerfile": f"{folder}/Dockerfile",
        "builder": "default",
        "secrets": [{"id": "s", "src": str(folder / "secret")}],
        "build_args": {"X": "y"},
        "label": {"org.karstkit.image-key": name},
    }
    confined = {
        "read_only": True,
        "memory": 64,
        "memory_swap": 64,
        "restart": "unless-stopped",
        "security_opts": ["no-new-privileges:true"],
        "log_opts": {"max-size": "10m"},
        "ulimit": [{"name": "nproc", "soft": 256, "hard": 256}],
    }
    envoy = {
        **confined,
        "name": f"{prefix}-envoy",
        "image": "${docker_image.it.image_id}",
        "user": "0:0",
        "hostname": "svc",
        "env": ["IAC_ROLE=sidecar"],
        "tmpfs": {"/run": "uid=20002,gid=20002,mode=0755,size=16m"},
        "capabilities": [{"drop": ["ALL"], "add": ["CAP_NET_ADMIN", "CAP_SETUID"]}],
        "sysctls": {"net.ipv6.conf.lo.disable_ipv6": "0", "net.ipv4.ip_forward": "0"},
        "host": [{"host": "host.docker.internal", "ip": "host-gateway"}],
        "networks_advanced": [{"name": "${docker_network.it.name}", "aliases": ["svc"]}],
        "mounts": [{"type": "bind", "source": str(folder), "target": "/x", "read_only": True}],
        "labels": [{"label": "org.karstkit.role", "value": "envoy"}],
    }
    app = {
        **confined,
        "name": f"{prefix}-app",
        "image": "${docker_image.it.image_id}",
        "network_mode": "container:${docker_container.envoy.id}",
        "capabilities": [{"drop": ["ALL"]}],
        "tmpfs": {"/tmp": "size=256m,mode=1777"},  # noqa: S108 - in the container
        "user": "20001:20001",
        "group_add": ["20003"],
        "cpu_period": 100000,
        "cpu_quota": 50000,
        "stop_timeout": 2,
        "destroy_grace_seconds": 2,
        "stop_signal": "SIGKILL",
        "mounts": [{"type": "volume", "source": "${docker_volume.it.name}", "target": "/data"}],
    }
    subnet = f"10.{100 + secrets.randbelow(150)}.0.0/24"
    return {
        "resource": {
            "docker_network": {
                "it": {"name": prefix, "ipam_config": [{"subnet": subnet}]},
                "bare": {"name": f"{prefix}-bare"},
            },
            "docker_image": {"it": {"name": name, "build": [build], "triggers": {"key": name}}},
            "docker_volume": {"it": {"name": prefix}},
            "docker_container": {"envoy": envoy, "app": app},
        }
    }
