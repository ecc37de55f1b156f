"""What a container's configuration must not say."""

from __future__ import annotations

from typing import Any

import pytest

from provider import schema
from provider.container import ContainerResource
from provider.schema import Block
from provider.values import UNKNOWN

BLOCK = schema.load_schemas().resources["docker_container"].block


def conform(block: Block, config: Any) -> Any:
    """A configuration as Terraform sends it: every name present, null where nothing is said."""
    if config is UNKNOWN:
        return config
    made = {name: config.get(name) for name in block.attributes}
    for name, nested in block.blocks.items():
        if nested.nesting == "single":
            made[name] = config.get(name)
            continue
        value = config.get(name) or []
        made[name] = value if value is UNKNOWN else [conform(nested.block, item) for item in value]
    return made


def problems(**config: Any) -> list[tuple[Any, ...]]:
    found = ContainerResource().validate(conform(BLOCK, {"name": "x", "image": "i", **config}))
    return [problem.path for problem in found]


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"attach": True}, ("attach",)),
        ({"logs": True}, ("logs",)),
        ({"gpus": "all"}, ("gpus",)),
        ({"restart": "sometimes"}, ("restart",)),
        ({"cpus": "half"}, ("cpus",)),
        ({"cpu_set": "a"}, ("cpu_set",)),
        ({"memory_swap": -2}, ("memory_swap",)),
        ({"wait_timeout": 0}, ("wait_timeout",)),
        ({"command": ["a", ""]}, ("command", 1)),
        (
            {"network_mode": "container:x", "networks_advanced": [{"name": "n"}]},
            ("networks_advanced",),
        ),
        ({"capabilities": [{"drop": ["cap_all"]}]}, ("capabilities", "drop")),
        ({"mounts": [{"type": "nfs", "target": "/t"}]}, ("mounts", "type")),
        ({"mounts": [{"type": "bind", "target": "/t"}]}, ("mounts", "source")),
        ({"mounts": [{"type": "tmpfs", "target": "/t", "bind_options": [{}]}]}, ("mounts",)),
        (
            {"mounts": [{"type": "volume", "target": "/t", "volume_options": [{"subpath": "p"}]}]},
            ("mounts", "volume_options", "subpath"),
        ),
        ({"upload": [{"file": "/a"}]}, ("upload",)),
        ({"upload": [{"file": "/a", "content": "x", "source": "/y"}]}, ("upload",)),
        (
            {"upload": [{"file": "/a", "content": "x", "permissions": "rw"}]},
            ("upload", "permissions"),
        ),
        ({"volumes": [{"volume_name": "v"}]}, ("volumes",)),
        ({"ports": [{"internal": 1}, {"internal": 65536}]}, ("ports", 1, "internal")),
        ({"ports": [{"internal": 1, "protocol": "icmp"}]}, ("ports", 0, "protocol")),
        ({"healthcheck": [{"test": ["a"], "interval": "soon"}]}, ("healthcheck", 0, "interval")),
        (
            {"healthcheck": [{"test": ["a"], "start_interval": "1s"}]},
            ("healthcheck", 0, "start_interval"),
        ),
    ],
)
def test_refused_with_the_attributes_path(config: dict[str, Any], path: tuple[Any, ...]) -> None:
    """One problem each, at the attribute that has it."""
    assert problems(**config) == [path]


def test_what_is_implemented_passes() -> None:
    """Also the harmless values of what is not."""
    assert (
        problems(
            attach=False,
            gpus="",
            restart="on-failure",
            cpus="1.5",
            cpu_set="0-1,3",
            capabilities=[{"add": ["NET_ADMIN"], "drop": ["ALL"]}],
            memory_swap=-1,
            mounts=[{"type": "tmpfs", "target": "/t"}],
            upload=[{"file": "/a", "content": ""}],
            command=["a"],
            healthcheck=[{"test": ["a"], "interval": "1m"}],
        )
        == []
    )


def test_unknown_values_are_left_for_later() -> None:
    """Nothing is guessed about what Terraform does not know yet."""
    assert (
        problems(
            restart=UNKNOWN,
            command=UNKNOWN,
            network_mode=UNKNOWN,
            ports=UNKNOWN,
            networks_advanced=[{"name": UNKNOWN}],
            mounts=[UNKNOWN, {"type": UNKNOWN, "target": "/t"}],
            upload=[{"file": "/a", "content": UNKNOWN}],
            healthcheck=[{"test": UNKNOWN, "interval": UNKNOWN}],
            volumes=[{"container_path": UNKNOWN}],
            capabilities=[{"add": UNKNOWN, "drop": [UNKNOWN]}],
        )
        == []
    )
