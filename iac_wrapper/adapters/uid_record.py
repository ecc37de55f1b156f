"""Which uids belong to which service: the record, kept on the Docker engine itself.

An entry is a volume named after the block's first uid. Creating one is the engine's atomic
"make it or show me whose it is", so that two checkouts, users or machines that deploy to one
engine at the same time cannot take the same block. Containers and data volumes carry the same
label: where `docker volume prune` has removed the entry, they still say that the block is taken.
"""

from __future__ import annotations

import pwd
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from iac_wrapper.adapters.engine import Engine
from iac_wrapper.model import labels, users
from iac_wrapper.model.users import Users

_SUBUID = Path("/etc/subuid")


def labels_in_use(engine: Engine) -> list[str]:
    """The label's value on every container and volume of the engine that has it."""
    wanted = {"label": labels.UIDS}

    def ask(api: Any) -> list[str]:
        found = [*api.containers(all=True, filters=wanted), *_volumes(api)]
        return [item["Labels"][labels.UIDS] for item in found]

    return engine.call(ask)


def claim(engine: Engine, block: Users, project: str, service: str) -> bool:
    """Enter `block` for a service; True if it is the service's now (or was already)."""
    wanted = {labels.UIDS: users.label_value(block, project, service)}
    name = users.volume_name(block)
    made = engine.call(lambda api: api.create_volume(name, labels=wanted))
    return (made["Labels"] or {}).get(labels.UIDS) == wanted[labels.UIDS]


def release(engine: Engine, project: str, keep: Collection[str] = ()) -> None:
    """Remove the entries of `project`'s services but for those in `keep`.

    A service that has a volume keeps its entry: the files in it say these numbers.
    """
    stay = {f"{project}/{service}" for service in (*keep, *engine.volumes(project).values())}
    for volume in engine.call(_volumes):
        base, _, owner = volume["Labels"][labels.UIDS].partition(" ")
        is_entry = base.isdecimal() and volume["Name"] == users.volume_name(Users(int(base)))
        ours = is_entry and owner.startswith(f"{project}/")
        if ours and owner not in stay:
            _remove(engine, volume["Name"])


def unknown_here(blocks: Iterable[Users]) -> Iterable[Users]:
    """Those of `blocks` without a uid that this machine knows as a user's (NSS, so LDAP too)."""
    return (block for block in blocks if not any(map(_is_user, block.block)))


def subordinate() -> list[range]:
    """What /etc/subuid gives to users' own containers; nothing where there is no such file."""
    try:
        rows = [line.split(":") for line in _SUBUID.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    numbers = [(r[1], r[2]) for r in rows if len(r) == 3 and r[1].isdecimal() and r[2].isdecimal()]
    return [range(int(first), int(first) + int(count)) for first, count in numbers]


def _volumes(api: Any) -> list[dict[str, Any]]:
    return api.volumes(filters={"label": labels.UIDS})["Volumes"] or []


def _remove(engine: Engine, name: str) -> None:
    """Another process may have removed it already."""
    import docker.errors  # noqa: PLC0415 - the SDK costs 0.2 s that `--help` must not pay

    def act(api: Any) -> None:
        with suppress(docker.errors.NotFound):
            api.remove_volume(name)

    engine.call(act)


def _is_user(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
