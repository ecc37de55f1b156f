"""`iac env` as people type it: the list as it is afterwards, and where secret values are."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.files import repos_file, stored_values
from iac_wrapper.files.layout import Layout
from iac_wrapper.operations import env_values, project_backup
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import load_settings
from tests.support.deployed import app, deployed

LIST = """\
# Our shop.
defaults: {env: {LOG: info}}
apps:
- gh:o/web          # pinned
- slug: gh:o/jobs
  processes: {nightly: "python n.py"}
  env:
    URL: "postgres://app:${DB_PASSWORD}@db"   # the database
"""
ENVIRONMENTS = """\
environments:
  staging:
  production:
    except: [jobs]
"""
SECRET = 's3cr\'et $X "v"\nof two lines'

Iac = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a list, on a machine without an engine."""
    for name in ("cdktf.json", "main.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "repos.yaml").write_text(LIST)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    for name in ("DB_PASSWORD", "TOKEN", "IAC_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def iac(folder: Path) -> Iac:
    """Types a command in it."""

    def run(*words: str, stdin: str | bytes = "", code: int = 0) -> Result:
        result = CliRunner().invoke(cli.main, ["env", *words], input=stdin)
        assert (result.exit_code, "Traceback" in result.output) == (code, False), result.output
        return result

    return run


def _stored(folder: Path, project: str = "iacnet") -> dict[str, str]:
    return stored_values.load(Layout(folder).stored_values(project))


def test_plain_values(folder: Path, iac: Iac) -> None:
    """Go into the entry; comments stay, and the next step is said."""
    result = iac("set", "web", "A=1", "B=x=y")
    assert result.stdout == (
        "web: set A, B in repos.yaml\nNext: iac deploy --file repos.yaml web\n"
    )
    expected = LIST.replace(
        "- gh:o/web          # pinned\n",
        "- slug: gh:o/web          # pinned\n  env:\n    A: 1\n    B: x=y\n",
    )
    assert (folder / "repos.yaml").read_text() == expected
    assert iac("set", "web", "A=1").stdout == "web: nothing to change.\n"
    left = iac("unset", "web", "A", "B")
    assert "removed A, B from repos.yaml" in left.stdout
    assert (folder / "repos.yaml").read_text() == LIST.replace("gh:o/web ", "slug: gh:o/web ")


def test_each_variable_has_its_line(iac: Iac) -> None:
    """And who says what a reference stands for; no value of one is shown."""
    iac("set", "web", "LOG=debug")
    iac("set", "jobs", "--secret", "DB_PASSWORD", stdin=SECRET)
    text = iac().stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "s3cr" not in text
    found = json.loads(iac("list", "--json").stdout)["env"]
    said = {(v["service"], v["name"]): (v["origin"], v["where"], v["references"]) for v in found}
    assert said == {
        ("jobs", "LOG"): ("defaults", "repos.yaml:2", {}),
        ("jobs", "URL"): ("entry", "repos.yaml:10", {"DB_PASSWORD": "stored"}),
        ("web", "LOG"): ("entry", "repos.yaml:6", {}),
    }


def test_what_is_listed_is_what_a_deploy_gets(folder: Path, iac: Iac) -> None:
    """Layer by layer, also of several files."""
    with (folder / "repos.yaml").open("a") as file:
        file.write(ENVIRONMENTS)
    (folder / "more.yaml").write_text(
        "defaults: {env: {LOG: warn, X: d}}\napps:\n- name: web\n  env: {X: y}\n"
        "environments:\n  staging: {defaults: {env: {LOG: s, Z: z}},"
        " services: {web: {env: {X: s}}}}\n"
    )
    files = ("-f", "repos.yaml", "-f", "more.yaml", "--env", "staging")
    iac("set", "web", "Z=own", *files)
    found = json.loads(iac("list", "web", "--json", *files).stdout)["env"]
    specs = repos_file.load_entries(Path("repos.yaml"), Path("more.yaml"), environment="staging")
    assert {v["name"]: v["value"] for v in found} == specs[0].env
    assert specs[0].env == {"LOG": "s", "X": "s", "Z": "own"}


def test_a_secret_is_not_in_the_list(folder: Path, iac: Iac) -> None:
    """But in a file of its owner, byte for byte, from where a deploy and a backup take it."""
    result = iac("set", "web", "--secret", "TOKEN", stdin=f"{SECRET}\n")
    assert "s3cr" not in result.output
    assert 'TOKEN: "${TOKEN}"' in (folder / "repos.yaml").read_text()
    assert "s3cr" not in (folder / "repos.yaml").read_text()
    file = Layout(folder).stored_values("iacnet")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    lock = deployed(Layout(folder), replace(app("web"), env={"T": "${TOKEN}"}), project="iacnet")
    workspace = Workspace(Layout(folder), load_settings(folder), "iacnet", lambda _: None)
    assert env_values.secret_values(workspace, lock) == {"web": {"T": SECRET}}
    assert file in [*project_backup.paths(Layout(folder), "iacnet")]
    assert "\nNothing refers to ${TOKEN} any more" in iac("unset", "web", "TOKEN").stdout
    assert not file.exists()


def test_bytes_that_are_no_text(folder: Path, iac: Iac) -> None:
    """Are kept as they are."""
    iac("set", "web", "--secret", "TOKEN", stdin=b"\xff\x80 'x")
    assert os.fsencode(_stored(folder)["TOKEN"]) == b"\xff\x80 'x"


def test_a_name_means_one_thing(folder: Path, iac: Iac, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two services call alike are two secrets; what one of them refers to is one."""
    monkeypatch.setenv("GITHUB_TOKEN", "of the machine")
    iac("set", "web", "--secret", "TOKEN", stdin="one")
    iac("set", "jobs", "--secret", "TOKEN", stdin="two")
    iac("set", "web", "--secret", "GITHUB_TOKEN", stdin="three")
    assert _stored(folder) == {"TOKEN": "one", "JOBS_TOKEN": "two", "WEB_GITHUB_TOKEN": "three"}
    iac("set", "web", "PW=${DB_PASSWORD}")
    shared = iac("set", "jobs", "--secret", "DB_PASSWORD", stdin="four").stdout
    assert "That changes web as well.\nNext: iac deploy --file repos.yaml jobs web\n" in shared
    assert "DB_PASSWORD:" not in (folder / "repos.yaml").read_text()
    iac("set", "web", "PW=none")
    assert _stored(folder)["DB_PASSWORD"] == "four"  # jobs has it
    iac("set", "web", "TOKEN=plain")
    assert "TOKEN" not in _stored(folder)
    iac("set", "jobs", "ALIAS=${OTHER}")
    iac("set", "jobs", "--secret", "OTHER", stdin="six")  # as the error about an unset one says
    assert _stored(folder)["OTHER"] == "six"
    assert "    ALIAS:" in (folder / "repos.yaml").read_text()
    assert "    OTHER:" not in (folder / "repos.yaml").read_text()
    monkeypatch.setenv("DB_PASSWORD", "of the environment")
    refused = iac("set", "jobs", "--secret", "DB_PASSWORD", stdin="five", code=2).stderr
    assert "wins over what is stored" in refused


def test_an_environment_has_its_own(folder: Path, iac: Iac) -> None:
    """Its part of the list, and its project's file; without --env an entry is for all of them."""
    with (folder / "repos.yaml").open("a") as file:
        file.write(ENVIRONMENTS)
    iac("set", "web", "--env", "staging", "--secret", "TOKEN", "A=1", stdin="one")
    assert _stored(folder, "iacnet-staging") == {"TOKEN": "one"}
    assert "  staging:\n    services:\n      web:\n" in (folder / "repos.yaml").read_text()
    result = iac("set", "web", "A=2").stdout
    assert result.endswith(
        "Next: iac deploy --file repos.yaml --env staging web\n"
        "Next: iac deploy --file repos.yaml --env production web\n"
    )
    assert (
        "A is now what repos.yaml:6 says (entry)."
        in iac("unset", "web", "A", "TOKEN", "--env", "staging").stdout
    )
    assert (folder / "repos.yaml").read_text().endswith(ENVIRONMENTS)
    assert "which environment?" in iac("set", "web", "--secret", "T", stdin="x", code=2).stderr
    assert (
        "is not from the environment staging"
        in iac("unset", "web", "A", "--env", "staging", code=2).stderr
    )
    gone = iac("set", "jobs", "A=1", "--env", "production", code=2).stderr
    assert "jobs is no service of environment production\n  expected: one of web" in gone


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "wep", "A=1"), "expected: 'web'; of jobs, web"),
        (("set", "jobs-nightly", "A=1"), "jobs-nightly is a process of jobs"),
        (("set", "web", "PORT=1"), "cannot be changed"),
        (("set", "web", "A-B=1"), "bad variable name"),
        (("set", "web", "A"), "a variable without a value"),
        (("set", "web", "A=ghp_" + "a1" * 18), "iac env set web --secret A"),
        (("set", "web", "A=${x"), "'${' without the name"),
        (("set", "web", "--secret", "A=hidden1"), "the value of a secret is no argument"),
        (("set", "web", "--secret", "A", "--secret", "B"), "standard input is one value"),
        (("set", "web", "--secret", "A"), "nothing on standard input"),
        (("set", "web", "--secret", "PORT"), "cannot be changed"),
        (("unset", "web", "NOPE"), "web has no variable NOPE"),
        (("unset", "web", "LOG"), "repos.yaml:2: LOG is not from the entry of web"),
        (("set", "web", "A=1", "-f", "none.yaml"), "no repos file"),
    ],
)
def test_mistakes(folder: Path, iac: Iac, words: tuple[str, ...], said: str) -> None:
    """Are named with what to do, show no value, and write nothing."""
    shown = iac(*words, code=2).stderr
    assert said in shown
    assert "  next:" in shown
    assert "a1a1" not in shown
    assert "hidden1" not in shown
    assert (folder / "repos.yaml").read_text() == LIST
    assert not (folder / "secrets").exists()


def test_what_only_a_person_can_write(folder: Path, iac: Iac) -> None:
    """Nothing changes, the secret file neither."""
    text = "- slug: gh:o/a\n  env: &e\n    A: b\n- slug: gh:o/b\n  env: *e\n"
    (folder / "repos.yaml").write_text(text)
    refused = iac("set", "a", "--secret", "T", stdin="x", code=2).stderr
    assert "next:     change `T: …` of a in repos.yaml by hand" in refused
    assert (folder / "repos.yaml").read_text() == text
    assert not _stored(folder)


def test_a_disk_that_fails(folder: Path, iac: Iac, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves both files as they were."""
    iac("set", "web", "--secret", "TOKEN", stdin="old")
    before = (folder / "repos.yaml").read_text()

    def refuse(self: Path, target: Path) -> Path:
        if Path(target).name == "repos.yaml":
            raise PermissionError(13, "Permission denied", str(target))
        return self.rename(target)

    monkeypatch.setattr(Path, "replace", refuse)
    iac("set", "web", "A=1", "--secret", "TOKEN", stdin="new", code=1)
    assert (folder / "repos.yaml").read_text() == before
    assert _stored(folder) == {"TOKEN": "old"}
    assert [path.name for path in folder.glob(".repos*")] == []


def test_a_link_and_a_mode_stay(folder: Path, iac: Iac) -> None:
    """The file behind the link is changed; its mode and the mark of its encoding are kept."""
    (folder / "real.yaml").write_bytes(b"\xef\xbb\xbf- gh:o/a\r\n")
    (folder / "real.yaml").chmod(0o640)
    (folder / "link.yaml").symlink_to("real.yaml")
    iac("set", "a", "A=1", "-f", "link.yaml")
    assert (folder / "link.yaml").is_symlink()
    assert (folder / "real.yaml").read_bytes() == (
        b"\xef\xbb\xbf- slug: gh:o/a\r\n  env:\r\n    A: 1\r\n"
    )
    assert stat.S_IMODE((folder / "real.yaml").stat().st_mode) == 0o640
