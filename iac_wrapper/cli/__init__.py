"""The `iac` command: parse, call the operation, render. Nothing is decided here.

Operations are imported inside the verbs: `iac --help` must not pay for grpc or the Docker SDK.
"""

# The imports add their verbs to `main`.
from iac_wrapper.cli import (
    backup,
    begin,
    certs,
    change,
    describe,
    detect,
    doctor,
    enter,
    env,
    images,
    lifecycle,
    look,
    notifications,
    plan,
    prune,
    reach,
    releases,
    rollback,
    schedule,
    status,
    validate,
    volumes,
)
from iac_wrapper.cli.group import main

__all__ = [
    "backup",
    "begin",
    "certs",
    "change",
    "describe",
    "detect",
    "doctor",
    "enter",
    "env",
    "images",
    "lifecycle",
    "look",
    "main",
    "notifications",
    "plan",
    "prune",
    "reach",
    "releases",
    "rollback",
    "schedule",
    "status",
    "validate",
    "volumes",
]
