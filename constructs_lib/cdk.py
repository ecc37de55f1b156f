"""The synthesizer: the one module that names cdktf, and where its fork can take its place.

With ``KARSTKIT_CDK=cdktn`` everything below comes from cdktn, the live fork of cdktf, which was
archived in December 2025. Its classes have the same names; types are checked against cdktf's.
`requirements-cdktn.txt` has it pinned.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from iac_wrapper.errors import ConfigError
from iac_wrapper.model.provider import PROVIDER_VERSION

_CHOSEN = os.environ.get("KARSTKIT_CDK") or "cdktf"

try:
    if TYPE_CHECKING or _CHOSEN == "cdktf":
        import cdktf
        from cdktf_cdktf_provider_docker import container, image, network, provider
    elif _CHOSEN == "cdktn":
        import cdktn as cdktf
        from cdktn_provider_docker import container, image, network, provider
    else:
        raise ConfigError(
            "KARSTKIT_CDK names no synthesizer",
            found=_CHOSEN,
            expected="cdktf or cdktn",
            next_step="unset KARSTKIT_CDK",
        )
except ModuleNotFoundError as missing:
    raise ConfigError(
        f"the synthesizer {_CHOSEN} is not installed",
        found=f"no Python package {missing.name}",
        expected=f"{_CHOSEN} and its Docker bindings in {sys.prefix}",
        next_step="install requirements-cdktn.txt there, or unset KARSTKIT_CDK",
    ) from None

App = cdktf.App
DataResource = cdktf.DataResource
LocalBackend = cdktf.LocalBackend
LocalExecProvisioner = cdktf.LocalExecProvisioner
TerraformOutput = cdktf.TerraformOutput
TerraformResource = cdktf.TerraformResource
TerraformResourceLifecycle = cdktf.TerraformResourceLifecycle
TerraformStack = cdktf.TerraformStack

Container = container.Container
ContainerCapabilities = container.ContainerCapabilities
ContainerHost = container.ContainerHost
ContainerLabels = container.ContainerLabels
ContainerMounts = container.ContainerMounts
ContainerNetworksAdvanced = container.ContainerNetworksAdvanced
ContainerPorts = container.ContainerPorts
ContainerUlimit = container.ContainerUlimit

DockerProvider = provider.DockerProvider

Image = image.Image
ImageBuild = image.ImageBuild
ImageBuildSecrets = image.ImageBuildSecrets

Network = network.Network
NetworkIpamConfig = network.NetworkIpamConfig
NetworkLabels = network.NetworkLabels


def pin_provider(stack: TerraformStack) -> None:
    """Let the stack ask for the version of the Docker provider that cdktf's bindings ask for.

    Those of cdktn are made from a later one.
    """
    if _CHOSEN == "cdktn":
        stack.add_override("terraform.required_providers.docker.version", PROVIDER_VERSION)
