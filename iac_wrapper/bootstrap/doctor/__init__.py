"""`iac doctor`: what is wrong with this machine, its engine and its tools, before a deploy says."""

from iac_wrapper.bootstrap.doctor import engine, kernel, tools
from iac_wrapper.bootstrap.doctor.machine import DoctoredMachine
from iac_wrapper.model.checkup import Check

__all__ = ["DoctoredMachine", "checks"]


def checks(machine: DoctoredMachine) -> tuple[Check[DoctoredMachine], ...]:
    """What there is to look at; the kernel of a remote engine cannot be seen from here."""
    kernels = kernel.CHECKS if machine.has_the_engine else ()
    return (*engine.CHECKS, *kernels, *tools.CHECKS, *engine.AFTER_SETUP)
