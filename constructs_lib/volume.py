"""A folder of a service that outlives its containers. It owns no resource of Terraform's."""

from __future__ import annotations

from constructs import Construct

from constructs_lib.hardened_container import VolumeMount
from iac_wrapper.files.layout import volume_name


class Volume(Construct):
    """A data volume of one service, mounted by name.

    The volume itself is made, and given to the program's user, by `iac lock` and `iac deploy`, as
    certificates and uids are. A docker_volume would be removed by every destroy, whoever runs it.

    Args:
        project: the project's name.
        service: the service's name.
        volume: what repos.yaml calls it; the construct's id is ``volume-<volume>``.
        path: where the program finds it.
    """

    def __init__(
        self, scope: Construct, *, project: str, service: str, volume: str, path: str
    ) -> None:
        super().__init__(scope, f"volume-{volume}")
        self.mount = VolumeMount(source=volume_name(project, service, volume), target=path)
