"""What an ACME server answers instead of what was asked for, as an error of ours in its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import requests
from acme import errors, messages
from josepy.errors import Error as JoseError

from iac_wrapper.errors import CertificateError

_REACH = (
    "see that http://{host}/ on port 80 leads to this machine from the internet (DNS A and AAAA"
    " records, firewall, port forwarding), then: iac renew {host} --force"
)

_EMAIL = "set IAC_ACME_EMAIL to an address that the server takes, or leave it empty"

_STEPS: Mapping[str, str] = {
    "caa": "let the CAA records of {host} allow this authority, then: iac renew {host} --force",
    "externalAccountRequired": "set IAC_ACME_EAB_KID and IAC_ACME_EAB_KEY, as the authority says",
    "invalidContact": _EMAIL,
    "rejectedIdentifier": "name a host that this authority issues for, or bring `tls: files`",
    "unsupportedContact": _EMAIL,
}
"""By the error type (RFC 8555, 6.7): what a person can do about it."""

_LATER = "nothing: a deploy or `iac renew` asks again when the time of the next try has come"


class AcmeError(CertificateError):
    """The ACME server refused, or a proof failed.

    `code` is the error type without its prefix, empty if it gave none. `until` (UTC) is when it may
    be asked again, if it said so.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each fact, as of its base
        self,
        message: str,
        *,
        where: str,
        found: str,
        next_step: str,
        detail: str | None = None,
        code: str = "",
        until: datetime | None = None,
    ) -> None:
        super().__init__(
            message, where=where, found=found, next_step=next_step, detail=detail, retryable=True
        )
        self.code = code
        self.until = until


class AcmeUnreachableError(CertificateError):
    """There is no ACME server at the address, or none that is trusted: nothing was asked."""


def refused(
    error: messages.Error, host: str, message: str, until: datetime | None = None
) -> AcmeError:
    """The server's problem document as an error."""
    return _problem(error, host, message, _LATER, until)


def unproven(error: messages.Error, host: str) -> AcmeError:
    """Why the server does not see that `host` leads here."""
    return _problem(error, host, "the ACME server does not see that this host leads here", _REACH)


def _problem(
    error: messages.Error, host: str, message: str, step: str, until: datetime | None = None
) -> AcmeError:
    code = str(error.typ).rpartition(":")[2]
    parts = [f"{each.detail or each.typ}" for each in error.subproblems or ()]
    return AcmeError(
        message,
        code=code,
        until=until,
        where=host,
        found=f"{code}: {error.detail or error.title or error.description or 'no reason given'}",
        next_step=_STEPS.get(code, step).format(host=host),
        detail="\n".join(parts) or None,
    )


@contextmanager
def explained(host: str, directory: str) -> Iterator[None]:
    """Turn what the libraries raise inside the block into errors of ours.

    Args:
        host: what is asked for.
        directory: the URL of the server's directory.

    Raises:
        AcmeError: the server refused.
        AcmeUnreachableError: there is no such server, or it is not trusted.
    """
    try:
        yield
    except messages.Error as error:
        until = getattr(error, "until", None)
        raise refused(error, host, "the ACME server refuses", until) from None
    except requests.exceptions.SSLError as error:
        raise AcmeUnreachableError(
            "the ACME server's own certificate is not trusted here",
            where=directory,
            found=_reason(error),
            expected="one that IAC_ACME_CA trusts, or this machine if that is empty",
            next_step="set IAC_ACME_CA to the PEM bundle of that server's authority",
        ) from None
    except requests.RequestException as error:
        raise AcmeUnreachableError(
            "the ACME server does not answer",
            where=directory,
            found=_reason(error),
            next_step="check IAC_ACME_DIRECTORY, the network and HTTPS_PROXY; then: iac renew",
            retryable=True,
        ) from None
    except (errors.Error, JoseError, ValueError, KeyError) as error:
        raise _nonsense(error, directory) from None


def _reason(error: requests.RequestException) -> str:
    """The innermost cause: the outer ones repeat URL and pool."""
    reason: BaseException = error
    for _ in range(8):
        inner = getattr(reason, "reason", None) or next(
            (each for each in reason.args if isinstance(each, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return str(reason)


def _nonsense(error: Exception, directory: str) -> AcmeError:
    message, found = "the ACME server's answer makes no sense", str(error) or type(error).__name__
    step = "check IAC_ACME_DIRECTORY: it is the URL of the directory of RFC 8555"
    response = next((each for each in error.args if isinstance(each, requests.Response)), None)
    if response is not None:
        found = f"HTTP {response.status_code} from {response.url}"
        if response.status_code >= 500:
            message, step = "the ACME server is in trouble", _LATER
    return AcmeError(message, where=directory, found=found, next_step=step)
