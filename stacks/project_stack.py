"""Everything of one project as one Terraform stack. Pure: its props are all it knows."""

from __future__ import annotations

from constructs import Construct

from constructs_lib import AppWithEnvoy, AppWithEnvoyProps, Mesh
from constructs_lib.cdk import TerraformStack
from constructs_lib.mesh_props import MeshProps


class ProjectStack(TerraformStack):
    """The mesh and one AppWithEnvoy per app."""

    def __init__(self, scope: Construct, props: MeshProps) -> None:
        super().__init__(scope, props.lock.project)
        mesh = Mesh(self, props)
        self.services = tuple(
            AppWithEnvoy(self, name, AppWithEnvoyProps(mesh=mesh, service=name))
            for name in mesh.services
        )
