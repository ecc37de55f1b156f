"""`iac detect` as people type it: in any folder, without an engine, a project or a set-up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iac_wrapper import cli
from iac_wrapper.files import machine_home
from iac_wrapper.files.host import Host, PythonBase, save_host
from iac_wrapper.files.machine_home import MachineHome
from tests.support.git_server import GitServer

SHOP = {
    "shop.py": "from flask import Flask\napp = Flask(__name__)\n",
    "requirements.txt": "flask\ngunicorn\n",
    ".python-version": "3.12\n",
    "Procfile": "web: gunicorn shop:app\nworker: python jobs.py\n",
    "jobs.py": "import time\nwhile True:\n    time.sleep(1)\n",
}

RANGE = "[project]\nname = 'app'\nversion = '1'\nrequires-python = '>=3.11'\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no project, on a machine that is not set up and has no engine."""
    monkeypatch.setenv("IAC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setattr(machine_home, "checkout", lambda *_: None)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _iac(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli.main, list(arguments))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_each_choice_has_its_reason_and_its_losers(folder: Path) -> None:
    """In text for people; nothing is written beside the code."""
    shop = _write(folder / "shop", SHOP)
    before = sorted(shop.rglob("*"))

    lines = _iac("detect", "shop").stdout.splitlines()

    shown = {line[:14].strip(): line[14:] for line in lines if line[0] != " "}
    assert shown["source"] == "shop, as it is on disk"
    assert shown["tree"].startswith("sha256:")
    assert shown["program"] == "gunicorn shop:app"
    assert shown["purpose"] == "web"
    assert shown["port"] == "50051"
    assert shown["python"] == "3.12"
    assert shown["dependencies"] == "requirements.txt"
    text = "\n".join(line.strip() for line in lines)
    assert "web: in the Procfile" in text
    assert text.count(".python-version asks for it") == 1
    assert shown["besides"] == "none"
    assert "Procfile: worker: python jobs.py is not run" in text
    assert "this machine is not set up yet: Python 3." in text
    assert sorted(shop.rglob("*")) == before


def test_the_folder_itself_is_the_default(folder: Path) -> None:
    """Also in JSON, where a value that there is none of is null."""
    _write(folder, {"main.py": "print('once')\n", "other.py": "def main():\n    pass\n"})

    data = json.loads(_iac("detect", "--json").stdout)

    assert data["name"] == "work"
    assert data["commit"] is None
    assert data["program"]["value"] == "main.py"
    assert data["program"]["reason"]
    assert data["purpose"]["value"] == "unknown"
    assert data["dependencies"]["value"].startswith("none")


def test_a_slug_has_its_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Fetched once: the second time the cache has it."""
    with GitServer(tmp_path / "git") as server:
        commit = server.repository("acme/shop").commit(SHOP)
        monkeypatch.setenv("IAC_GITHUB_URL", server.url)
        data = json.loads(_iac("detect", "gh:acme/shop", "--json").stdout)
        again = json.loads(_iac("detect", f"gh:acme/shop#{commit}", "--json").stdout)
    assert (data["commit"], data["slug"]) == (commit, "gh:acme/shop")
    assert again["tree"] == data["tree"]
    cached = list((tmp_path / "home").rglob("source.json"))
    assert len(cached) == 1


def test_the_dockerfile_is_what_would_be_built(folder: Path) -> None:
    """Alone on stdout, to be piped into a file."""
    _write(folder / "shop", SHOP)
    text = _iac("detect", "shop", "--dockerfile").stdout
    assert text.startswith("FROM iac/runtime:3.12")
    assert '"gunicorn", "--", "shop:app"' in text
    assert "requirements.txt" in text


def test_a_set_up_machine_is_asked_instead(folder: Path, tmp_path: Path) -> None:
    """Its own base images count, and then nothing is assumed."""
    bases = {"3.11": PythonBase("python:3.11-slim", "iac/runtime:3.11-0123456789ab")}
    known = Host("docker", "terraform", "node", "embedded", "iac/envoy:1", bases)
    save_host(known, MachineHome(tmp_path / "home"))
    _write(folder / "app", {"main.py": "print()\n"})
    assert json.loads(_iac("detect", "app", "--json").stdout)["notes"] == []
    assert "iac/runtime:3.11-0123456789ab" in _iac("detect", "app", "--dockerfile").stdout


def test_a_python_that_a_deploy_would_make_is_named(folder: Path, tmp_path: Path) -> None:
    """As a deploy chooses it, from what was offered; nothing is made."""
    home = MachineHome(tmp_path / "home")
    bases = {"3.11": PythonBase("python:3.11-slim", "iac/runtime:3.11-0123456789ab")}
    save_host(Host("docker", "terraform", "node", "embedded", "iac/envoy:1", bases), home)
    answer = {"mode": "auto", "asked": int(time.time()), "offered": ["3.13", "3.11"]}
    (home.data / "pythons.json").write_text(json.dumps(answer))
    _write(folder / "app", {"main.py": "print()\n", "pyproject.toml": RANGE})

    data = json.loads(_iac("detect", "app", "--json").stdout)

    assert data["python"]["value"] == "3.13"
    assert "iac/runtime:3.13" in _iac("detect", "app", "--dockerfile").stdout


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({"README": "nothing"}, 3, ["nothing to run", "next:"]),
        ({"main.py": "def main(:\n"}, 3, ["cannot be read as Python", "main.py:1", "next:"]),
        (
            {
                "main.py": "print()",
                "pyproject.toml": "[project]\nname='x'\nrequires-python='>=4'\n",
            },
            3,
            ["requires-python", "next:"],
        ),
        ({"main.py": "print()", "pyproject.toml": "["}, 3, ["not valid TOML", "next:"]),
    ],
)
def test_a_refusal_is_that_of_a_deploy(
    folder: Path, files: dict[str, str], code: int, words: list[str]
) -> None:
    """With exit code and next command, also in JSON."""
    _write(folder / "app", files)
    result = _iac("detect", "app", code=code)
    for word in words:
        assert word in result.stderr, result.stderr
    error = json.loads(_iac("detect", "app", "--json", code=code).stdout)["error"]
    assert error["next_step"]


@pytest.mark.parametrize("target", ["nowhere", "./nowhere", "image:postgres:17"])
def test_what_is_no_source_is_said(folder: Path, target: str) -> None:
    """Neither a folder nor a slug, a folder that is missing, an image."""
    code = 3 if target == "./nowhere" else 2
    assert "next:" in _iac("detect", target, code=code).stderr


def test_a_key_that_names_no_file_is_named_once(folder: Path) -> None:
    """The place of the error reads as one."""
    entry = "- slug: ./shop\n  dependencies: other.txt\n"
    _write(folder, {"repos.yaml": entry})
    _write(folder / "shop", SHOP)
    said = _iac("detect", "--file", "repos.yaml", code=3).stderr
    assert "repos.yaml:1: shop: dependencies: there is no such file to install from" in said


ENTRIES = """
- slug: ./shop
  name: counter
  entrypoint: jobs.py
  port: 8080
  processes: {worker: python jobs.py}
- slug: ./other
  build: dockerfile
"""


def test_an_entry_of_a_file_counts_as_it_is_written(folder: Path) -> None:
    """Its entrypoint, its port, and its processes, which are no longer said to be left out."""
    _write(folder, {"repos.yaml": ENTRIES, "other/Dockerfile": "FROM scratch\n"})
    _write(folder / "shop", SHOP)

    data = json.loads(_iac("detect", "counter", "--file", "repos.yaml", "--json").stdout)

    assert data["program"]["value"] == "jobs.py"
    assert "in repos.yaml" in data["program"]["reason"]
    assert any("Procfile: web" in loser for loser in data["program"]["rejected"])
    assert (data["port"]["value"], data["purpose"]["value"]) == ("8080", "web")
    assert data["counter-worker"]["value"] == "jobs.py"
    assert not any("worker" in note for note in data["notes"])
    own = _iac("detect", "other", "--file", "repos.yaml", "--dockerfile").stdout
    assert own == "FROM scratch\n"
    several = _iac("detect", "--file", "repos.yaml", code=2).stderr
    assert "iac detect counter --file repos.yaml" in several
    assert (
        "counter, counter-worker, other"
        in _iac("detect", "none", "--file", "repos.yaml", code=2).stderr
    )


def test_a_dockerfile_says_what_it_starts(folder: Path) -> None:
    """As far as its text does: else the image that it is built on knows."""
    text = 'FROM python:3.13\nENTRYPOINT ["uvicorn", "a:app"]\nCMD ["--port", "80"]\n'
    _write(folder, {"repos.yaml": ENTRIES, "other/Dockerfile": text})
    arguments = ("detect", "other", "--file", "repos.yaml", "--json")
    program = json.loads(_iac(*arguments).stdout)["program"]
    assert program["value"] == "uvicorn a:app --port 80"
    assert program["reason"] == "ENTRYPOINT and CMD of Dockerfile: `build:` in repos.yaml"
    _write(folder, {"other/Dockerfile": "FROM nginx\nCOPY . .\n"})
    assert json.loads(_iac(*arguments).stdout)["program"]["value"] is None


def test_one_output_at_a_time(folder: Path) -> None:
    """Options that contradict one another, or have no meaning alone, are refused."""
    assert "one output" in _iac("detect", "--json", "--dockerfile", code=2).stderr
    assert "--env needs --file" in _iac("detect", "--env", "prod", code=2).stderr
