"""Each layout gets the plan that was written down for it before the rules were.

`make detect-score` counts them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detection.judging import Layout, judge, read_layouts

pytestmark = pytest.mark.slow

LAYOUTS = read_layouts()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_the_plan_is_what_was_expected(layout: Layout, tmp_path: Path) -> None:
    outcome, differences = judge(layout, tmp_path)
    assert outcome == "right", "\n".join(differences)


def test_every_name_is_used_once() -> None:
    names = [layout.name for layout in LAYOUTS]

    assert len(names) == len({*names})


def test_every_layout_expects_a_plan_or_a_refusal() -> None:
    assert all((layout.expect is None) == bool(layout.refused) for layout in LAYOUTS)
