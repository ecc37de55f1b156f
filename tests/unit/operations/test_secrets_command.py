"""Secret values from a command: real programs, what they print, and how they fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iac_wrapper.errors import CommandError, ConfigError
from iac_wrapper.files import stored_values
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import entry_env, env_values, secrets_command
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import load_settings
from tests.support.deployed import app, deployed

SHOWN = "shown-nowhere-1"


@pytest.mark.parametrize(
    "printed",
    [
        'TOKEN=\'it"s\'\nexport OTHER="a\\nb"',
        '{"TOKEN": "it\\"s", "OTHER": "a\\nb"}',
    ],
    ids=["lines", "JSON"],
)
def test_both_forms(tmp_path: Path, printed: str) -> None:
    """What sops, op, vault and others print."""
    (tmp_path / "printed").write_text(printed)
    found = secrets_command.values("cat printed", tmp_path, {})
    assert found == {"TOKEN": 'it"s', "OTHER": "a\nb"}


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (f"echo {SHOWN}; echo {SHOWN} >&2; exit 3", "exit code 3"),
        (f"echo {SHOWN} {SHOWN}", "line 1: neither NAME=value nor a comment"),
        (f"echo A={SHOWN}; printf 'B=\\377'", "bytes that are not UTF-8"),
        (f"echo '{{\"{SHOWN}'", "`{`, but no JSON"),
        (f'echo \'{{"A": {{"B": "{SHOWN}"}}}}\'', "JSON whose 'A' is no text"),
        ("head -c 2000000 /dev/zero", "more than 1000000 bytes"),
        ("sleep 60", "did not end within 0.5 s"),
    ],
)
def test_what_it_prints_is_never_shown(
    tmp_path: Path, script: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error has the cause, the setting and the next step."""
    monkeypatch.setattr(secrets_command, "SECONDS", 0.5)
    (tmp_path / "script").write_text(script)
    with pytest.raises(CommandError) as caught:
        secrets_command.values("sh script", tmp_path, {})
    shown = str(caught.value)
    assert shown.startswith("IAC_SECRETS_COMMAND: ")
    assert SHOWN not in shown
    assert found in shown
    assert "\n  next:" in shown


@pytest.mark.parametrize("command", ["no-such-program", "sh 'x"])
def test_what_is_no_command(tmp_path: Path, command: str) -> None:
    """Is an error that names the setting."""
    with pytest.raises(CommandError, match="IAC_SECRETS_COMMAND"):
        secrets_command.values(command, tmp_path, {})


def test_it_is_asked_last_and_once(tmp_path: Path) -> None:
    """Only for a name that nobody else knows, with the project's name and `.env`."""
    layout = Layout(tmp_path)
    (tmp_path / "manager").write_text(
        'echo x >> asked; echo "A=command B=command C=command D=$IAC_PROJECT-$LOGIN" | tr " " "\\n"'
    )
    (tmp_path / ".env").write_text("IAC_SECRETS_COMMAND='sh manager'\nLOGIN=me\nA=env\n")
    stored_values.save(layout.stored_values("demo"), {"A": "stored", "B": "stored"})
    workspace = Workspace(layout, load_settings(tmp_path, {}), "demo", lambda _: None)
    known = deployed(layout, replace(app("web"), env={"A": "${A}", "B": "${B}"}))
    assert env_values.secret_values(workspace, known) == {"web": {"A": "env", "B": "stored"}}
    assert not (tmp_path / "asked").exists()
    names = {name: f"${{{name}}}" for name in "ABCD"}
    lock = deployed(layout, replace(app("web"), env=names), replace(app("db"), env=names))
    values = {"A": "env", "B": "stored", "C": "command", "D": "demo-me"}
    assert env_values.secret_values(workspace, lock) == {"web": values, "db": values}
    assert (tmp_path / "asked").read_text() == "x\n"
    assert entry_env.sources(workspace, "ABC") | {"A": "environment"} == {
        **entry_env.sources(workspace, ()),
        **{"A": "environment", "B": "stored", "C": "command"},
    }
    with pytest.raises(ConfigError, match="which is not set"):
        env_values.secret_values(
            workspace, deployed(layout, replace(app("web"), env={"E": "${E}"}))
        )
