"""Checks: each looks at one thing, and says what it saw and what a person is to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from iac_wrapper.errors import IacError, file_error

T = TypeVar("T")

Outcome = Literal["PASSED", "WARN", "FAILED"]


@dataclass(frozen=True)
class Seen:
    """What a check saw. `next_step` is what a person is to do about it, empty: nothing."""

    evidence: str
    next_step: str = ""


@dataclass(frozen=True)
class Check(Generic[T]):
    """One thing to look at.

    Args:
        name: what it is about, in a word or two.
        look: what it sees; an `IacError` is a failure, with its own evidence and next step.
        after: the checks without whose success there is nothing to see.
        fix: does what is safe about a warning or failure and says what that was; empty: nothing.
    """

    name: str
    look: Callable[[T], Seen]
    after: tuple[str, ...] = ()
    fix: Callable[[T], str] | None = None


@dataclass(frozen=True)
class Finding:
    """What became of a check. `fixed` is what was done about it before the last look; `exit_code`
    is that of a command that meets this failure, 0 without one."""

    name: str
    outcome: Outcome
    evidence: str
    next_step: str = ""
    fixed: str = ""
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def examine(
    checks: Iterable[Check[T]], subject: T, *, fix: bool, before: Iterable[Finding] = ()
) -> Iterator[Finding]:
    """Make `checks` of `subject`, one after the other.

    Args:
        checks: in their order: a check comes after those that it names.
        subject: what they look at.
        fix: whether to do what is safe about what is not as it should be.
        before: findings of earlier checks that these may name.
    """
    known = {finding.name: finding for finding in before}
    for check in checks:
        causes = (known[name] for name in check.after if name in known)
        cause = next((each for each in causes if each.outcome == "FAILED"), None)
        if cause:
            text = f"not looked at, as {cause.name} FAILED: see there"
            finding = Finding(check.name, "WARN", text)
        else:
            finding = _fixed(check, subject) if fix else _look(check, subject)
        known[check.name] = finding
        yield finding


def _fixed(check: Check[T], subject: T) -> Finding:
    found = _look(check, subject)
    if check.fix is None or found.outcome == "PASSED":
        return found
    try:
        done = check.fix(subject)
    except (IacError, OSError) as error:
        return replace(found, fixed=f"nothing: {_sentence(_as_ours(error))}")
    return replace(_look(check, subject), fixed=done) if done else found


def _look(check: Check[T], subject: T) -> Finding:
    try:
        seen = check.look(subject)
    except (IacError, OSError, UnicodeError) as raised:
        error = _as_ours(raised)
        step, code = error.next_step or "", error.exit_code
        return Finding(check.name, "FAILED", _sentence(error), step, exit_code=code)
    outcome: Outcome = "WARN" if seen.next_step else "PASSED"
    return Finding(check.name, outcome, seen.evidence, seen.next_step)


def _as_ours(error: IacError | OSError | UnicodeError) -> IacError:
    return error if isinstance(error, IacError) else file_error(error)


def _sentence(error: IacError) -> str:
    """An error in a line: where, what, what was found, and what would have been right."""
    text = f"{error.where}: {error.message}" if error.where else error.message
    text += f": {error.found}" if error.found else ""
    text += f" (expected: {error.expected})" if error.expected else ""
    last = (error.detail or "").strip().splitlines()[-1:]
    return "; ".join([text, *last])
