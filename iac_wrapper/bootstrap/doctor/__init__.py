"""`iac doctor`: what is wrong with this machine, its engine and its tools, before a deploy says."""

from iac_wrapper.bootstrap.doctor import engine, kernel, tools
from iac_wrapper.bootstrap.doctor.machine import ThisMachine
from iac_wrapper.model.checkup import Check

__all__ = ["ThisMachine", "checks"]


def checks(machine: ThisMachine) -> tuple[Check[ThisMachine], ...]:
    """What there is to look at; the kernel of a remote engine cannot be seen from here."""
    kernels = kernel.CHECKS if machine.has_the_engine else ()
    return (*engine.CHECKS, *kernels, *tools.CHECKS, *engine.AFTER_SETUP)
