"""Each layout gets the plan that was written down for it before the rules were."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detection.judging import NOT_YET, Layout, judge, read_layouts

LAYOUTS = read_layouts()
EXCEPTIONS = frozenset(NOT_YET.read_text(encoding="utf-8").split())


def _parameter(layout: Layout) -> object:
    marks = [pytest.mark.xfail(reason="no rule yet")] if layout.name in EXCEPTIONS else []
    return pytest.param(layout, id=layout.name, marks=marks)


@pytest.mark.parametrize("layout", [_parameter(layout) for layout in LAYOUTS])
def test_the_plan_is_what_was_expected(layout: Layout, tmp_path: Path) -> None:
    outcome, differences = judge(layout, tmp_path)
    assert outcome == "right", "\n".join(differences)


def test_every_name_is_used_once_and_every_exception_is_one() -> None:
    names = [layout.name for layout in LAYOUTS]

    assert len(names) == len({*names})
    assert {*names} >= EXCEPTIONS


def test_every_layout_expects_a_plan_or_a_refusal() -> None:
    assert all((layout.expect is None) == bool(layout.refused) for layout in LAYOUTS)
