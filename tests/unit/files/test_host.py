"""The record of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper import errors
from iac_wrapper.files import host
from iac_wrapper.files.atomic import write_text
from iac_wrapper.files.machine_home import MachineHome


def test_host_record_round_trip(tmp_path: Path) -> None:
    """What bootstrap writes is what everyone reads."""
    record = host.Host(
        docker="/d",
        terraform="/t",
        node="/n",
        provider="embedded",
        sidecar_image="iac/envoy:1",
        bases={"3.11": host.PythonBase("a", "b")},
    )
    home = MachineHome(tmp_path)
    host.save_host(record, home)
    assert host.load_host(home) == record
    older = home.record.read_text().replace('"version"', '"envoy_uid": 1337, "version"')
    older = older.replace('"runtime_image"', '"runtime_id": "sha256:c", "runtime_image"')
    home.record.write_text(older)
    assert host.load_host(home) == record  # what nobody reads any more


@pytest.mark.parametrize("text", [None, "{", '{"version": 99}', '{"version": 1, "bases": {}}'])
def test_a_missing_or_foreign_host_record_asks_for_bootstrap(
    tmp_path: Path, text: str | None
) -> None:
    """No record, or one that cannot be read, has one cure."""
    if text is not None:
        write_text(MachineHome(tmp_path).record, text)
    with pytest.raises(errors.ConfigError, match="not set up") as caught:
        host.load_host(MachineHome(tmp_path))
    assert caught.value.next_step == "make bootstrap"
