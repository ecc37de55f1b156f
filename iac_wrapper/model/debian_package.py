"""Names of Debian packages as people write them: ``libpq5``, or ``libpq5=15.14-0+deb12u1``."""

from __future__ import annotations

from iac_wrapper.model import forms
from iac_wrapper.model.key import Listed

PATTERN = r"[a-z0-9][a-z0-9+.-]{1,99}(?:=[A-Za-z0-9.+:~-]{1,100})?"
"""deb-control(5): lower case, digits, ``+``, ``-`` and ``.``; and a version behind ``=``."""


def packages() -> Listed:
    """A list of them."""
    one = forms.pattern(PATTERN, "the name of a Debian package, such as ffmpeg", 201)
    return Listed(one, "a list of Debian packages, such as [ffmpeg]")
