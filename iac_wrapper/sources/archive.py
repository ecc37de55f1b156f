"""Download a commit as the .tar.gz its host offers. It must not know slugs or the cache."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import requests

from iac_wrapper.errors import SourceError
from iac_wrapper.sources import http_source
from iac_wrapper.sources.retries import retry_after
from iac_wrapper.sources.unavailable import SourceBusyError, SourceUnavailableError

TOTAL_TIMEOUT = 600.0
"""Seconds for one whole download."""

_CHUNK = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


def download(url: str, headers: Mapping[str, str], to: Path, *, max_bytes: int) -> None:
    """Save the archive at `url` as `to`.

    Args:
        url: address of a .tar.gz.
        headers: credentials for that origin.
        to: the file to write.
        max_bytes: largest download; the unpacked size is `unpack`'s matter.

    Raises:
        SourceUnavailableError: the server refuses, fails, redirects away or sends something else.
        SourceError: larger than allowed.
    """
    response = http_source.open_stream(url, headers)
    with response:
        if response.status_code != requests.codes.ok:
            raise _refusal(response, url)
        try:
            _save(response, to, max_bytes, url)
        except requests.RequestException as error:
            raise SourceUnavailableError(
                "the download broke off", found=url, detail=str(error), retryable=True
            ) from None
    with to.open("rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            raise SourceUnavailableError("the archive is not gzip", found=url)


def _refusal(response: requests.Response, url: str) -> SourceUnavailableError:
    status, message = response.status_code, f"the archive answers HTTP {response.status_code}"
    wait = retry_after(response.headers.get("Retry-After"))
    if status == requests.codes.too_many_requests or (wait is not None and status >= 500):
        busy = SourceBusyError(message, found=url, next_step="try again later", retryable=True)
        busy.wait = wait
        return busy
    return SourceUnavailableError(message, found=url, retryable=status >= 500)


def _save(response: requests.Response, to: Path, max_bytes: int, url: str) -> None:
    deadline = time.monotonic() + TOTAL_TIMEOUT
    size = 0
    with to.open("wb") as file:
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise SourceError(
                    "the archive is too large",
                    found=f"more than {max_bytes / 10**6:g} MB at {url}",
                    expected="at most as much as IAC_FETCH_MAX_MB says",
                    next_step="raise IAC_FETCH_MAX_MB in .env",
                )
            if time.monotonic() > deadline:
                raise SourceError(
                    f"the download took longer than {TOTAL_TIMEOUT:g} s",
                    found=url,
                    next_step="run the command again, or use a mirror that is nearer",
                    retryable=True,
                )
            file.write(chunk)
