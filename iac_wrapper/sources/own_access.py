"""What this machine's git has that opens a repository and that a build, elsewhere, has not.

Only asked of this machine: no server is. It must not know whose repository it is.
"""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.sources.git_commands import local

_ANYWHERE = Path("/")
"""A folder that is no repository: only the configuration of the system and the user counts."""


def has_own_access(url: str) -> bool:
    """Whether git here takes another address for the clone URL `url`, or has a password for it."""
    return _is_rewritten(url) or _in_netrc(url) or _in_helper(url)


def _is_rewritten(url: str) -> bool:
    """By ``url.….insteadOf``."""
    told = local(_ANYWHERE, "ls-remote", "--get-url", url, isolated=False)
    return told.returncode == 0 and told.stdout.strip() != url


def _in_netrc(url: str) -> bool:
    import requests.utils

    return requests.utils.get_netrc_auth(url) is not None


def _in_helper(url: str) -> bool:
    """Whether a credential helper knows it; without one git would ask the user, and may not."""
    asked = ("credential", "fill")
    told = local(_ANYWHERE, *asked, isolated=False, stdin=f"url={url}\n\n")
    return told.returncode == 0 and "\npassword=" in f"\n{told.stdout}"
