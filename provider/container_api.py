"""docker_container, outward: planned values to the body of a create or update call. Pure."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import durations, labels
from .values import UNKNOWN, Values, is_empty

DEFAULT_MODES = (None, "", "default", "bridge")
"""Network modes that mean the default bridge."""

MIB = 1024 * 1024
"""Terraform's unit for memory, swap and /dev/shm; Docker's is the byte."""


def _same(value: Any) -> Any:
    return value


def _mib(value: int) -> int:
    return value * MIB if value > 0 else value


CONFIG: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("hostname", "Hostname", _same),
    ("domainname", "Domainname", _same),
    ("user", "User", _same),
    ("working_dir", "WorkingDir", _same),
    ("env", "Env", _same),
    ("command", "Cmd", _same),
    ("entrypoint", "Entrypoint", _same),
    ("tty", "Tty", _same),
    ("stdin_open", "OpenStdin", _same),
    ("labels", "Labels", labels.to_api),
    ("stop_signal", "StopSignal", _same),
    ("stop_timeout", "StopTimeout", _same),
)
"""Attribute, key of the API's container config, translation; empty values are left out."""

HOST_CONFIG: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("privileged", "Privileged", _same),
    ("publish_all_ports", "PublishAllPorts", _same),
    ("rm", "AutoRemove", _same),
    ("read_only", "ReadonlyRootfs", _same),
    ("tmpfs", "Tmpfs", _same),
    ("dns", "Dns", _same),
    ("dns_opts", "DnsOptions", _same),
    ("dns_search", "DnsSearch", _same),
    ("security_opts", "SecurityOpt", _same),
    ("memory", "Memory", _mib),
    ("memory_swap", "MemorySwap", _mib),
    ("shm_size", "ShmSize", _mib),
    ("cpu_shares", "CpuShares", _same),
    ("cpu_set", "CpusetCpus", _same),
    ("cpu_period", "CpuPeriod", _same),
    ("cpu_quota", "CpuQuota", _same),
    ("cpus", "NanoCpus", lambda text: round(float(text) * 1e9)),
    ("network_mode", "NetworkMode", _same),
    ("userns_mode", "UsernsMode", _same),
    ("pid_mode", "PidMode", _same),
    ("ipc_mode", "IpcMode", _same),
    ("cgroupns_mode", "CgroupnsMode", _same),
    ("cgroup_parent", "CgroupParent", _same),
    ("runtime", "Runtime", _same),
    ("sysctls", "Sysctls", _same),
    ("storage_opts", "StorageOpt", _same),
    ("group_add", "GroupAdd", _same),
    ("host", "ExtraHosts", lambda items: [f"{i['host']}:{i['ip']}" for i in items]),
    (
        "ulimit",
        "Ulimits",
        lambda items: [{"Name": i["name"], "Soft": i["soft"], "Hard": i["hard"]} for i in items],
    ),
    ("devices", "Devices", lambda items: [device(item) for item in items]),
    ("mounts", "Mounts", lambda items: [mount(item) for item in items]),
)
"""Attribute, key of the API's host config, translation; empty values are left out."""

LIMITS = ("memory", "memory_swap", "cpu_shares", "cpu_set", "cpu_period", "cpu_quota")
"""What an update call can change, beside the restart policy."""


def to_api(planned: Values) -> dict[str, Any]:
    """The body of a create call.

    NetworkMode stays what was asked for (default: bridge) while the only endpoint is the first of
    `networks_advanced`: Docker then never attaches the bridge, and the container looks exactly
    like one of the official provider, which attaches and detaches it.
    """
    body: dict[str, Any] = {"Image": planned["image"], **_translate(CONFIG, planned)}
    host: dict[str, Any] = _translate(HOST_CONFIG, planned)
    host["Init"] = planned["init"] is True
    host["RestartPolicy"] = restart_policy(planned)
    host.update(_log_config(planned))
    exposed, bound = ports(planned["ports"] or [])
    if exposed:
        body["ExposedPorts"], host["PortBindings"] = exposed, bound
    for block in planned["capabilities"] or []:
        host["CapAdd"], host["CapDrop"] = block["add"], block["drop"]
    for block in planned["healthcheck"] or []:
        body["Healthcheck"] = healthcheck(block)
    _volumes(planned["volumes"] or [], body, host)
    body["HostConfig"] = host
    at_create, _later = networks(planned)
    if at_create:
        body["NetworkingConfig"] = {"EndpointsConfig": {at_create["name"]: endpoint(at_create)}}
    return body


def to_update(planned: Values) -> dict[str, Any]:
    """The body of an update call: all limits, so that memory and swap change together."""
    wanted = [item for item in HOST_CONFIG if item[0] in LIMITS]
    return {**_translate(tuple(wanted), planned), "RestartPolicy": restart_policy(planned)}


def _translate(
    table: tuple[tuple[str, str, Callable[[Any], Any]], ...], planned: Values
) -> dict[str, Any]:
    return {
        key: translate(planned[name])
        for name, key, translate in table
        if planned[name] is not UNKNOWN and not is_empty(planned[name])
    }


def networks(planned: Values) -> tuple[Values | None, list[Values]]:
    """The network a create call carries (engines before 25 take one), and those for later.

    On the default bridge it is the first, which then takes the bridge's place; a network mode
    that is itself a network is attached anyway, so only its own block fits.
    """
    blocks = list(planned["networks_advanced"] or [])
    mode = planned["network_mode"]
    for index, block in enumerate(blocks):
        if mode in DEFAULT_MODES or block["name"] == mode:
            return block, blocks[:index] + blocks[index + 1 :]
    return None, blocks


def restart_policy(planned: Values) -> dict[str, Any]:
    """The API's restart policy."""
    return {
        "Name": planned["restart"] or "no",
        "MaximumRetryCount": planned["max_retry_count"] or 0,
    }


def _log_config(planned: Values) -> dict[str, Any]:
    driver = planned["log_driver"]
    if is_empty(driver) or driver is UNKNOWN:
        driver = ""
    options = planned["log_opts"] or {}
    return {"LogConfig": {"Type": driver, "Config": options}} if driver or options else {}


def ports(blocks: list[Values]) -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    """Exposed ports and their bindings; without an external port Docker picks one."""
    bound: dict[str, list[dict[str, str]]] = {}
    for block in blocks:
        external = block["external"]
        chosen = "" if external is UNKNOWN or not external else str(external)
        key = f"{block['internal']}/{block['protocol'] or 'tcp'}"
        bound.setdefault(key, []).append({"HostIp": block["ip"] or "", "HostPort": chosen})
    return {key: {} for key in bound}, bound


def healthcheck(block: Values) -> dict[str, Any]:
    """The API's health check; times in nanoseconds, 0 means Docker's default."""
    check: dict[str, Any] = {"Test": block["test"], "Retries": block["retries"]}
    for name, key in (
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start_period", "StartPeriod"),
    ):
        check[key] = durations.parse(block[name])
    return check


def device(block: Values) -> dict[str, str]:
    """The API's device mapping, with the CLI's defaults."""
    return {
        "PathOnHost": block["host_path"],
        "PathInContainer": block["container_path"] or block["host_path"],
        "CgroupPermissions": block["permissions"] or "rwm",
    }


def mount(block: Values) -> dict[str, Any]:
    """The API's mount."""
    made: dict[str, Any] = {
        "Type": block["type"],
        "Target": block["target"],
        "Source": block["source"],
        "ReadOnly": block["read_only"],
    }
    for options in block["bind_options"]:
        made["BindOptions"] = {"Propagation": options["propagation"]}
    for options in block["tmpfs_options"]:
        made["TmpfsOptions"] = {"SizeBytes": options["size_bytes"], "Mode": options["mode"]}
    for options in block["volume_options"]:
        made["VolumeOptions"] = {
            "NoCopy": options["no_copy"],
            "Labels": labels.to_api(options["labels"]),
        }
        if options["driver_name"] or options["driver_options"]:
            made["VolumeOptions"]["DriverConfig"] = {
                "Name": options["driver_name"],
                "Options": options["driver_options"],
            }
    return made


def endpoint(block: Values) -> dict[str, Any]:
    """The API's endpoint settings of one network."""
    made: dict[str, Any] = {"Aliases": block["aliases"]}
    addresses = {
        key: block[name]
        for name, key in (("ipv4_address", "IPv4Address"), ("ipv6_address", "IPv6Address"))
        if block[name]
    }
    if addresses:
        made["IPAMConfig"] = addresses
    return made


def _volumes(blocks: list[Values], body: dict[str, Any], host: dict[str, Any]) -> None:
    for block in blocks:
        suffix = ":ro" if block["read_only"] else ""
        source = block["volume_name"] or block["host_path"]
        if block["from_container"]:
            host.setdefault("VolumesFrom", []).append(block["from_container"] + suffix)
        elif source:
            host.setdefault("Binds", []).append(f"{source}:{block['container_path']}{suffix}")
        else:
            body.setdefault("Volumes", {})[block["container_path"]] = {}


def upload_archive(blocks: list[Values]) -> bytes:
    """A tar archive of all ``upload`` files, absolute in the container.

    Raises:
        OSError: a source file cannot be read.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for block in blocks:
            data = _content(block)
            entry = tarfile.TarInfo(block["file"].lstrip("/"))
            entry.size = len(data)
            mode = block["permissions"] or ("0744" if block["executable"] else "0644")
            entry.mode = int(mode, 8)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _content(block: Values) -> bytes:
    if block["source"]:
        return Path(block["source"]).read_bytes()
    if block["content_base64"]:
        return base64.b64decode(block["content_base64"])
    return str(block["content"]).encode()
