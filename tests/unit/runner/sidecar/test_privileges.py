"""What PID 1 has given up before Envoy starts."""

from __future__ import annotations

from runner.sidecar import (
    privileges,
)


def test_capabilities_left_are_named() -> None:
    """Any set, or a missing no_new_privs."""
    clean = "Name:\tx\nCapInh:\t0000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n"
    assert privileges.left(clean) == []
    assert privileges.left(clean.replace("CapEff:\t0", "CapEff:\t1")) == ["CapEff"]
    assert privileges.left(clean.replace("Privs:\t1", "Privs:\t0")) == ["NoNewPrivs"]
