"""The environments of a repos file: what they may be called, and which project each one is."""

from __future__ import annotations

import re

from iac_wrapper.model.key import Text

_NAME = r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?"

ENVIRONMENT = Text(
    parse=lambda text: text if re.fullmatch(_NAME, text) else None,
    expected="1 to 20 of a-z, 0-9 and '-', starting with a letter, such as staging",
    schema={"pattern": f"^{_NAME}$"},
)
"""The name of an environment: it ends the name of a project."""


def project_of(project: str, environment: str) -> str:
    """The project that is `environment` of `project`: ``shop-staging`` is staging of ``shop``.

    A project that is called so already stays what it is: ``--project shop-staging --env staging``
    names the same one.
    """
    own = project == environment or project.endswith(f"-{environment}")
    return project if own else f"{project}-{environment}"
