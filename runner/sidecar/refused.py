"""The one error of this package."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - not a fault of ours: what we were given will not do
    """The container cannot do its job as configured; the text is for the container's log."""
