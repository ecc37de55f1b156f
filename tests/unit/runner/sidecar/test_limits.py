"""How much an Envoy may hold, and who holds too much of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from runner.sidecar import crowd, limits
from runner.sidecar.limits import Limits

MIB = 1 << 20


@pytest.mark.parametrize(
    ("file", "text", "size"),
    [
        ("memory.max", "536870912\n", 512 * MIB),
        ("memory.max", "max\n", 256 * MIB),
        ("memory/memory.limit_in_bytes", "134217728\n", 128 * MIB),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 256 * MIB),
        ("other", "", 256 * MIB),
    ],
)
def test_limits_follow_the_memory_of_the_container(
    tmp_path: Path, file: str, text: str, size: int
) -> None:
    """Of either kind of cgroup; without one, those of a sidecar as the constructs make it."""
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert limits.of_container(tmp_path) == limits.of_memory(size)


def test_all_connections_with_a_request_each_fit_into_the_heap() -> None:
    """With what was measured for one; and a small container still has some."""
    assert limits.of_memory(256 * MIB) == Limits(200 * MIB, 1280)
    assert limits.of_memory(512 * MIB) == Limits(400 * MIB, 2880)
    assert limits.of_memory(64 * MIB).connections == 80
    assert limits.of_memory(8 * MIB).connections == 64


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def test_connections_are_counted_by_caller(tmp_path: Path) -> None:
    """Established ones to our port; not the listener's own row, nor those that this end opened."""
    rows = [
        ("0500000A:3A98", "0700000A:C350", "01"),
        ("0500000A:3A98", "0700000A:C351", "01"),
        ("0500000A:3A98", "0800000A:C350", "01"),
        ("0500000A:3A98", "0800000A:C351", "06"),
        ("00000000:3A98", "00000000:0000", "0A"),
        ("0500000A:C352", "0900000A:3A98", "01"),
    ]
    lines = (f"   0: {' '.join(row)} 00000000:00000000 00:00000000 0 10101\n" for row in rows)
    (tmp_path / "tcp").write_text(HEAD + "".join(lines))
    assert crowd.callers([15000], tmp_path / "tcp") == {15000: {"10.0.0.7": 2, "10.0.0.8": 1}}


def test_who_has_a_whole_share_is_named_and_nobody_before() -> None:
    """Or, where several have taken everything together, the one with most."""
    allowed = Limits(200 * MIB, 100)
    assert crowd.sentence(Counter(), allowed) is None
    assert crowd.sentence(Counter({"a": 49, "b": 49}), allowed) is None
    for found in ({"a": 50}, {"a": 40, "b": 30, "c": 30}):
        text = crowd.sentence(Counter(found), allowed)
        assert text == (
            f"connections: a holds {found['a']} of {sum(found.values())};"
            " at most 100 are taken, 50 from one address"
        )
