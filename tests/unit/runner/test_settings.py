"""The runner's environment, and what of it the program sees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import runner
from runner.settings import RunnerSettings, child_environment, load_runner_settings

LIB = str(Path(runner.__file__).parents[1])


def test_defaults_hold_without_environment() -> None:
    """Nothing set, or set to nothing, is the default."""
    assert load_runner_settings({"PORT": ""}) == RunnerSettings()
    assert RunnerSettings().own_port == 15020


def test_values_are_read() -> None:
    """Numbers and the declared flag come from their variables."""
    given = load_runner_settings(
        {"PORT": "8080", "IAC_PORT_DECLARED": "1", "IAC_STOP_GRACE": "2.5"}
    )
    assert (given.port, given.port_declared, given.stop_grace) == (8080, True, 2.5)


def test_bad_number_is_an_error() -> None:
    """A port that is no number must not become the default."""
    with pytest.raises(ValueError, match="http"):
        load_runner_settings({"PORT": "http"})


def test_program_does_not_see_our_packages() -> None:
    """Our own folder leaves PYTHONPATH, the program's own folders stay."""
    assert child_environment({"PYTHONPATH": LIB, "A": "1"}) == {"A": "1"}
    both = os.pathsep.join((LIB, "/app/lib"))
    assert child_environment({"PYTHONPATH": both}) == {"PYTHONPATH": "/app/lib"}
