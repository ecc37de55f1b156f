from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import one_off
from iac_wrapper.model.app_rules import check_name
from iac_wrapper.model.one_off import Record


def test_an_id_names_its_service_and_is_no_service() -> None:
    """`iac logs` tells one from the other."""
    found = one_off.new_id("my-web")
    assert one_off.service_of(found) == "my-web"
    assert one_off.service_of("my-web") is None
    with pytest.raises(ConfigError):
        check_name(found)


def test_a_record_is_read_as_it_was_written() -> None:
    """Whether it has ended or not."""
    begun = Record("web.0a1b2c", "web", ("sh", "-c", "x"), "run", datetime.now(UTC))
    ended = replace(begun, ended=datetime.now(UTC), exit_code=3)
    for record in (begun, ended):
        assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_a_container_of_ours_has_the_runner() -> None:
    """Its command gets the secret values; a foreign image starts something else."""
    assert one_off.has_runner(["/opt/iac/runner/bin/python", "-I", "-u", "-m", "runner"])
    assert not one_off.has_runner(["docker-entrypoint.sh"])
    assert not one_off.has_runner([])
    assert one_off.as_program(("a", "b"))[-3:] == ("--", "a", "b")
