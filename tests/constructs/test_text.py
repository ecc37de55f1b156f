"""Text of users in Terraform's JSON."""

from __future__ import annotations

import cdktf
import pytest

from constructs_lib.text import literal
from tests.constructs.facts import synth_scope


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $HOME 100% {x}", "plain $HOME 100% {x}"),
        ("${x}", '${"$"}{x}'),
        ("%{ if x }", '${"%"}{ if x }'),
        ("$${x}", '${"$$"}{x}'),
        ("%$%{x}", '${"%$%"}{x}'),
    ],
)
def test_template_starts_are_quoted(text: str, expected: str) -> None:
    """No text opens a Terraform template, however many signs stand before the brace."""
    assert literal(text) == expected


@pytest.mark.parametrize("sign", ["$", "#", "&"])
def test_tokens_of_cdktf_in_text_stay_text(sign: str) -> None:
    """A value that looks like cdktf's own mark is not resolved as one."""
    text = sign + "{TfToken[TOKEN.0]}"

    def build(scope: object) -> None:
        cdktf.TerraformOutput(scope, "out", value=f"x={literal(text)}")  # type: ignore[arg-type]

    assert synth_scope(build)["output"]["out"]["value"] == f"x={literal(text)}"
