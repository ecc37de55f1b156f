"""HTTP to the hosts that sources come from: system CA bundle, own headers only, guarded redirects.

It must not know what is downloaded.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from iac_wrapper.model.base_url import is_loopback, origin
from iac_wrapper.sources.own_headers import OwnHeaders
from iac_wrapper.sources.retries import retry_after
from iac_wrapper.sources.unavailable import SourceUnavailableError

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two bytes."""

MAX_REDIRECTS = 5


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def open_stream(
    url: str, headers: Mapping[str, str], *, redirects: Callable[[str, str], bool] | None = None
) -> requests.Response:
    """GET `url` and return the final response, body unread; the caller closes it.

    `headers` are sent to the first origin only. `redirects` says whether a download that began at
    one address may go on at another; None: `may_redirect`.

    Raises:
        SourceUnavailableError: the server cannot be reached, or redirects to where it must not.
    """
    first = url
    with _session() as session:
        for _ in range(MAX_REDIRECTS + 1):
            sent = headers if origin(url) == origin(first) else {}
            response = _get(session, url, sent)
            if response.status_code not in _REDIRECTS:
                return response
            location = urljoin(url, response.headers.get("Location", ""))
            response.close()
            if not (redirects or may_redirect)(first, location):
                raise SourceUnavailableError(
                    "the server redirects to another place",
                    found=f"{url} -> {location.partition('?')[0]}",
                    expected="a redirect on the same host",
                    next_step="if the repository has moved, write its new address in the slug",
                )
            url = location
    raise SourceUnavailableError(
        "too many redirects", found=first, expected=f"at most {MAX_REDIRECTS}"
    )


_REFS = "/info/refs"


def moved_on_same_origin(url: str, headers: Mapping[str, str]) -> str | None:
    """Where a repository's clone URL redirects on its own origin (renames; ``.git`` added)."""
    suffix = _REFS
    response = _refs(url, headers)
    location = urljoin(url, response.headers.get("Location", ""))
    target = location.partition("?")[0]
    if response.status_code not in _REDIRECTS or not target.endswith(suffix):
        return None
    target = target.removesuffix(suffix)
    return target if origin(target) == origin(url) and target != url else None


def asked_to_wait(url: str, headers: Mapping[str, str]) -> float | None:
    """Seconds for which the server of a clone URL asks to be left alone: git does not tell."""
    try:
        return retry_after(_refs(url, headers).headers.get("Retry-After"))
    except SourceUnavailableError:
        return None


def _refs(url: str, headers: Mapping[str, str]) -> requests.Response:
    """The answer that git gets first, without its body."""
    with _session() as session:
        response = _get(session, f"{url}{_REFS}?service=git-upload-pack", headers)
        response.close()
        return response


def may_redirect(first: str, target: str) -> bool:
    """Whether a download that began at `first` may go on at `target`."""
    try:
        old, new = origin(first), origin(target)
    except ValueError:
        return False
    if old == new:
        return True
    if new != (old[0], f"codeload.{old[1]}", old[2]):
        return False
    # A public name that leads to a private address is DNS rebinding, or a trap.
    return _is_private(old[1]) or not _is_private(new[1])


def may_lead(first: str, target: str) -> bool:
    """Whether a server asked at `first` may name `target` for content whose hash is known.

    Any host may have it, over TLS; a public server must not lead into a private network.
    """
    try:
        old, new = origin(first), origin(target)
    except ValueError:
        return False
    if old == new:
        return new[0] in {"http", "https"}
    secure = new[0] == "https" or (new[0] == "http" and is_loopback(new[1]) and is_loopback(old[1]))
    return secure and bool(new[1]) and (_is_private(old[1]) or not _is_private(new[1]))


def explain(error: requests.RequestException, url: str) -> SourceUnavailableError:
    """The error for a request that got no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return SourceUnavailableError(
            "the server's TLS certificate is not trusted here",
            found=urlsplit(url).netloc,
            next_step="behind a TLS proxy set SSL_CERT_FILE to the company's CA bundle",
            detail=str(error),
        )
    return SourceUnavailableError(
        "the server does not answer",
        found=urlsplit(url).netloc,
        next_step="check the network and HTTPS_PROXY of this machine, then try again",
        detail=str(error),
        retryable=True,
    )


def post(url: str, headers: Mapping[str, str], body: bytes) -> requests.Response:
    """POST `body` and return the response, body unread; the caller closes it. It follows nothing.

    Raises:
        SourceUnavailableError: the server cannot be reached.
    """
    with _session() as session:
        return _send(session, "POST", url, headers, body)


def _get(session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
    return _send(session, "GET", url, headers)


def _send(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> requests.Response:
    try:
        return session.request(
            method,
            url,
            data=body,
            stream=True,
            allow_redirects=False,
            timeout=TIMEOUT,
            auth=OwnHeaders(headers),
        )
    except requests.RequestException as error:
        raise explain(error, url) from None


class _SystemTrust(HTTPAdapter):
    """Trusts what the system (SSL_CERT_FILE) trusts, as git does; requests alone knows certifi."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **kwargs)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, ssl_context=ssl.create_default_context(), **kwargs)


def _session() -> requests.Session:
    session = requests.Session()
    session.mount("https://", _SystemTrust())
    session.headers["User-Agent"] = "karstkit"
    # The archive is the content: a transfer encoding on top would hide its size.
    session.headers["Accept-Encoding"] = "identity"
    return session


def _is_private(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except OSError:
        return False  # behind a proxy the proxy resolves, and decides
    return any(not ipaddress.ip_address(str(item[4][0])).is_global for item in found)
