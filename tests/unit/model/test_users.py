"""Blocks of uids, as values."""

from __future__ import annotations

from itertools import islice

from iac_wrapper.model import users
from iac_wrapper.model.users import BLOCK, RANGES, Users


def test_the_uids_of_a_service_are_different_and_no_other_services() -> None:
    """Program, Envoy, and room for the runner's."""
    first, second = islice(users.free_blocks((), ()), 2)
    assert first.program != first.envoy
    assert {first.program, first.envoy} <= set(first.block)
    assert len(first.block) == BLOCK > 2
    assert not set(first.block) & set(second.block)


def test_labels_say_who_has_which_block() -> None:
    """What is not of our form counts for nothing; a project whose name begins alike is another."""
    values = [
        users.label_value(Users(30_000), "shop", "web"),
        users.label_value(Users(30_004), "shop-2", "web"),
        "30008 shop",
        "x shop/web",
        "",
    ]
    assert users.parse_labels(values, "shop") == ({"web": Users(30_000)}, {30_000, 30_004})


def test_foreign_ranges_are_gone_round() -> None:
    """A range of /etc/subuid takes every block that it touches, at either end."""
    start = RANGES[0].start
    wanted = [start + 8, start + 12]
    free = users.free_blocks({start}, [range(start + 7, start + 8), range(start + 16, 2**32)])
    assert [block.base for block in free] == wanted
    far = users.free_blocks((), [range(RANGES[0].start, RANGES[0].stop)])
    assert next(far).base == RANGES[1].start


def test_the_ranges_leave_people_and_the_system_alone() -> None:
    """No uid below 30000, of 60000 to 65535, or from 100000 on, where subordinate ids begin."""
    every = {uid for block in users.free_blocks((), ()) for uid in block.block}
    assert min(every) >= 30_000
    assert max(every) < 100_000
    assert not every & set(range(60_000, 65_536))
    assert len(every) > 10_000 * BLOCK


def test_the_passwd_of_an_app_names_its_user() -> None:
    """Every line has the seven fields of passwd(5); the home is where the app may write."""
    text = users.passwd(Users(30_004))
    lines = [line.split(":") for line in text.splitlines()]
    assert {len(fields) for fields in lines} == {7}
    assert "iac:x:30004:10001:user code:/tmp:/usr/sbin/nologin\n" in text
    assert [fields[2] for fields in lines] == ["0", "65534", "30004", "30006"]
