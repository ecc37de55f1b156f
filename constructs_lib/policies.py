"""What no stack may do, checked on the Terraform JSON itself. Pure: knows nothing of constructs.

The constructs already keep these rules; this is the second pair of eyes, for every change to them.
What somebody adds to a stack of their own is theirs: it must not pass for a part of the project,
nor bring a secret into Terraform.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from iac_wrapper.files.layout import volume_name
from iac_wrapper.model import labels
from iac_wrapper.model.mesh import STATE_DIRECTORY
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.users import GROUP

KEPT_CAPABILITIES = frozenset({"CAP_NET_ADMIN", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"})
"""What an Envoy container's init may keep at its start."""

RUNNER_CAPABILITIES = ("CAP_KILL", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID")
"""What PID 1 of an app's container has at its start, as root: to become two other users. Then it
keeps CAP_KILL, to end the program; the program has none."""

_EXPOSED = "looks like a key, token or password, expected a reference ${NAME} in repos.yaml"

_Json = Mapping[str, Any]


@dataclass(frozen=True)
class IngressRules:
    """What the ingress may do beyond others: see the `folder` of its files and publish ports (port,
    address)."""

    folder: str
    published: Collection[tuple[int, str]]


@dataclass(frozen=True)
class Granted:
    """What the container of an image that is not ours may have: its lock's entry says so."""

    root: bool = False
    writable: bool = False
    capabilities: frozenset[str] = frozenset()


_RUNNER_USER = f"0:{GROUP}"

_NOTHING = Granted()
_RUNNER = Granted(root=True, capabilities=frozenset(RUNNER_CAPABILITIES))


def violations(  # noqa: PLR0913 - keywords, two of them with defaults
    terraform: _Json,
    *,
    project: str,
    mountable: Sequence[str],
    own: Collection[str],
    commands: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ingress: IngressRules | None = None,
    granted: Mapping[str, Granted] = MappingProxyType({}),
) -> list[str]:
    """Every breach as ``address: what, expected what``; no secret is ever part of the text.

    Args:
        terraform: the content of ``cdk.tf.json``.
        project: the name that labels must carry.
        mountable: the directories on the host below which mounts may lie.
        own: the addresses (``docker_container.x``) of the project's own resources.
        commands: what an apply runs on this machine, by the address of the resource that does it.
        ingress: None if there is none.
        granted: what apps have more than those of ours, by service.
    """
    found: list[str] = []
    for kind, resources in terraform.get("resource", {}).items():
        for name, body in resources.items():
            address = f"{kind}.{name}"
            if address not in own:
                found += [f"{address}: {text}" for text in _pretence(body)]
                continue
            found += [f"{address}: {text}" for text in _labels(kind, body, project)]
            found += [f"{address}: {text}" for text in _commands(body, commands.get(address))]
            if kind == "docker_container":
                more = _granted(body, granted)
                found += [
                    f"{address}: {text}"
                    for text in _container(body, project, mountable, ingress, more)
                ]
    found += [f"{where}: {_EXPOSED}" for where in _secrets(terraform, "")]
    return found


def _labels(kind: str, body: _Json, project: str) -> Iterator[str]:
    if kind == "docker_image" and "build" not in body:
        return
    present = _present(body)
    for name in (labels.PROJECT, labels.SERVICE, labels.ROLE):
        if not present.get(name):
            yield f"label {name} is missing"
    if present.get(labels.PROJECT, project) != project:
        yield f"label {labels.PROJECT} is {present[labels.PROJECT]!r}, expected {project!r}"


def _commands(body: _Json, command: Sequence[str] | None) -> Iterator[str]:
    """Commands that an apply runs on this machine."""
    wanted = ["local-exec"] if command else []
    found = [name for one in body.get("provisioner", ()) for name in one]
    if found != wanted:
        yield f"has the provisioners {found}, expected {wanted}"
    for one in body.get("provisioner", ()):
        run = one.get("local-exec", {})
        argv = (*run.get("interpreter", ()), run.get("command"))
        if not command or argv != tuple(command) or run.keys() - _RUN:
            yield "runs another command than its own of KarstKit"


_RUN = {"interpreter", "command"}


def _pretence(body: _Json) -> Iterator[str]:
    """Labels by which destroy, heal and the sweep would take a resource for a service's."""
    names = (labels.PROJECT, labels.SERVICE, labels.ROLE)
    if found := sorted(set(names) & _present(body).keys()):
        yield f"carries {', '.join(found)}, expected labels of your own: it is no service's"


def _present(body: _Json) -> dict[str, str]:
    """The labels of a resource: of what is built where it builds, else of itself."""
    if "input" in body:
        return {str(name): str(value) for name, value in labels.of_data(body).items()}
    return labels.of_build(body) if "build" in body else labels.of(body)


def _granted(body: _Json, granted: Mapping[str, Granted]) -> Granted:
    if "app" not in _roles(body):
        return _NOTHING
    present = labels.of(body)
    default = _NOTHING if labels.FOREIGN in present else _RUNNER
    return granted.get(present.get(labels.SERVICE, ""), default)


def _container(
    body: _Json,
    project: str,
    mountable: Sequence[str],
    ingress: IngressRules | None,
    granted: Granted,
) -> Iterator[str]:
    ours = ingress if "ingress" in _roles(body) else None
    yield from _privileges(body, granted)
    yield from _isolation(body, granted)
    yield from _ports(body, ours.published if ours else ())
    yield from _host_access(body, mountable, ours.folder if ours else "")
    yield from _data(body, project)


def _privileges(body: _Json, granted: Granted) -> Iterator[str]:
    if body.get("privileged"):
        yield "is privileged, expected privileged = false"
    capabilities = _first(body.get("capabilities", {}))
    if "ALL" not in capabilities.get("drop", ()):
        yield "does not drop every capability, expected drop = [ALL]"
    allowed = granted.capabilities if "app" in _roles(body) else KEPT_CAPABILITIES
    if extra := sorted(set(capabilities.get("add", ())) - allowed):
        yield f"keeps {', '.join(extra)}, expected at most [{', '.join(sorted(allowed))}]"
    if "no-new-privileges:true" not in body.get("security_opts", ()):
        yield "may gain privileges, expected security_opts no-new-privileges:true"
    for option in body.get("security_opts", ()):
        if option.endswith(("unconfined", "disable", ":false", "=false")):
            yield f"loosens the kernel's confinement with {option}, expected it left out"
    if granted is _RUNNER and body.get("user") != _RUNNER_USER:
        yield f"starts user code as {body.get('user')!r}, expected the runner, as {_RUNNER_USER}"
    is_root = body.get("user", "").split(":")[0] in {"", "0", "root"}
    if "app" in _roles(body) and is_root and not granted.root:
        yield "runs user code as root, expected another user"
    if {"0", "root"} & set(map(str, body.get("group_add", ()))):
        yield "is a member of root's group, expected group_add without it"


def _isolation(body: _Json, granted: Granted) -> Iterator[str]:
    if body.get("read_only") is not True and not granted.writable:
        yield "has a writable root, expected read_only = true"
    if not body.get("memory") or body["memory"] != body.get("memory_swap"):
        yield "has no full memory limit, expected memory = memory_swap > 0"
    for mode in ("network_mode", "pid_mode", "ipc_mode", "userns_mode", "cgroupns_mode"):
        if body.get(mode) == "host":
            yield f"shares a namespace with the host, expected {mode} other than host"


def _ports(body: _Json, published: Collection[tuple[int, str]]) -> Iterator[str]:
    for port in body.get("ports", ()):
        at = port.get("external"), port.get("ip")
        if at[1] != "127.0.0.1" and at not in published:
            yield f"publishes port {port.get('internal')} beyond this host, expected ip 127.0.0.1"


def _host_access(body: _Json, mountable: Sequence[str], folder: str) -> Iterator[str]:
    if body.get("upload"):
        yield "uploads files, expected mounts: uploaded content lies in Terraform's state"
    if body.get("devices") or body.get("volumes"):
        yield "uses devices or volumes, expected mounts only"
    for mount in _mounts(body, "bind"):
        source = PurePosixPath(mount.get("source", ""))
        above = {str(parent) for parent in source.parents}
        if str(source) == folder:
            above.update(mountable)
        if ".." in source.parts or above.isdisjoint(mountable):
            yield f"mounts {source}, expected a directory below {' or '.join(mountable)}"
        if mount.get("read_only") is not True:
            yield f"mounts {source} writable, expected read_only = true"


def _data(body: _Json, project: str) -> Iterator[str]:
    """A volume is written by the one program that it belongs to, or by the sidecar whose it is."""
    present = _present(body)
    for mount in _mounts(body, "volume"):
        name, own = mount.get("source", ""), volume_name(
            project, present.get(labels.SERVICE, ""), ""
        )
        if "envoy" in _roles(body):
            kept = (
                "karstkit-uids-" + present.get(labels.UIDS, "").partition(" ")[0],
                STATE_DIRECTORY,
            )
            if (name, mount.get("target")) != kept:
                yield f"mounts volume {name}, expected {kept[0]} at {kept[1]} only"
        elif "app" not in _roles(body):
            yield f"mounts volume {name}, expected volumes for programs only"
        elif not name.startswith(own) or "-" in name.removeprefix(own):
            yield f"mounts volume {name}, expected one of its own: {own}<name>"


def _mounts(body: _Json, kind: str) -> list[_Json]:
    """The mounts of a kind; all that are no volumes count as folders of the host."""
    volumes = kind == "volume"
    return [each for each in body.get("mounts", ()) if (each.get("type") == "volume") is volumes]


def _secrets(value: Any, where: str) -> Iterator[str]:
    """Where a secret-shaped text is; the text itself must not reach an error message."""
    if isinstance(value, str):
        if Redactor()(value) != value:
            yield where
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            name = item.partition("=")[0] if isinstance(item, str) and "=" in item else index
            yield from _secrets(item, f"{where}[{name}]")


def _roles(body: _Json) -> set[str]:
    return {item["value"] for item in body.get("labels", ()) if item["label"] == labels.ROLE}


def _first(block: Any) -> _Json:
    """A block that Terraform's JSON may show as an object or as a list of one."""
    if isinstance(block, list | tuple):
        return block[0] if block else {}
    result: _Json = block
    return result
