"""Values of `env:`: which of them are secret, set, changed, and where programs read them.

Those with a ``${NAME}`` in them reach the containers as files, so no lock and no state has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from iac_wrapper.adapters.engine import Container
from iac_wrapper.files import env_files
from iac_wrapper.model.app import ResolvedApp
from iac_wrapper.model.intent import Selection
from iac_wrapper.model.lock import LockFile
from iac_wrapper.model.redact import UNMASKED, is_masked
from iac_wrapper.operations.workspace import Workspace


def check_values(workspace: Workspace, selection: Selection) -> None:
    """Refuse before anything is fetched or written if a ``${NAME}`` of any service is not set.

    Raises:
        ConfigError: all that are not.
    """
    envs = {f"service {app.name}": app.env for app in selection.kept_apps}
    for spec in selection.fresh:
        at = f"{spec.where}: " if spec.where else ""
        envs[f"{at}service {spec.name}"] = spec.env
    env_file = workspace.layout.root / ".env"
    env_files.require(envs, _variables(workspace, *envs.values()), env_file=env_file)


def secret_values(workspace: Workspace, lock: LockFile) -> dict[str, dict[str, str]]:
    """What the ``${NAME}`` values of every app stand for, by service and variable.

    Raises:
        ConfigError: one is not set.
    """
    return {app.name: _values(workspace, app) for app in lock.apps}


def keep_parts(workspace: Workspace, lock: LockFile) -> None:
    """Let no output show what goes into the text of a value; call it before anything starts."""
    for app in lock.apps:
        directory = workspace.layout.env_parts(workspace.project, app.name)
        env_files.keep_parts(directory, app.env, _variables(workspace, app.env))


def write_values(workspace: Workspace, service: str, values: Mapping[str, str]) -> None:
    """Put the secret values of a service where its program reads them when it starts."""
    directory = workspace.layout.env_files(workspace.project, service)
    if env_files.read_values(directory) == dict(values):
        return
    env_files.write_values(directory, values)
    if said := _masking(values):
        workspace.progress(f"{service}: {said}")


def changed_values(workspace: Workspace, lock: LockFile) -> dict[str, set[str]]:
    """Service -> variables whose secret value a deploy would write anew; others are left out.

    Raises:
        ConfigError: a ``${NAME}`` in an app's env is not set.
    """
    found = {
        app.name: env_files.changed_names(
            workspace.layout.env_files(workspace.project, app.name), _values(workspace, app)
        )
        for app in lock.apps
    }
    return {name: changed for name, changed in found.items() if changed}


def with_old_values(workspace: Workspace, lock: LockFile) -> list[Container]:
    """Running app containers of `lock` that started before their secret environment changed."""
    names = {app.name for app in lock.apps}
    found = []
    for container in workspace.engine.containers(workspace.project):
        if container.role == "app" and container.running and container.service in names:
            directory = workspace.layout.env_files(workspace.project, container.service)
            changed = env_files.changed_at(directory)
            if changed and changed > container.started_at:
                found.append(container)
    return found


def _values(workspace: Workspace, app: ResolvedApp) -> dict[str, str]:
    variables, env_file = _variables(workspace, app.env), workspace.layout.root / ".env"
    return env_files.resolve(app.env, variables, where=f"service {app.name}", env_file=env_file)


def _variables(workspace: Workspace, *envs: Mapping[str, str]) -> dict[str, str]:
    """What the references of `envs` stand for, and more."""
    referring = [names for env in envs for names in env_files.referring(env).values()]
    return workspace.variables(name for names in referring for name in names)


def _masking(values: Mapping[str, str]) -> str:
    """Which variables' values no output shows, and which it may show; empty without values."""
    masked = ", ".join(name for name, value in values.items() if is_masked(value))
    shown = ", ".join(name for name, value in values.items() if value and not is_masked(value))
    parts = [f"output masks the values of {masked}"] if masked else []
    parts += [f"output does not mask {shown}: {UNMASKED}"] if shown else []
    return "; ".join(parts)
