"""Which Docker provider Terraform uses, from wherever it comes. Values, no I/O."""

from __future__ import annotations

PROVIDER_SOURCE = "kreuzwerker/docker"
PROVIDER_VERSION = "3.6.2"
"""The version that the cdktf bindings (cdktf-cdktf-provider-docker 12.0.3) are made from."""
