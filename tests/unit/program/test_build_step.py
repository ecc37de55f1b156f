from __future__ import annotations

import pytest

from iac_wrapper.program import build_step


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("[build 2/7] RUN --mount=type=secret,id=ca     sh /run/apt.sh 'git'", "Debian packages"),
        (
            "[build 4/7] RUN --mount=type=cache,id=x set -eu; /opt/iac/bin/uv sync",
            "Python packages",
        ),
        ("[3/9] RUN UV_X=never /opt/iac/bin/uv venv --quiet /venv", "virtual environment"),
        ("[9/9] RUN /venv/bin/python -m compileall -qq /app || true", "compiling bytecode (9/9)"),
        ("[stage-1 1/3] FROM docker.io/library/x", "taking the base image (1/3)"),
        ("[2/3] COPY --from=build /venv /venv", "copying files (2/3)"),
        ("[2/3] RUN --mount=type=cache,target=/x   npm  ci", "running npm ci (2/3)"),
        ("[2/3] WORKDIR /srv", "WORKDIR /srv (2/3)"),
        ("something else", "something else"),
    ],
)
def test_a_step_in_words(step: str, words: str) -> None:
    """Our own steps say what they are for, others their command without BuildKit's options."""
    assert words in build_step.words(step)
