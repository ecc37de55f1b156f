"""Tells running sidecars who may call them, when that changes, in every kind of apply."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from constructs_lib.cdk import DataResource, LocalExecProvisioner, TerraformResource
from constructs_lib.labels import labels
from constructs_lib.local_command import address, local_command
from constructs_lib.mesh_props import MeshProps
from iac_wrapper.model import policy
from iac_wrapper.model.labels import POLICIES

POLICIES_ID = "iac_policies"

PUSHER = "iac_wrapper.operations.push_policies"


class PolicyPush(DataResource):
    """A terraform_data with the hash of all policies; another hash, and they are sent.

    It says nothing of single services: their policies follow from the lock, which the state has.
    """

    def __init__(self, scope: Construct, id_: str, facts: MeshProps) -> None:
        digest = policy.digest(facts.lock)
        self.command = (*local_command(facts, PUSHER), digest)
        super().__init__(
            scope,
            id_,
            input={**labels(facts.lock.project, POLICIES, POLICIES), "digest": digest},
            triggers_replace={"digest": digest},
            provisioners=[
                LocalExecProvisioner(
                    type="local-exec", interpreter=list(self.command[:-1]), command=digest
                )
            ],
        )

    def after(self, resources: Sequence[TerraformResource]) -> None:
        """Send them when these are there."""
        self.depends_on = [*(self.depends_on or ()), *map(address, resources)]
