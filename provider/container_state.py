"""docker_container, inward: an inspect answer to state values. Pure.

A container cannot change most of what it was created with, so a refresh looks only at what
Docker computes and at what can change: name, power, networks, limits, restart policy. An import
reads everything.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from . import durations, labels
from .container_api import DEFAULT_MODES, MIB
from .values import UNKNOWN, Values, is_empty


def is_running(found: dict[str, Any]) -> bool:
    """True also for a container in a restart loop: Docker is still looking after it."""
    state = found["State"]
    return bool(state["Running"] or state.get("Restarting"))


def unlimited(state: Values, found: dict[str, Any]) -> set[str]:
    """Limits that `state` asks for and the container does not have at all.

    An engine whose kernel cannot account for memory or swap drops such a limit with a warning.
    """
    host, limits = found["HostConfig"], set()
    if not is_empty(state.get("memory")) and not host["Memory"]:
        limits.add("memory")
    if state.get("memory_swap") not in {None, -1} and host["MemorySwap"] == -1:
        limits.add("memory_swap")
    return limits


def refresh(state: Values, found: dict[str, Any], *, ignored: Collection[str] = ()) -> Values:
    """`state` with what Docker says now, the limits named by `ignored` aside.

    A container that ought to run and does not is reported as ``must_run = false``: the next plan
    then shows an update, and the update starts it. A refresh itself never touches a container.
    """
    config, host = found["Config"], found["HostConfig"]
    fresh = dict(state)
    fresh.update({"id": found["Id"], "name": found["Name"].lstrip("/"), "bridge": ""})
    fresh.update({"user": config["User"], "working_dir": config["WorkingDir"]})
    for name, value in _computed(config, host).items():
        if state.get(name) is None or state.get(name) is UNKNOWN:
            fresh[name] = value
    limits = _limits(state, host)
    fresh.update({name: value for name, value in limits.items() if name not in ignored})
    fresh["network_data"] = network_data(found)
    fresh["networks_advanced"] = networks(state, found)
    fresh["ports"] = [_port(block, found) for block in state.get("ports") or []]
    if not is_running(found):
        fresh["exit_code"] = found["State"]["ExitCode"]
        if state.get("must_run") and state.get("start"):
            fresh["must_run"] = False
    return fresh


def _computed(config: dict[str, Any], host: dict[str, Any]) -> Values:
    return {
        "hostname": config["Hostname"],
        "command": config["Cmd"] or [],
        "entrypoint": config["Entrypoint"] or [],
        "init": bool(host.get("Init")),
        "ipc_mode": host["IpcMode"],
        "log_driver": host["LogConfig"]["Type"],
        "runtime": host["Runtime"],
        "security_opts": host["SecurityOpt"] or [],
        "shm_size": host["ShmSize"] // MIB,
        "stop_signal": config.get("StopSignal") or "",
        "stop_timeout": config.get("StopTimeout") or 0,
    }


def _limits(state: Values, host: dict[str, Any]) -> Values:
    policy = host["RestartPolicy"]
    memory, swap = host["Memory"], host["MemorySwap"]
    limits: Values = {
        "restart": policy["Name"] or "no",
        "max_retry_count": policy["MaximumRetryCount"],
        "memory": memory // MIB,
        "memory_swap": swap // MIB if swap > 0 else swap,
        "cpu_shares": host["CpuShares"],
        "cpu_set": host["CpusetCpus"],
    }
    if is_empty(state.get("memory_swap")) and swap == 2 * memory:
        # Docker's own choice when only memory is limited: not a difference to the configuration.
        limits["memory_swap"] = 0
    for name, key in (("cpu_period", "CpuPeriod"), ("cpu_quota", "CpuQuota")):
        if host[key] or not is_empty(state.get(name)):
            limits[name] = host[key]
    nano = round(float(state.get("cpus") or 0) * 1e9)
    if nano != host["NanoCpus"]:
        limits["cpus"] = f"{host['NanoCpus'] / 1e9:g}"
    return limits


def network_data(found: dict[str, Any]) -> list[Values]:
    """One entry per attached network, by name."""
    attached = (found.get("NetworkSettings") or {}).get("Networks") or {}
    return [
        {
            "network_name": name,
            "ip_address": item["IPAddress"],
            "ip_prefix_length": item["IPPrefixLen"],
            "gateway": item["Gateway"],
            "global_ipv6_address": item["GlobalIPv6Address"],
            "global_ipv6_prefix_length": item["GlobalIPv6PrefixLen"],
            "ipv6_gateway": item["IPv6Gateway"],
            "mac_address": item["MacAddress"],
        }
        for name, item in sorted(attached.items())
    ]


def networks(state: Values, found: dict[str, Any]) -> list[Values]:
    """``networks_advanced`` as it is: the state's entries still attached, and attached extras.

    A network may be named by name or by id; what the network mode itself attaches is no extra.
    """
    attached = dict((found.get("NetworkSettings") or {}).get("Networks") or {})
    blocks = []
    for block in state.get("networks_advanced") or []:
        for name, item in list(attached.items()):
            if block["name"] in {name, item.get("NetworkID")}:
                blocks.append(block)
                del attached[name]
    mode = found["HostConfig"]["NetworkMode"]
    implied = {mode}
    if mode in DEFAULT_MODES:
        # Blocks take the bridge's place: beside them an attached bridge is an extra.
        implied = set() if state.get("networks_advanced") else {"bridge"}
    return blocks + [
        _network(name, item, found)
        for name, item in sorted(attached.items())
        if name not in implied and item.get("NetworkID") not in implied
    ]


def _network(name: str, item: dict[str, Any], found: dict[str, Any]) -> Values:
    addresses = item.get("IPAMConfig") or {}
    return {
        "name": name,
        "aliases": [alias for alias in item.get("Aliases") or [] if alias != found["Id"][:12]],
        "ipv4_address": addresses.get("IPv4Address", ""),
        "ipv6_address": addresses.get("IPv6Address", ""),
    }


def _port(block: Values, found: dict[str, Any]) -> Values:
    """A port block with the host port Docker picked, if it picked one."""
    key = f"{block['internal']}/{block['protocol'] or 'tcp'}"
    bound = ((found.get("NetworkSettings") or {}).get("Ports") or {}).get(key) or []
    asked = (found["HostConfig"].get("PortBindings") or {}).get(key) or []
    if any(item["HostPort"] == str(block["external"]) for item in asked):
        return block
    for item in bound:
        if item["HostIp"] == (block["ip"] or "0.0.0.0"):  # noqa: S104 - compared, not bound
            return {**block, "external": int(item["HostPort"])}
    return block


def adopt(found: dict[str, Any], image: dict[str, Any]) -> Values:
    """The state of a container this provider did not make (import).

    Args:
        found: its inspect answer.
        image: the inspect answer of its image, whose labels and environment are not its own.
    """
    config, host = found["Config"], found["HostConfig"]
    inherited = (image or {}).get("Config") or {}
    mode = host["NetworkMode"]
    state: Values = {
        "image": config["Image"],
        "domainname": config["Domainname"],
        "env": [item for item in config["Env"] or [] if item not in (inherited.get("Env") or [])],
        "labels": labels.to_state(_less(config["Labels"], inherited.get("Labels"))),
        "tty": config["Tty"],
        "stdin_open": config["OpenStdin"],
        "rm": host["AutoRemove"],
        "read_only": host["ReadonlyRootfs"],
        "privileged": host["Privileged"],
        "publish_all_ports": host["PublishAllPorts"],
        "network_mode": "bridge" if mode == "default" else mode,
        "pid_mode": host["PidMode"],
        "userns_mode": host["UsernsMode"],
        "dns": host["Dns"] or [],
        "dns_opts": host["DnsOptions"] or [],
        "dns_search": host["DnsSearch"] or [],
        "group_add": host["GroupAdd"] or [],
        "tmpfs": host.get("Tmpfs") or {},
        "sysctls": host.get("Sysctls") or {},
        "storage_opts": host.get("StorageOpt") or {},
        "log_opts": host["LogConfig"]["Config"] or {},
        "ports": _bound_ports(host),
        "capabilities": _capabilities(host),
        "host": [_host(item) for item in host["ExtraHosts"] or []],
        "ulimit": [_ulimit(item) for item in host["Ulimits"] or []],
        "devices": [_device(item) for item in host["Devices"] or []],
        "mounts": [_mount(item) for item in host.get("Mounts") or []],
        "volumes": [_bind(item) for item in host["Binds"] or []],
        "healthcheck": _healthcheck(config.get("Healthcheck"), inherited.get("Healthcheck")),
    }
    state.update({"must_run": is_running(found), "start": True})
    return refresh(state, found)


def _less(own: dict[str, str] | None, inherited: dict[str, str] | None) -> dict[str, str]:
    return {k: v for k, v in (own or {}).items() if (inherited or {}).get(k) != v}


def _capabilities(host: dict[str, Any]) -> list[Values]:
    add, drop = host["CapAdd"] or [], host["CapDrop"] or []
    return [{"add": add, "drop": drop}] if add or drop else []


def _bound_ports(host: dict[str, Any]) -> list[Values]:
    return [
        {
            "internal": int(key.partition("/")[0]),
            "protocol": key.partition("/")[2],
            "ip": item["HostIp"] or "0.0.0.0",  # noqa: S104 - Docker's meaning of an empty one
            "external": int(item["HostPort"] or 0),
        }
        for key, items in sorted((host["PortBindings"] or {}).items())
        for item in items
    ]


def _host(item: str) -> Values:
    name, _, address = item.partition(":")
    return {"host": name, "ip": address}


def _ulimit(item: dict[str, Any]) -> Values:
    return {"name": item["Name"], "soft": item["Soft"], "hard": item["Hard"]}


def _device(item: dict[str, Any]) -> Values:
    return {
        "host_path": item["PathOnHost"],
        "container_path": item["PathInContainer"],
        "permissions": item["CgroupPermissions"],
    }


def _bind(item: str) -> Values:
    source, target, *flags = item.split(":")
    is_path = source.startswith("/")
    return {
        "host_path": source if is_path else "",
        "volume_name": "" if is_path else source,
        "container_path": target,
        "from_container": "",
        "read_only": "ro" in flags,
    }


def _mount(item: dict[str, Any]) -> Values:
    made: Values = {
        "type": item["Type"],
        "target": item["Target"],
        "source": item.get("Source", ""),
        "read_only": item.get("ReadOnly", False),
    }
    if options := item.get("BindOptions"):
        made["bind_options"] = [{"propagation": options.get("Propagation", "")}]
    if options := item.get("TmpfsOptions"):
        made["tmpfs_options"] = [
            {"size_bytes": options.get("SizeBytes", 0), "mode": options.get("Mode", 0)}
        ]
    if options := item.get("VolumeOptions"):
        driver = options.get("DriverConfig") or {}
        made["volume_options"] = [
            {
                "no_copy": options.get("NoCopy", False),
                "labels": labels.to_state(options.get("Labels")),
                "driver_name": driver.get("Name", ""),
                "driver_options": driver.get("Options") or {},
            }
        ]
    return made


def _healthcheck(own: dict[str, Any] | None, inherited: dict[str, Any] | None) -> list[Values]:
    if not own or own == inherited:
        return []
    return [
        {
            "test": own.get("Test") or [],
            "interval": durations.render(own.get("Interval", 0)),
            "timeout": durations.render(own.get("Timeout", 0)),
            "start_period": durations.render(own.get("StartPeriod", 0)),
            "start_interval": durations.render(own.get("StartInterval", 0)),
            "retries": own.get("Retries", 0),
        }
    ]
