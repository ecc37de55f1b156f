"""Logs of the set-up: complete, private, and without secrets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iac_wrapper.adapters.process import Command
from iac_wrapper.errors import CommandError
from tests.unit.bootstrap.conftest import Rig

KEY = "-----BEGIN PRIVATE KEY-----\\nc2VudGluZWw\\n-----END PRIVATE KEY-----\\n"


def test_a_log_shows_command_and_output_but_no_secret(make_rig: Callable[..., Rig]) -> None:
    """Credentials of a proxy in argv, a setting's token, a key in the output."""
    rig = make_rig(GITHUB_TOKEN="opaque-token")
    path = rig.context.log_file("it")
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    script = f"printf '%b' '{KEY}'; echo opaque-token; echo done"
    argv = ("/bin/sh", "-c", script, "http://user:sentinel@proxy:3128")
    rig.context.run_logged("it", Command(argv), "failed", next_step="none")
    text = path.read_text()
    assert text.startswith("$ /bin/sh -c")
    assert text.endswith("\ndone\n")
    for secret in ("sentinel", "c2VudGluZWw", "opaque-token"):
        assert secret not in text
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failure_names_the_log(rig: Rig) -> None:
    with pytest.raises(CommandError, match="it failed") as caught:
        rig.context.run_logged(
            "it", Command(("/bin/sh", "-c", "exit 3")), "it failed", next_step="x"
        )
    assert caught.value.where == str(rig.context.log_file("it"))
