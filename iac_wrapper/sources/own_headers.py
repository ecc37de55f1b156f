"""Headers for requests that must carry ours only."""

from __future__ import annotations

from collections.abc import Mapping

from requests import PreparedRequest
from requests.auth import AuthBase


class OwnHeaders(AuthBase):
    """Our headers or none: without an `auth`, requests takes credentials from ~/.netrc."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Called by requests before it sends."""
        request.headers.update(self._headers)
        return request
