"""Changes to the text of a repos file: what is said, and that all else stays to the byte."""

from __future__ import annotations

import pytest

from iac_wrapper.files import repos_edit
from iac_wrapper.files.repos_edit import CannotEditError, Way

COMMENTED = """\
# Our shop.
- gh:o/a#v1   # pinned

- slug: gh:o/b
  env:         # for b
    A: one     # first

    # a secret
    B: "${B}"
  # of the entry
  port: 80

# The rest.
- {slug: gh:o/c, port: 80}
"""


@pytest.mark.parametrize(
    ("text", "way", "value", "expected"),
    [
        pytest.param(
            COMMENTED,
            (1, "env", "A"),
            "two",
            COMMENTED.replace("one", "two"),
            id="another value",
        ),
        pytest.param(
            COMMENTED,
            (1, "env", "C"),
            "three",
            COMMENTED.replace('"${B}"\n', '"${B}"\n    C: three\n'),
            id="behind the last",
        ),
        pytest.param(
            COMMENTED,
            (0, "env", "A"),
            "1.10",
            COMMENTED.replace(
                "- gh:o/a#v1   # pinned\n",
                "- slug: gh:o/a#v1   # pinned\n  env:\n    A: 1.10\n",
            ),
            id="a slug alone",
        ),
        pytest.param(
            COMMENTED,
            (2, "env", "A"),
            "a: b # c",
            COMMENTED.replace("port: 80}", 'port: 80, env: {A: "a: b # c"}}'),
            id="in braces",
        ),
        pytest.param(
            "- slug: gh:o/a\n  release: |\n    a\n    # no comment\n\n- gh:o/b\n",
            (0, "env", "A"),
            "",
            "- slug: gh:o/a\n  release: |\n    a\n    # no comment\n\n"
            '  env:\n    A: ""\n- gh:o/b\n',
            id="behind a block of text",
        ),
        pytest.param(
            "- slug: gh:o/a\n  env:\n    A: >-\n      x\n      y\n    B: z",
            (0, "env", "A"),
            "1\n2",
            '- slug: gh:o/a\n  env:\n    A: "1\\n2"\n    B: z',
            id="a block of text",
        ),
        pytest.param(
            "- slug: gh:o/a",
            (0, "env", "A"),
            "b",
            "- slug: gh:o/a\n  env:\n    A: b\n",
            id="no end",
        ),
        pytest.param(
            "- gh:o/a\r\n- gh:o/b\r\n",
            (0, "env", "A"),
            "b",
            "- slug: gh:o/a\r\n  env:\r\n    A: b\r\n- gh:o/b\r\n",
            id="lines of Windows",
        ),
        pytest.param(
            "[gh:o/a, gh:o/b]\n", (1, "env", "A"), "x", "[gh:o/a, {slug: gh:o/b, env: {A: x}}]\n"
        ),
        pytest.param(
            "- slug: gh:o/a\n  env: {\n    A: b,\n  }\n",
            (0, "env", "C"),
            "null",
            '- slug: gh:o/a\n  env: {\n    A: b,\n    C: "null"\n  }\n',
            id="a comma at the end",
        ),
        pytest.param(
            "-   slug: gh:o/a\n    needs: [b]\n-   gh:o/b\n",
            (0, "env", "A"),
            "\x85\ufeff\U0001f600é",
            "-   slug: gh:o/a\n    needs: [b]\n"
            '    env:\n      A: "\\u0085\\ufeff\U0001f600é"\n-   gh:o/b\n',
            id="characters",
        ),
        pytest.param(
            "environments:\n  staging:   # soon\n  production: {}\napps:\n- gh:o/a\n",
            ("environments", "staging", "services", "a", "env", "A"),
            "b",
            "environments:\n  staging:   # soon\n    services:\n      a:\n        env:\n"
            "          A: b\n  production: {}\napps:\n- gh:o/a\n",
            id="an environment without anything",
        ),
        pytest.param(
            "environments:\n  staging:\n  production: {}\napps:\n- gh:o/a\n",
            ("environments", "production", "services", "a", "env", "A"),
            "b",
            "environments:\n  staging:\n  production: {services: {a: {env: {A: b}}}}\n"
            "apps:\n- gh:o/a\n",
            id="an environment of braces",
        ),
        pytest.param(
            "apps: [gh:o/a]\nenvironments: {x: , y: ~}\n",
            ("environments", "x", "services", "a", "env", "A"),
            "b",
            "apps: [gh:o/a]\nenvironments: {x: {services: {a: {env: {A: b}}}} , y: ~}\n",
            id="nothing within braces",
        ),
        pytest.param(
            "- &a\n  slug: gh:o/a\n  env: &e\n    A: &x b\n- slug: gh:o/b\n  env: {B: *x}\n",
            (0, "env", "C"),
            "d",
            "- &a\n  slug: gh:o/a\n  env: &e\n    A: &x b\n    C: d\n"
            "- slug: gh:o/b\n  env: {B: *x}\n",
            id="beside an anchor",
        ),
    ],
)
def test_put(text: str, way: Way, value: str, expected: str) -> None:
    """The value is there, and whatever a person wrote besides."""
    assert repos_edit.put(text, way, value) == expected


JSON = """\
[
  "gh:o/a",
  {
    "slug": "gh:o/b",
    "env": {
      "A": "b"
    }
  }
]
"""


def test_json() -> None:
    """Stays JSON, in the way it is laid out."""
    text = repos_edit.put(JSON, (1, "env", "B"), "1", is_json=True)
    assert text == JSON.replace('"b"\n', '"b",\n      "B": "1"\n')
    assert repos_edit.drop(text, (1, "env", "B"), stays=2, is_json=True) == JSON
    text = repos_edit.put(JSON, (0, "env", "A"), "é", is_json=True)
    assert '  {"slug": "gh:o/a", "env": {"A": "é"}},\n' in text


@pytest.mark.parametrize(
    ("text", "way"),
    [
        pytest.param(
            "- slug: gh:o/a\n  env: &e\n    A: b\n- slug: gh:o/b\n  env: *e\n",
            (0, "env", "C"),
            id="a mapping that two share",
        ),
        pytest.param(
            "- slug: gh:o/a\n  env: &e\n    A: b\n- slug: gh:o/b\n  env: *e\n",
            (1, "env", "C"),
            id="the same, by the other",
        ),
        pytest.param(
            "- slug: gh:o/a\n  env: {A: &x b}\n- slug: gh:o/b\n  env: {A: *x}\n",
            (0, "env", "A"),
            id="a value that two share",
        ),
        pytest.param(
            "- slug: gh:o/a\n  env: {\n    A: b  # why\n  }\n",
            (0, "env", "C"),
            id="a comment within braces",
        ),
    ],
)
def test_what_only_a_person_can_change(text: str, way: Way) -> None:
    """Is refused rather than that something else changes."""
    with pytest.raises(CannotEditError):
        repos_edit.put(text, way, "new")


@pytest.mark.parametrize(
    ("text", "way", "stays", "expected"),
    [
        pytest.param(
            COMMENTED,
            (1, "env", "A"),
            1,
            COMMENTED.replace("    A: one     # first\n", ""),
            id="one of several",
        ),
        pytest.param(
            "- slug: gh:o/a\n  env:\n    A: b\n  # after\n  port: 80\n",
            (0, "env", "A"),
            1,
            "- slug: gh:o/a\n  # after\n  port: 80\n",
            id="the last one",
        ),
        pytest.param(
            "- env:\n    A: b\n  slug: gh:o/a\n",
            (0, "env", "A"),
            1,
            "- slug: gh:o/a\n",
            id="behind the dash",
        ),
        pytest.param(
            "- {slug: gh:o/a, env: {A: b, C: d}}\n",
            (0, "env", "A"),
            1,
            "- {slug: gh:o/a, env: {C: d}}\n",
            id="the first in braces",
        ),
        pytest.param(
            "- {slug: gh:o/a, env: {A: b}}\n",
            (0, "env", "A"),
            1,
            "- {slug: gh:o/a}\n",
            id="the last in braces",
        ),
        pytest.param(
            "- slug: gh:o/a\n  env:\n    A: |\n      x\n\n    B: c\n",
            (0, "env", "A"),
            1,
            "- slug: gh:o/a\n  env:\n    B: c\n",
            id="a block of text",
        ),
        pytest.param(
            "apps: [gh:o/a]\nenvironments:\n  x:\n    services:\n      a:\n        env:\n"
            "          A: b\n  y:\n    only: [a]\n",
            ("environments", "x", "services", "a", "env", "A"),
            2,
            "apps: [gh:o/a]\nenvironments:\n  x:\n  y:\n    only: [a]\n",
            id="all of an environment",
        ),
    ],
)
def test_drop(text: str, way: Way, stays: int, expected: str) -> None:
    """The key is gone, with mappings that would hold nothing."""
    assert repos_edit.drop(text, way, stays=stays) == expected
