"""Events as lines and as JSON, and what a person is told who interrupts."""

from __future__ import annotations

import pytest

from iac_wrapper.cli import output
from iac_wrapper.model.event import Event, Stage
from iac_wrapper.model.redact import Redactor
from tests.support.stream import lines_of

EVENTS = [
    Event("step", "Resolving 1 slug", stage="resolve"),
    Event("stage", "gh:acme/web", "web", "resolve"),
    Event("progress", "web: starting", "web", "start"),
    Event("progress", "a remark with hidden-value"),
    Event("warning", "web: \x1b[31mred\x1b[0m", "web"),
    Event("warning", "web: \x1b[31mred\x1b[0m", "web"),
]


def _told(capsys: pytest.CaptureFixture[str], **meta: object) -> tuple[str, str]:
    emit = output.progress(meta, Redactor(["hidden-value"]))
    for event in EVENTS:
        emit(event)
    said = capsys.readouterr()
    return said.out, said.err


def test_a_stream_has_every_event(capsys: pytest.CaptureFixture[str]) -> None:
    """By the schema, without secrets, a warning once; stderr has that alone, or all with -v."""
    out, err = _told(capsys, as_json=True, streams=True)
    error = {"error": "BusyError", "exit_code": 6, "message": "busy"}
    lines = lines_of(out + output.result_line({"error": error}))
    assert [line["kind"] for line in lines] == [
        *("step", "stage", "progress", "progress", "warning", "result")
    ]
    assert lines[1]["service"] == "web"
    assert lines[-1]["exit_code"] == 6
    assert "hidden-value" not in out
    assert err == "warning: web: red\n"
    assert "    web: starting\n" in _told(capsys, as_json=True, streams=True, verbose=True)[1]


def test_lines_are_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """What is being done to a service is no line; one JSON object or -q leave the warnings."""
    out, err = _told(capsys)
    assert out == ""
    assert err.splitlines() == [
        "==> Resolving 1 slug",
        "    web: starting",
        "    a remark with [redacted]",
        "warning: web: red",
    ]
    for asked in ("as_json", "quiet"):
        assert _told(capsys, **{asked: True}) == ("", "warning: web: red\n")


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "before anything was replaced"),
        (["resolve", "plan"], "before anything was replaced"),
        (["resolve", "plan", "apply"], "while changes were applied"),
        (["resolve", "apply", "prove"], "after changes were applied"),
        (["apply", "prove", "plan", "apply"], "while changes were applied"),
        (["apply", "prove", "plan"], "after changes were applied"),
        (["remove"], "while the project was removed"),
    ],
)
def test_who_interrupts_is_told_what_is_done(steps: list[Stage], words: str) -> None:
    """By the last step that changed something; each has its next step."""
    meta: dict[str, object] = {"streams": True, "quiet": True}
    emit = output.progress(meta, Redactor())
    for stage in steps:
        emit(Event("step", "a step", stage=stage))
    told = output.interrupted(meta)
    assert f"interrupted {words}" in told.message
    assert "run the same command again" in (told.next_step or "")
