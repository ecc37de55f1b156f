"""`iac doctor`: what is wrong with the settings and with a project, before a deploy says it."""

from iac_wrapper.operations.doctor import project, secrets
from iac_wrapper.operations.doctor.settings import CHECKS as SETTINGS_CHECKS

__all__ = ["PROJECT_CHECKS", "SETTINGS_CHECKS"]

PROJECT_CHECKS = (*project.CHECKS, *secrets.CHECKS)
"""Of a Workspace; some name checks of the machine that were made before."""
