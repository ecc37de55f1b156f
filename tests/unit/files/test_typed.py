from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from iac_wrapper.files.typed import checked
from iac_wrapper.model.options import Options
from tests.support import deployed
from tests.unit.model.test_options import EVERY

APP = deployed.app("web")


def test_good_ones_pass() -> None:
    assert checked(APP) is APP
    assert checked(EVERY) is EVERY


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("commit", 7),
        ("port", True),
        ("port", "80"),
        ("env", None),
        ("env", {"A": 1}),
        ("notes", "text"),
        ("notes", (1,)),
        ("run", "cron"),
        ("options", {}),
    ],
)
def test_a_field_of_another_type_is_named(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{field} is "):
        checked(replace(APP, **{field: value}))


def test_numbers() -> None:
    assert checked(Options(cpus=2)) == Options(cpus=2.0)
    with pytest.raises(TypeError, match="memory_mb"):
        checked(replace(Options(), memory_mb=1.5))  # type: ignore[arg-type]
