"""How many layouts are right: ``make detect-score``.

For each group (a file of layouts) the number that are right, clearly refused (a plan is expected,
and the error says what to write) and wrong, then the share of the first two. With ``-v`` also why.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from tests.detection.judging import Outcome, judge, read_layouts

_BUILDERS = ("google", "heroku", "nixpacks", "paketo", "railpack")
"""Groups with the kinds of examples that these test themselves with."""


def main() -> None:
    parser = argparse.ArgumentParser(description="the score of the layouts", allow_abbrev=False)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say what is not right, and why"
    )
    arguments = parser.parse_args()
    groups: dict[str, Counter[Outcome]] = {}
    for layout in read_layouts():
        with tempfile.TemporaryDirectory() as folder:
            outcome, differences = judge(layout, Path(folder))
        groups.setdefault(layout.group, Counter())[outcome] += 1
        if arguments.verbose and differences:
            print(f"{outcome}: {layout.name}", *differences, sep="\n    ")
    _print(groups)


def _print(groups: dict[str, Counter[Outcome]]) -> None:
    print(f"{'layouts':<20}{'right':>7}{'refused':>9}{'wrong':>7}{'share':>8}")
    for name, counts in groups.items():
        _line(name, counts)
    _line("builders' examples", sum((groups[name] for name in _BUILDERS), Counter()))
    _line("all", sum(groups.values(), Counter()))


def _line(name: str, counts: Counter[Outcome]) -> None:
    right, refused, wrong = (counts[outcome] for outcome in ("right", "refused", "wrong"))
    share = (right + refused) / (right + refused + wrong)
    print(f"{name:<20}{right:>7}{refused:>9}{wrong:>7}{share:>8.0%}")


if __name__ == "__main__":
    main()
