"""The labels that every container, network and built image of a project carries."""

from __future__ import annotations

from typing import Literal

from constructs_lib.text import literal
from iac_wrapper.model.labels import PROJECT, ROLE, SERVICE, SLUG, UIDS
from iac_wrapper.model.redact import Redactor
from iac_wrapper.model.users import Users, label_value

Role = Literal["app", "envoy", "gateway", "ingress", "network", "policies", "routes"]


def labels(
    project: str,
    service: str,
    role: Role,
    *,
    slug: str | None = None,
    users: Users | None = None,
) -> dict[str, str]:
    """The labels of one resource, as name -> value.

    Args:
        project: the project's name.
        service: the service's name; a part of the whole stack names itself.
        role: what the resource is for.
        slug: where the code came from. A commit would be no label: it can change while the tree
            stays the same, and a changed label replaces the container.
        users: the uids of what runs in a container.
    """
    values = {PROJECT: project, SERVICE: service, ROLE: str(role)}
    if users is not None:
        values[UIDS] = label_value(users, project, service)
    if slug is not None:
        values[SLUG] = literal(Redactor()(slug))
    return values
