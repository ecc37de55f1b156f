"""The git hosts that slugs are short for: where each is, and the token that opens it. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from iac_wrapper.model.base_url import check_base_url


@dataclass(frozen=True)
class GitHost:
    """One host.

    `base_setting` and `token_setting` are the names of the settings that `base` and `token` come
    from; `user` is the name that goes with a token over git and HTTP.
    """

    base_setting: str
    base: str
    token_setting: str
    user: str
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The base URL without a final slash.

        Raises:
            ConfigError: it is not https (or http to this machine).
        """
        return check_base_url(self.base, where=self.base_setting)


Hosts = Mapping[str, GitHost]
"""By the prefix of a slug: gh, gl, bb."""
