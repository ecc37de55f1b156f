"""The environment of an app."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from constructs_lib.app_environment import AppEnvironment
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_files
from runner.settings import RunnerSettings


def _environment(wanted: Mapping[str, str], *, otlp_endpoint: str = "") -> AppEnvironment:
    return AppEnvironment("svc-a", 50051, True, wanted, otlp_endpoint)


def test_own_variables_are_there_and_sorted() -> None:
    """The runner and the SDK find what they need, in a stable order."""
    assert _environment({}).entries() == [
        "HOME=/tmp",
        "IAC_FIRST_UID=0",
        "IAC_PORT_DECLARED=1",
        "IAC_SERVICE=svc-a",
        "OTEL_SERVICE_NAME=svc-a",
        "PORT=50051",
        "PYTHONUNBUFFERED=1",
        "USER=iac",
    ]


def test_users_values_win_over_defaults() -> None:
    """HOME and the OpenTelemetry variables are suggestions."""
    entries = _environment(
        {"HOME": "/app", "OTEL_SERVICE_NAME": "shop"}, otlp_endpoint="http://otel:4318"
    ).entries()

    assert {"HOME=/app", "OTEL_SERVICE_NAME=shop"} < set(entries)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://otel:4318" in entries


def test_pythonpath_of_the_user_keeps_the_runner_importable() -> None:
    """A container's variable hides the image's, so the runner's own path comes first."""
    assert "PYTHONPATH=/opt/iac/lib:/app/src" in _environment({"PYTHONPATH": "/app/src"}).entries()


def test_references_never_reach_terraform() -> None:
    """A value with ${NAME} comes by file; $${ is a literal ${ for the program."""
    wanted = {"TOKEN": "${MY_TOKEN}", "URL": "a ${MY_TOKEN}", "TEXT": "a $${MY_TOKEN}"}
    environment = _environment(wanted)

    assert environment.has_references
    assert not [line for line in environment.entries() if line.startswith(("TOKEN=", "URL="))]
    assert 'TEXT=a ${"$"}{MY_TOKEN}' in environment.entries()


@pytest.mark.parametrize(
    "value", ["${A}", "${A}x", "$${A}", "$A", "${1}", "${}", " ${A}", "${A}\n"]
)
def test_both_sides_agree_on_what_a_reference_is(value: str) -> None:
    """The command side writes files for exactly the values that are left out here."""
    wanted = {"X": value}

    assert _environment(wanted).has_references == bool(env_files.referring(wanted))


@pytest.mark.parametrize("name", ["PORT", "IAC_SERVICE", "1A", "A=B", "A B", ""])
def test_bad_names_are_refused(name: str) -> None:
    """A lock edited by hand cannot change what the runner relies on."""
    with pytest.raises(ConfigError) as caught:
        _environment({name: "x"})

    assert caught.value.found
    assert caught.value.expected


def test_what_a_program_is_for_reaches_the_runner_only_when_it_is_known() -> None:
    """Where nothing is said nothing is set, so that no container is replaced for it."""
    assert not any("IAC_RUN" in entry for entry in AppEnvironment("a", 1, False, {}).entries())
    assert "IAC_RUN=worker" in AppEnvironment("a", 1, False, {}, run="worker").entries()


def test_the_runners_own_probation_is_not_set() -> None:
    """Another one is; both sides mean the same by the default."""
    plain = AppEnvironment("a", 1, False, {})
    assert plain.probation == RunnerSettings().probation
    assert not any("IAC_PROBATION" in entry for entry in plain.entries())
    assert "IAC_PROBATION=3" in AppEnvironment("a", 1, False, {}, probation=3).entries()
