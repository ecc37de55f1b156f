"""A repository on a server with the credentials that belong to that server, and to no other."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from iac_wrapper.model.base_url import origin
from iac_wrapper.model.hosts import Hosts
from iac_wrapper.model.slug import Slug


@dataclass(frozen=True)
class Remote:
    """A clone URL; `token_setting` is the variable that would open it, empty if there is none."""

    url: str
    token_setting: str = ""
    _user: str = ""
    _token: str = field(default="", repr=False)

    @property
    def is_here(self) -> bool:
        """Whether it lies on this machine's disk."""
        return self.url.startswith("file:")

    @property
    def has_token(self) -> bool:
        """Whether requests carry credentials."""
        return bool(self._token)

    @property
    def git_header(self) -> str | None:
        """The HTTP header line for git, None without a token."""
        return f"Authorization: {self._basic}" if self._token else None

    @property
    def archive_headers(self) -> dict[str, str]:
        """HTTP headers for the archive endpoint, empty without a token."""
        if not self._token:
            return {}
        if self._user == "oauth2":
            # GitLab's archive route takes no Basic authorization.
            return {"PRIVATE-TOKEN": self._token}
        return {"Authorization": self._basic}

    @property
    def _basic(self) -> str:
        pair = f"{self._user}:{self._token}".encode()
        return "Basic " + base64.b64encode(pair).decode()


def remote_of(slug: Slug, hosts: Hosts) -> Remote:
    """The remote of a slug that is not a path.

    Raises:
        ConfigError: the base URL of a host is not usable.
    """
    return remote_at(slug.clone_url(hosts), hosts)


def remote_at(url: str, hosts: Hosts) -> Remote:
    """The remote at a clone URL.

    A token goes with a URL of exactly the scheme, host and port of its host's base URL.

    Raises:
        ConfigError: the base URL of a host is not usable.
    """
    for host in hosts.values():
        if origin(url) == origin(host.url):
            return Remote(url, host.token_setting, host.user, host.token)
    return Remote(url)
