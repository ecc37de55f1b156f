"""`iac certs` as people use it; what Envoys serve is for the tests with real ones."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509

from iac_wrapper import cli
from iac_wrapper.adapters.engine import Container, Engine
from iac_wrapper.files import users_file
from iac_wrapper.files.layout import Layout
from iac_wrapper.identity.certificates import inspect_leaf
from iac_wrapper.identity.issuers import StoredIssuer
from iac_wrapper.model.users import Users
from iac_wrapper.operations import certs
from tests.support.deployed import app, deployed
from tests.support.docker_daemon import Daemon


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine_double: Daemon) -> Layout:
    """A project folder whose services nobody runs."""
    (tmp_path / "cdktf.json").write_text("{}")
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    layout = Layout(tmp_path)
    deployed(layout, app("web"), app("api"))
    users = {name: Users(os.geteuid() - 1) for name in ("gateway", "web", "api")}
    users_file.save_users(users, layout.users("demo"))
    return layout


def _iac(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["certs", *arguments, "--project", "demo"])


def test_a_row_each_and_json_with_all_names(layout: Layout) -> None:
    result = _iac("--wide")
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["NAME", "SERIAL", "SERVED", "LEFT", "RENEWED", "FROM", "STATE"]
    assert [row.split()[0] for row in rows[:5]] == ["CA", "control-plane", "operator", "api", "web"]
    assert rows[4].endswith("ok; nobody answers")
    assert " 89 days " in rows[4]
    found = {row["name"]: row for row in json.loads(_iac("--json").stdout)["certificates"]}
    leaf = inspect_leaf(layout.certificates("demo") / "web")
    assert found["web"]["serial"] == leaf.serial
    assert found["web"]["uris"] == list(leaf.uris)
    assert found["web"]["served"] is None


def test_what_cannot_be_used_has_the_code_of_certificates(layout: Layout) -> None:
    """With what is wrong, and what to type."""
    folder = layout.certificates("demo")
    (folder / "web" / "tls.key").write_bytes((folder / "api" / "tls.key").read_bytes())
    (folder / "api" / "ca.crt").unlink()
    result = _iac("--wide")
    assert result.exit_code == 4
    assert "mismatch: its key is not that of its certificate" in result.stdout
    assert "missing: there is no ca.crt" in result.stdout
    assert "next: iac certs rotate api web --project demo" in result.stderr
    (row,) = [
        row for row in json.loads(_iac("--json").stdout)["certificates"] if row["name"] == "web"
    ]
    assert row["fault"] == "mismatch"


def test_a_name_that_has_none_is_an_error(layout: Layout) -> None:
    result = _iac("rotate", "wbe")
    assert result.exit_code == 2
    assert "control-plane, api, web" in result.stderr
    assert "iac certs --project demo" in result.stderr


def test_one_cause_of_several_is_said_once(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the issuer said; the others are named. A folder that is gone is made again."""
    shutil.rmtree(layout.certificates("demo") / "control-plane")
    assert _iac("rotate", "control-plane").exit_code == 0
    (layout.secrets / "ca.key").unlink()
    monkeypatch.setenv("IAC_CERT_COMMAND", "sh -c 'echo no quota >&2; exit 3'")
    result = _iac("rotate")
    assert result.exit_code == 4
    lines = result.stderr.splitlines()
    assert [line for line in lines if "no quota" in line] == ["  | no quota"]
    assert lines[-1] == (
        "IAC_CERT_COMMAND: no certificate for web: the command failed, for the same reason"
    )


def test_a_rotation_of_what_calls_alone_needs_no_handshake(layout: Layout) -> None:
    before = inspect_leaf(layout.certificates("demo") / "control-plane").serial
    result = _iac("rotate", "control-plane")
    assert result.exit_code == 0, result.output
    after = inspect_leaf(layout.certificates("demo") / "control-plane").serial
    assert after != before
    assert result.stdout == f"control-plane: {after[:8]} is issued\n"


def test_a_new_authority_takes_over_where_nobody_runs(layout: Layout) -> None:
    """Of all projects of the folder. Who is stopped is named, and has all it needs to join."""
    before = json.loads(_iac("--json").stdout)["certificates"][0]["serial"]
    result = _iac("rotate-ca")
    assert result.exit_code == 0, result.output
    assert [line for line in result.stdout.splitlines() if not line.startswith(" ")] == [
        "trust: all trust both authorities",
        "issue: all certificates are of the new authority",
        "drop: the old authority is trusted no more",
        "HTTP connections of before take no requests after 65 s; those of TCP ports have ended.",
    ]
    assert "  web (project demo): is stopped, and joins when it starts" in result.stdout
    rows = {row["name"]: row for row in json.loads(_iac("--json").stdout)["certificates"]}
    assert "CA, new" not in rows
    assert rows["CA"]["serial"] != before
    assert {row["fault"] for row in rows.values()} == {None}


def test_a_project_that_is_not_there_changes_no_authority(layout: Layout) -> None:
    """All projects of the folder would follow, and its name is none of theirs."""
    before = (layout.secrets / "ca.pem").read_bytes()
    result = CliRunner().invoke(cli.main, ["certs", "rotate-ca", "--project", "dmeo"])
    assert result.exit_code == 2
    assert "nothing is deployed in project dmeo" in result.stderr
    assert (layout.secrets / "ca.pem").read_bytes() == before
    assert not (layout.secrets / "ca.next").exists()


def test_a_change_that_waits_is_listed_and_nothing_undoes_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar that runs and does not follow keeps both authorities; it is named."""
    folder = layout.certificates("demo")
    monkeypatch.setattr(certs, "SERVED_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "container", lambda *_: _CONTAINER)
        result = _iac("rotate-ca")
        again = _iac("rotate-ca", "--json")
    assert result.exit_code == again.exit_code == 7
    assert "trust: not done\n  api (project demo): does not serve its new" in result.stdout
    assert "then iac certs rotate-ca goes on" in result.stderr
    assert [each["phase"] for each in json.loads(again.stdout)["steps"]] == ["trust"]
    listed = _iac("--wide")
    assert "until `drop` (step 1 of 3; iac certs rotate-ca goes on)" in listed.stdout
    assert "trusted, but issues nothing yet" in listed.stdout
    key = (folder / "web" / "tls.key").read_bytes()
    (folder / "web" / "tls.key").write_bytes((folder / "api" / "tls.key").read_bytes())
    assert _iac().stderr.endswith("\nnext: iac certs rotate-ca --project demo\n")
    (folder / "web" / "tls.key").write_bytes(key)
    before = inspect_leaf(folder / "web").serial
    assert CliRunner().invoke(cli.main, ["renew", "--project", "demo"]).exit_code == 0
    assert inspect_leaf(folder / "web").serial == before
    assert _iac("rotate", "web").exit_code == 7
    assert len(x509.load_pem_x509_certificates((folder / "web/ca.crt").read_bytes())) == 2


def test_a_change_that_was_cut_off_at_its_end_goes_on(layout: Layout) -> None:
    """The new certificate has its place already, the key of the old one lies there still."""
    stored = StoredIssuer(layout.secrets)
    stored.begin()
    stored.enter("drop")
    new = (layout.secrets / "ca.next/ca.pem").read_bytes()
    (layout.secrets / "ca.pem").write_bytes(new)
    result = _iac("rotate-ca")
    assert result.exit_code == 0, result.output
    assert "drop: the old authority is trusted no more" in result.stdout
    assert not (layout.secrets / "ca.next").exists()
    assert _iac().exit_code == 0


_CONTAINER = Container(
    id="1",
    name="",
    service="",
    role="envoy",
    state="running",
    exit_code=0,
    oom_killed=False,
    restarts=0,
    started_at=datetime.now(UTC),
    network_mode="",
    mounts=(),
)
