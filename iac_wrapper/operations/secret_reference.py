"""Which ``${NAME}`` stands for a secret value of a service, so that it means nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import app_rules, references
from iac_wrapper.operations.entry_env import Lists, Variable
from iac_wrapper.operations.workspace import Workspace


def refers(name: str, known: Mapping[str, Variable]) -> bool:
    """Whether the service uses ``${name}`` within other values: what is stored is what it lacks."""
    return name not in known and any(name in each.references for each in known.values())


def find(workspace: Workspace, lists: Lists, service: str, name: str) -> str:
    """The name that stands for a secret value of a service: that of the variable, unless that means
    something else already.

    Raises:
        ConfigError: the environment or `.env` says what it is, so nothing stored would count.
    """
    app_rules.check_env_name(name)
    known, said = lists.variables(service), workspace.settings.environment
    whole = references.WHOLE.fullmatch(known[name].value) if name in known else None
    reference = whole[1] if whole else name if refers(name, known) else ""
    if reference and said.get(reference):
        raise ConfigError(
            f"the environment or .env says what ${{{reference}}} is, and wins over what is stored",
            where=known[name].where if name in known else None,
            next_step=f"change it in {workspace.layout.root / '.env'}, or take it away there and"
            " from the environment",
        )
    if reference:
        return reference
    used = lists.used()
    own = f"{service.replace('-', '_').upper()}_{name}"
    for each in (name, own):
        if each not in used and not said.get(each):
            return each
    raise ConfigError(
        f"there is no free name for {name} of {service}",
        found=f"${{{name}}} and ${{{own}}} stand for something else",
        next_step=f"write {name}: ${{ANOTHER_NAME}} into its `env:`, then run the command again",
    )
