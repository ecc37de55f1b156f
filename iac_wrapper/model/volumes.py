"""``volumes:`` of repos.yaml: folders that outlive containers. Values, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from iac_wrapper.model import forms
from iac_wrapper.model.key import ByName, Text

_NAME = r"[a-z][a-z0-9_]{0,31}"
"""No ``-``: so ``<project>-<service>-<volume>`` is the name of one volume of a project only."""

_MEMORY = "/tmp"  # noqa: S108 - of every container


def folders() -> ByName:
    """Paths in the container by the name of a volume."""
    name = Text(
        parse=lambda text: text if re.fullmatch(_NAME, text) else None,
        expected="a name of a-z, 0-9 and '_' that begins with a letter, at most 32 long",
        schema={"pattern": f"^{_NAME}$"},
    )
    path = forms.mount_path()
    return ByName(
        read=lambda key, text: (name.read(key), path.read(text)),
        expected="NAME: PATH lines",
        expected_value="a path in the container such as /app/data",
        schema={
            "type": "object",
            "propertyNames": name.schema,
            "additionalProperties": {"type": "string", **path.schema},
        },
        write=lambda said: "{" + ", ".join(f"{key}: {said[key]}" for key in sorted(said)) + "}",
    )


def clash(volumes: Mapping[str, str], tmpfs: Mapping[str, int]) -> str | None:
    """Why these cannot be mounted together, in a sentence; None if they can."""
    taken = {path: f"`tmpfs:` has {path} as well" for path in tmpfs}
    taken.setdefault(_MEMORY, f"{_MEMORY} is memory in every container")
    for name, path in sorted(volumes.items(), key=lambda item: (item[1], item[0])):
        for above in (path, *map(str, PurePosixPath(path).parents)):
            if above in taken and (above == path or above in volumes.values()):
                return f"volume {name} cannot be at {path}: {taken[above]}"
        taken[path] = f"volume {name} is at {path}"
    return None
