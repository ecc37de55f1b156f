"""Which folder the relative local paths of a deployed project are relative to.

The lock holds slugs as they were written and no path of a machine. `./greeter` from
`examples/repos.yaml` is another folder than `./greeter` from the project folder: to deploy a
service again by its name, this must be known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from iac_wrapper.files.atomic import write_text
from iac_wrapper.model.app import AppSpec
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations.workspace import Workspace

_NAME = "local-bases.json"


def save_bases(workspace: Workspace, specs: Iterable[AppSpec], deployed: LockFile) -> None:
    """Note, after an apply of `specs`, the base of every deployed service with a local path."""
    known = load_bases(workspace)
    written = {spec.name: spec for spec in specs if spec.slug.kind == "path"}
    bases = {}
    for app in deployed.all_apps:
        if app.commit is not None:
            continue
        spec = written.get(app.name)
        if spec and spec.slug.text == app.slug:
            bases[app.name] = str(spec.base.absolute())
        elif app.name in known:
            bases[app.name] = known[app.name]
    text = json.dumps(bases, indent=2, sort_keys=True) + "\n"
    write_text(workspace.directory / _NAME, text, mode=0o600)


def load_bases(workspace: Workspace) -> Mapping[str, str]:
    """Service name -> absolute folder; empty if nothing was noted."""
    try:
        found = json.loads((workspace.directory / _NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
