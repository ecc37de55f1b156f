"""A small project as commit 771072e left it: its facts, and the stack that it made of them.

`tests/data/before-own-apps` was written by that commit's own code, for a project in /project: a web
server as it comes, and one with every option that shows in a container. Two things are later: its
`tmpfs` has an owner (`uid=`), so the label `fixed` another value; programs could not write there.
And sidecars have policies, a volume that keeps them, and what sends them (decision 42).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from iac_wrapper.files import host as host_record
from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.host import Host
from iac_wrapper.files.layout import Layout
from iac_wrapper.files.machine_home import MachineHome

FOLDER = Path(__file__).parents[1] / "data" / "before-own-apps"
LOCK = FOLDER / "repos.lock.json"
USERS = FOLDER / "users.json"
STACK = FOLDER / "cdk.tf.json"
ROOT = Path("/project")


def host(node: str) -> Host:
    """The record of the machine, with a Node that is there."""
    record = host_record.read_host(MachineHome(FOLDER), versions=(host_record.HOST_VERSION,))
    return replace(record, node=node)


def put(folder: Path, node: str) -> None:
    """Make `folder` the project's: lock, users and host record as `iac` leaves them."""
    lock = lock_file.load_lock(LOCK)
    lock_file.save_lock(lock, folder / "repos.lock.json")
    users_file.save_users(users_file.load_users(USERS), Layout(folder).users(lock.project))
    host_record.save_host(host(node), MachineHome(folder / ".iac"))
