"""The order of all tests: what waits for containers begins first, beside what computes.

`make test` tells pytest-xdist not to sort by itself: it would leave the files with Docker, which
have few tests, to the end, where one worker is idle.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

os.environ["IAC_KEEPER"] = "off"
"""Tests stop and kill containers, and look at what is then; who tests the keeper says so."""

LONGEST = ("test_fuzz.py", "test_notes.py")
"""Few tests, of minutes: the last file alone would leave the other workers idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with Docker first, the longest before all; then those with many tests, as pytest-xdist
    has it."""
    tests: Counter[Path] = Counter(item.path for item in items)
    items.sort(
        key=lambda item: (
            not item.get_closest_marker("integration"),
            item.path.name not in LONGEST,
            -tests[item.path],
        )
    )
