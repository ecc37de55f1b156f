"""Why a service is not good: one cause, one piece of evidence, one next step. Pure.

What a program prints when it fails is in `crash_patterns`; this module weighs it against what its
runner, its containers and its sidecar say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from iac_wrapper.model.app import DEFAULT_PROBATION, ResolvedApp
from iac_wrapper.model.crash_patterns import TRACEBACK, Finding, find, unix_lines
from iac_wrapper.model.health import Health, Probe
from iac_wrapper.model.source_hints import SourceHints
from iac_wrapper.model.usage import may_be_usage, usage_finding, usage_line

SHOWN_LINES = 20
"""How much of the program's last words is shown."""

_COMPLAINTS = 20
"""Last lines in which a shell's complaint is looked for."""

_NEW_RUN = re.compile(r"^runner: the program ended \(.*\); starting it again")

_REQUEST = re.compile(r"\"(?:\x1b\[[0-9;]*m)*[A-Z]+ \S+ HTTP/[\d.]+")
"""A line of an access log."""

_LEAVING = re.compile(r"Reason: (Worker|App) failed to (boot|load)|Application startup failed")
"""What a server says last when its application could not be imported or started."""

_ROUTINE = re.compile(
    r"\[[\d :+-]+\] \[\d+\] \[(INFO\]|ERROR\] Worker \(pid:\d+\) exited with code)"
)
"""What gunicorn says of its workers, also while each of them ends at once."""

STOPPED, GONE = "stopped-container", "no-container"
"""Causes of a service one of whose containers does not run."""

_PORT_CAUSES = ("wrong-port", "several-ports", "udp-only")


@dataclass(frozen=True)
class DiagnosisFacts:
    """What is known of a service that is not good.

    `state` is that of its app's container; `oom`: its memory limit was exceeded; `waited` is how
    many seconds it had to become SERVING (0: it was only looked at) and `limit` how many the
    setting gives it; `memory_mb` is its memory limit; `lines` are the app's log, `project` goes
    into commands; `windows_scripts` are those of its scripts that have Windows line ends;
    `certificate` is what is wrong with its certificate on disk; `hints` are those of its source.
    """

    app: ResolvedApp
    project: str
    health: Health
    probe: Probe
    rotated: bool
    state: str
    oom: bool
    waited: float
    limit: float
    memory_mb: int
    lines: Sequence[str] = field(default_factory=list)
    windows_scripts: Sequence[str] = ()
    certificate: str = ""
    hints: SourceHints = field(default_factory=SourceHints)

    @property
    def logs_command(self) -> str:
        """Where to read on."""
        return f"iac logs {self.app.name} --project {self.project}"


@dataclass(frozen=True)
class Diagnosis:
    """The finding, the container's state, and the end of what the program said in its last run."""

    finding: Finding
    state: str
    log: tuple[str, ...] = ()

    def render(self, service: str) -> str:
        """The diagnosis as text; raw program output still holds its control characters."""
        finding = self.finding
        parts = [f"{service}: {finding.cause}"]
        parts += [f"  evidence: {finding.evidence}"] if finding.evidence else []
        parts.append(f"  next: {finding.next_step}")
        parts.append(f"  app container: {self.state}")
        parts += ["  last lines:"] if self.log else []
        return "\n".join(parts + ["    " + line for line in self.log])


def diagnose(facts: DiagnosisFacts) -> Diagnosis:
    """The first cause that fits, from the outside in."""
    runs = _runs(facts.lines)
    finding = (
        _around(facts)
        or _memory(facts)
        or _usage(facts, runs)
        or (_said_by_the_program(facts, runs) if _has_failed(facts.health) else None)
        or _said_by_the_runner(facts, runs)
    )
    if finding.code in (STOPPED, GONE):  # of which its program cannot say anything
        return Diagnosis(finding, facts.state)
    told = [said for run in runs if (said := [line for line in run if not _NEW_RUN.match(line)])]
    shown = told[-2] if facts.health.failures and len(told) > 1 else (told or [[]])[-1]
    return Diagnosis(finding, facts.state, tuple(shown[-SHOWN_LINES:]))


def _around(facts: DiagnosisFacts) -> Finding | None:
    """What is wrong with the sidecar or the way to it."""
    health, logs = facts.health, facts.logs_command
    if facts.certificate:
        text = f"its certificate on disk cannot be served: {facts.certificate}"
        step = f"iac certs rotate {facts.app.name} --project {facts.project}"
        return Finding("bad-certificate", text, "", step)
    if health.cause in (STOPPED, GONE):
        return Finding(health.cause, health.message, health.evidence, health.next_step)
    if not facts.rotated:
        text = "Envoy serves an older certificate than the one on disk"
        return Finding("old-certificate", text, "", f"iac deploy --project {facts.project}")
    if health.serving and not facts.probe.refused:
        text = f"a caller without a certificate was not refused ({facts.probe.message})"
        return Finding("stranger", text, "", f"{logs} --envoy")
    if health.status == "UNREACHABLE":
        cause, next_step = health.cause, health.next_step or f"{logs} --envoy"
        return Finding(cause, health.message, health.evidence, next_step)
    return None


def _memory(facts: DiagnosisFacts) -> Finding | None:
    health = facts.health
    if not (health.oom or facts.oom or (health.oom_kills and health.cause not in _PORT_CAUSES)):
        return None
    text = f"out of memory: its limit is {facts.memory_mb} MiB"
    if not facts.oom and health.oom_kills:
        text += f"; the kernel killed {processes(health.oom_kills)}"
    return Finding("out-of-memory", text, health.message, more_memory(facts.memory_mb))


def processes(killed: int) -> str:
    """``one of its processes``, or how many."""
    return "one of its processes" if killed == 1 else f"{killed} of its processes"


def more_memory(limit: int) -> str:
    """What to do about a limit, in MiB, that was too low."""
    return f"write `memory: {2 * limit}m` in its entry, or set IAC_MEMORY_MB for all"


def _usage(facts: DiagnosisFacts, runs: Sequence[Sequence[str]]) -> Finding | None:
    """A command line that got no arguments."""
    shown, run = next(((line, run) for run in runs[-2:] if (line := usage_line(run))), ("", ()))
    if not shown or not may_be_usage(facts.app, facts.health):
        return None
    return usage_finding(facts.app, shown, run)


def _has_failed(health: Health) -> bool:
    return bool(health.exit_code or health.failures) or health.cause in ("no-answer", "ended")


def _said_by_the_program(facts: DiagnosisFacts, runs: Sequence[Sequence[str]]) -> Finding | None:
    """A known failure; where a shell may have choked on line ends, the file that has them."""
    words = _last_words(runs)
    found = find(words, facts.app, facts.hints)
    if found and found.code != "windows-lines":
        return found
    said = [line for line in words if line.strip() and not line.startswith("runner: ")]
    for path in facts.windows_scripts:
        name = re.escape(PurePosixPath(path).name)
        complaint = re.compile(rf"(?:^|/){name}: (?:line )?\d+: |\r|\\r")
        shown = [line for line in said[-_COMPLAINTS:] if complaint.search(line)]
        if shown or not said:
            evidence = shown[-1].strip() if shown else ""
            text = f"{path} has Windows line ends (CR LF), which no shell reads"
            return Finding("windows-lines", text, evidence, unix_lines(path))
    return found


def _said_by_the_runner(facts: DiagnosisFacts, runs: Sequence[Sequence[str]]) -> Finding:
    health, logs = facts.health, facts.logs_command
    failed = health.phase == "FAILED" or health.failures
    code = health.cause or ("failed" if failed else "slow-start")
    if code in ("no-listener", "slow-start", "own-health") and facts.waited and not health.failures:
        return _too_slow(facts, code)
    last = _last_line(runs)
    web_object = facts.app.entrypoint.web_object
    ended = f"write `entrypoint: {web_object}` in its entry to have that served"
    steps = {
        "ended": ended if web_object else "write `run: job` in its entry if it is to end",
        "windows-lines": unix_lines(*facts.windows_scripts[:1]),
        "no-answer": f"{logs}; `health: /path` in its entry names another page to ask",
    }
    evidence = "" if code in _PORT_CAUSES else last
    return Finding(code, health.message, evidence, health.next_step or steps.get(code, logs))


def _last_line(runs: Sequence[Sequence[str]]) -> str:
    """What the program said last; of a server that goes on to note the request, or that it leaves,
    its exception."""
    lines = [line for run in runs for line in run if line.strip()]
    said = [line for line in lines if not line.startswith("runner: ")]
    told = [line for line in said if not _ROUTINE.match(line)] or said
    last = told[-1].strip() if told else ""
    starts = [at for at, line in enumerate(said) if line.strip().endswith(TRACEBACK)]
    if starts and (_REQUEST.search(last) or _LEAVING.search(last)):
        raised = (line for line in said[starts[-1] + 1 :] if not line[0].isspace())
        return next(raised, last).strip()
    return last


def _too_slow(facts: DiagnosisFacts, code: str) -> Finding:
    """The limit was reached while the program was alive."""
    waited = f"{facts.waited:g}"
    longer = f"`health_timeout: {2 * max(facts.waited, DEFAULT_PROBATION):g}`"
    step = f"write {longer} in its entry if it needs longer, or IAC_HEALTH_TIMEOUT for all"
    step += f" (now {facts.limit:g})"
    if code != "no-listener":
        text = f"not SERVING within {waited} s: {facts.health.message}"
        return Finding(code, text, "", step)
    known = facts.app.port_declared or facts.app.tcp_only
    port = f"on port {facts.app.expected_port}" if known else "anywhere"
    text = f"alive for {waited} s and not listening {port}"
    # `run: worker` beside `tcp:` is refused.
    other = "correct `tcp:`" if facts.app.options.tcp else "write `run: worker`"
    reason = "it listens on other ports" if facts.app.options.tcp else "it is not a server"
    return Finding(code, text, "", f"{other} if {reason}; {step}")


def _last_words(runs: Sequence[Sequence[str]]) -> list[str]:
    """The last two runs: the newest may have said nothing of note yet."""
    return [line for run in runs[-2:] for line in run]


def _runs(lines: Sequence[str]) -> list[list[str]]:
    """The log, cut where the runner started the program again; runs that said nothing are out.

    The runner's line can come before the program's last ones: they are two streams to the engine.
    """
    runs: list[list[str]] = [[]]
    for line in lines:
        runs[-1].append(line)
        if _NEW_RUN.match(line):
            runs.append([])
    return [run for run in runs if run]
