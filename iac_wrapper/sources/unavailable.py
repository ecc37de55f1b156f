"""An address that gives nothing now: git may still have the commit, or a later try."""

from __future__ import annotations

from iac_wrapper.errors import SourceError
from iac_wrapper.sources.retries import TransientError


class SourceUnavailableError(SourceError):
    """This address gives nothing: git may still have the commit."""


class SourceBusyError(SourceUnavailableError, TransientError):
    """This address asks to be left alone for a while."""
