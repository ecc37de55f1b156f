"""Git's own words (in the C locale, git 2.39 and its HTTP and ssh helpers) -> one clear error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from iac_wrapper.adapters.process import LOOK, TAIL_LINES, CommandResult
from iac_wrapper.errors import SourceError
from iac_wrapper.model.remote import Remote
from iac_wrapper.sources.retries import TransientError
from provider.redact import redact


@dataclass(frozen=True)
class _Case:
    pattern: str
    message: str
    next_step: str
    retryable: bool = False
    transient: bool = False  # and worth another try at once


_BROKE_OFF = "the connection broke off before all had come"
_BROKE_OFF_STEP = "try again; a proxy on the way may end connections that are long or large"

# In order: the first pattern that matches wins.
_CASES = (
    _Case(
        r"[Cc]ould not resolve (host|proxy)|Could not resolve hostname",
        "the host name cannot be resolved",
        "check the spelling, the DNS and HTTPS_PROXY of this machine, then try again",
        retryable=True,
    ),
    _Case(
        r"Host key verification failed",
        "ssh does not know the host's key",
        "connect once by hand (ssh git@HOST) and compare the fingerprint it shows",
    ),
    _Case(
        r"Permission denied \(",
        "the ssh server refused the login",
        "add a key that may read the repository (ssh-add), or use gh:, gl:, bb: with a token",
    ),
    _Case(
        r"SSL certificate|certificate verif|server verification|gnutls|SSL_ERROR|SSL routines",
        "the server's TLS certificate is not trusted here",
        "behind a TLS proxy set SSL_CERT_FILE and GIT_SSL_CAINFO to the company's CA bundle",
    ),
    _Case(
        r"returned error: 30[12378]|unable to update url base",
        "the repository has moved to another address",
        "open the address in a browser and write where it leads in the slug",
    ),
    _Case(
        r"returned error: (429|5\d\d)",
        "the server is busy or failing",
        "try again later",
        transient=True,
    ),
    _Case(
        r"could not read (Username|Password)|Authentication failed|returned error: 40[134]"
        r"|[Rr]epository .*not found|Repository not found|unable to get password",
        "repository not found, or private",
        "check the spelling; if it is private, set {token}",
    ),
    _Case(
        r"[Ff]ailed to connect|Connection refused|Couldn't connect|(Connection|Operation) timed out"
        r"|No route to host|Network is unreachable",
        "the server does not answer",
        "check the network and HTTPS_PROXY of this machine, then try again",
        retryable=True,
    ),
    _Case(
        r"too slow|timed out",
        "the server stopped sending",
        "check the network of this machine, then try again",
        transient=True,
    ),
    _Case(
        r"early EOF|unexpected (disconnect|EOF)|transfer closed|Connection (reset|closed)"
        r"|Empty reply|bytes? of (body|length header)|expected flush",
        _BROKE_OFF,
        _BROKE_OFF_STEP,
        transient=True,
    ),
    _Case(
        r"inflate|corrupt|index-pack|bad pack|SHA1 mismatch|bad object|signature mismatch"
        r"|missing (blob|tree|commit)|bad line length",
        "the data that came is damaged",
        "try again; if it stays so, the repository on the server is damaged: `git fsck` there",
        transient=True,
    ),
    _Case(r"hung up|RPC failed", _BROKE_OFF, _BROKE_OFF_STEP, transient=True),
    _Case(
        r"dubious ownership",
        "another user owns this repository, so git refuses to read it",
        "git config --global --add safe.directory <that directory>",
    ),
    _Case(
        r"does not appear to be a git repository|not valid: is this a git repository",
        "there is no git repository at this address",
        "check the spelling of the slug",
    ),
    _Case(
        r"transport '.*' not allowed",
        "git was redirected to a kind of address that is not allowed",
        "remove url.….insteadOf for this host from git's configuration, or change the slug",
    ),
)


def explain(done: CommandResult, remote: Remote) -> SourceError:
    """The error for a git command on `remote` that failed.

    Git may quote a URL of the user's `insteadOf`, which can have a token in it.
    """
    text = done.stderr.strip()
    case = next((case for case in _CASES if re.search(case.pattern, text)), None)
    token = remote.token_setting or "up a credential helper or ~/.netrc, or use git+ssh://"
    if remote.has_token:
        token = f"a {token} that may read it"
    kind = TransientError if case and case.transient else SourceError
    return kind(
        case.message if case else "git failed",
        found=remote.url,
        next_step=case.next_step.replace("{token}", token) if case else LOOK,
        detail=redact("\n".join(text.splitlines()[-TAIL_LINES:])) or None,
        retryable=bool(case and (case.retryable or case.transient)),
    )
