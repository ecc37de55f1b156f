"""Whether the network namespace is still the one of the start."""

from __future__ import annotations

from runner.namespace import Namespace


def test_namespace_is_lost_when_its_interfaces_go() -> None:
    """eth0 there at the start and gone later is a dead namespace."""
    now = {"lo", "eth0", "tunl0"}
    namespace = Namespace(lambda: now)
    assert not namespace.lost()
    now.remove("eth0")
    assert namespace.lost()


def test_namespace_without_an_interface_is_never_lost() -> None:
    """Network mode none, or a namespace with lo only, must not trigger."""
    assert not Namespace(lambda: {"lo"}).lost()


def test_disconnecting_one_of_two_networks_is_no_loss() -> None:
    """As long as one interface of the start stays, the namespace lives."""
    now = {"lo", "eth0", "eth1"}
    namespace = Namespace(lambda: now)
    now.remove("eth1")
    assert not namespace.lost()


def test_real_interfaces_are_read() -> None:
    """On this machine nothing is lost between two looks."""
    assert not Namespace().lost()
