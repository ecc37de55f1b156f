from __future__ import annotations

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import references
from iac_wrapper.model.app_rules import check_env_value
from iac_wrapper.model.redact import Redactor

GIVEN = {"A": "one", "B": "$${A}"}


@pytest.mark.parametrize(
    ("value", "names", "filled"),
    [
        ("${A}", ("A",), "one"),
        ("x${A}-${B}${A}", ("A", "B"), "xone-$${A}one"),
        ("$A $$ $1 50$", (), "$A $$ $1 50$"),
        ("$${A}", (), "${A}"),
        ("$${", (), "${"),
        ("$$${A}", (), "$${A}"),
        ("", (), ""),
    ],
)
def test_values(value: str, names: tuple[str, ...], filled: str) -> None:
    """What is filled in is not read again."""
    assert not references.is_bad(value)
    assert references.names(value) == names
    assert references.fill(value, GIVEN) == filled
    assert references.fill(references.escaped(value), {}) == value


@pytest.mark.parametrize("value", ["${", "a${}", "${1}", "${A", "${A:-x}", "${A}${", "$$$${1} ${B"])
def test_what_is_neither_reference_nor_text(value: str) -> None:
    """It would reach the program as it is, which nobody wants."""
    assert references.is_bad(value)
    with pytest.raises(ConfigError, match="without the name of a variable"):
        check_env_value("X", value)


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:${DB_PASSWORD}@db/app",
        "postgresql://${USER}:${DB_PASSWORD}@db/app",
        "https://${TOKEN}@git.example.com/x",
        "https://user:${TOKEN}@git.example.com/x",
        "Authorization: Bearer ${TOKEN}",
    ],
)
def test_a_reference_is_no_secret(value: str) -> None:
    """It may stand in a file that is committed, in the lock and in Terraform's JSON."""
    assert check_env_value("X", value) == value
    assert Redactor()(value.replace("${", "$${")) == value.replace("${", "$${")


@pytest.mark.parametrize(
    "value",
    ["postgresql://app:x${PASSWORD}@db", "https://${A}:pass@x", "Authorization: Bearer ${A}x"],
)
def test_text_beside_a_reference_may_be_one(value: str) -> None:
    """Half a password in the file is refused as a whole one is."""
    with pytest.raises(ConfigError, match="looks like a key, token or password"):
        check_env_value("X", value)
