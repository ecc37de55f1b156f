"""What a Dockerfile says by its text alone."""

from __future__ import annotations

import pytest

from iac_wrapper.program.detection.dockerfile_text import started

STAGES = """FROM python:3.13 AS Build
ENTRYPOINT ["a"]
CMD ["b"]
FROM build
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("", "")),
        ("FROM nginx", ("", "")),
        ("FROM x\nCMD serve --port $PORT\n", ("serve --port $PORT", "CMD")),
        ('FROM x\ncmd ["a b", \\\n  "c"]\n', ("'a b' c", "CMD")),
        ("FROM x\nCMD a \\\n# aside\n  b\n", ("a b", "CMD")),
        ("FROM x\nCMD a\nENTRYPOINT b\n", ("b", "ENTRYPOINT")),
        ("FROM x\nENTRYPOINT b\nENTRYPOINT []\nCMD c", ("c", "CMD")),
        ("FROM x\nCMD [broken", ("[broken", "CMD")),
        (STAGES, ("a b", "ENTRYPOINT and CMD")),
        (STAGES.replace("FROM build", "FROM nginx"), ("", "")),
        ("FROM --platform=linux/amd64 x\nCMD a", ("a", "CMD")),
    ],
)
def test_the_last_stage_counts(text: str, expected: tuple[str, str]) -> None:
    """With what it has from a stage that it is built on."""
    assert started(text) == expected
