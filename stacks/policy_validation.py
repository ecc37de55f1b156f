"""Hands a stack's Terraform JSON to the policies while cdktf synthesizes."""

from __future__ import annotations

import constructs
import jsii

from constructs_lib.cdk import TerraformStack
from iac_wrapper.files.layout import Layout
from stacks import policies


@jsii.implements(constructs.IValidation)
class PolicyValidation:
    """A cdktf validation: synth fails with one line per violation.

    Args:
        stack: whose Terraform JSON is checked.
        layout: where the project's files may lie.
        project: the project's name.
    """

    def __init__(self, stack: TerraformStack, layout: Layout, project: str) -> None:
        self._stack = stack
        self._layout = layout
        self._project = project

    def validate(self) -> list[str]:
        """The violations as sentences, none if there are none."""
        leaves = self._layout.certificates(self._project)
        values = self._layout.project_env_files(self._project)
        passwd = self._layout.passwd_files(self._project)
        return policies.violations(
            self._stack.to_terraform(),
            project=self._project,
            mountable=(str(leaves), str(values), str(passwd)),
        )
