"""TOML 1.1 in what uv writes."""

from __future__ import annotations

import time
import tomllib

import pytest

from iac_wrapper.program import toml

NEW = """\
[[package]]  # {
name = "ledger"
about = "a \\"{ b\\" # c"
dependencies = [
  { name = "shop", marker = "python_version < '3.12'" }, # {
]
sdist = {
  url = "https://example.org/ledger.tar.gz#sha", # where, {
  'size' = 12,
}
wheels = [
  {
    tags = [
      "a",
      "b", # two
    ],
    note = '''
}, {''',
  },
  {},
]
"""


def test_an_inline_table_may_go_over_lines_and_end_with_a_comma() -> None:
    (package,) = toml.loads(NEW)["package"]
    assert package["about"] == 'a "{ b" # c'
    assert package["sdist"] == {"url": "https://example.org/ledger.tar.gz#sha", "size": 12}
    assert package["wheels"] == [{"tags": ["a", "b"], "note": "}, {"}, {}]
    assert package["dependencies"][0]["name"] == "shop"


def test_what_is_no_toml_stays_an_error() -> None:
    for text in ("a = {", "a = {,}}", "= {\n}", 'a = {b = "\n"}'):
        with pytest.raises(tomllib.TOMLDecodeError):
            toml.loads(text)


@pytest.mark.parametrize("unit", ['"""\\', "'''", "{\n,", "[{", '"\\"'])
def test_a_broken_file_takes_no_long_time(unit: str) -> None:
    started = time.process_time()
    with pytest.raises((tomllib.TOMLDecodeError, RecursionError)):
        toml.loads("a = " + unit * 50_000)
    assert time.process_time() - started < 5
