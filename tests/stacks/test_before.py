"""A project that an earlier version deployed: its lock is read, and its stack is what it was."""

from __future__ import annotations

from pathlib import Path

import cdktf

from constructs_lib.mesh_props import MeshProps
from iac_wrapper.files import lock_file, users_file
from iac_wrapper.files.layout import Layout
from stacks.project_stack import ProjectStack
from tests.support import recorded


def test_the_lock_says_what_it_said() -> None:
    """Written again, it is the same text: nothing that it holds is lost or new."""
    lock = lock_file.load_lock(recorded.LOCK)

    assert lock_file.dump(lock) == recorded.LOCK.read_text(encoding="utf-8")


def test_the_stack_is_what_it_was(tmp_path: Path) -> None:
    """An upgrade plans nothing by itself: the same bytes. The images of runner and sidecar are
    facts of the machine and of the lock; a change of their files comes with other facts. What
    every sidecar has had to get since, policies, is in the record."""
    lock = lock_file.load_lock(recorded.LOCK)
    layout = Layout(recorded.ROOT)
    app = cdktf.App(outdir=str(tmp_path), stack_traces=False)
    props = MeshProps(
        lock=lock,
        host=recorded.host(node="node"),
        users=users_file.load_users(recorded.USERS),
        layout=layout,
        outdir=layout.outdir(lock.project),
        memory_mb=512,
        python="/usr/bin/python3",
        lock_path=recorded.ROOT / "repos.lock.json",
    )
    ProjectStack(app, props)

    app.synth()

    made = (tmp_path / "stacks" / "shop" / "cdk.tf.json").read_text(encoding="utf-8")
    assert made == recorded.STACK.read_text(encoding="utf-8")
