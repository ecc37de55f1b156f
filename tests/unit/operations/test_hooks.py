"""Hooks of a project: real programs, a real ledger; what runs when, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iac_wrapper.errors import CommandError, ConfigError, IacError
from iac_wrapper.model.event import Event
from iac_wrapper.model.ledger import Caller, Verdict, entries
from iac_wrapper.model.lock import LockFile
from iac_wrapper.operations import hook_files, hooks, recording
from iac_wrapper.operations.hooks import HookError, hooked
from iac_wrapper.operations.recording import Release
from iac_wrapper.operations.workspace import Workspace
from iac_wrapper.settings import load_settings
from tests.support.deployed import app, deployed

TELLS = """#!/bin/sh
name=$(basename "$0")
cat > "$name.json"
echo "$name of $IAC_PROJECT"
"""
"""Keeps what it is told in the list's folder, and says something."""


LOCK = LockFile("demo", "iacnet-demo", "172.20.0.0/16", 1, (app("web"),))


def _hook(folder: Path, name: str, text: str = TELLS, mode: int = 0o755) -> Path:
    path = folder / "hooks" / name
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _all(folder: Path) -> None:
    for name in hook_files.HOOKS:
        _hook(folder, name)


def _with(workspace: Workspace, **said: str) -> Workspace:
    environment = {**workspace.settings.environment, **said}
    return replace(workspace, settings=load_settings(workspace.layout.root, environment))


@contextmanager
def _release(workspace: Workspace, beside: Path | None = None) -> Iterator[Release]:
    """As a deploy does it: the block is what it changes."""
    with (
        hooked(workspace, "deploy", beside) as (release, own),
        workspace.hold("iac deploy"),
        release.recorded(),
    ):
        own.start(LOCK)
        deployed(workspace.layout, *LOCK.apps)
        release.plan_hash, release.moved = "a" * 64, ["web"]
        yield release


def _ran(workspace: Workspace) -> list[dict[str, Any]]:
    """What the ledger says of the hooks of the last release."""
    known = entries(recording.ledger_of(workspace).read().lines)
    return list(known[-1].facts.get("hooks", ())) if known else []


def _told(folder: Path, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return told


def test_hooks_are_told_what_is_done(
    workspace: Workspace, tmp_path: Path, events: list[Event]
) -> None:
    """Before: what is to be deployed; after: how it went. They run in the list's folder, the second
    one with the project free, and what they say is shown and kept."""
    _all(tmp_path)
    _hook(tmp_path, "post-deploy", TELLS + "test -s .iac/projects/demo/workspace.lock || echo free")
    with _release(workspace):
        before = _told(tmp_path, "pre-deploy")
    after = _told(tmp_path, "post-deploy")
    assert (before["hook"], before["schema"], before["project"]) == ("pre-deploy", 1, "demo")
    assert (before["operation"], before["release"], before["verdict"]) == ("deploy", 1, "running")
    assert before["by"]["uid"] == os.getuid()
    assert before["services"] == [{"name": "web", "commit": "a" * 40}]
    assert (before["plan"], before["seconds"], before["ended"]) == (None, None, None)
    assert (after["verdict"], after["plan"], after["moved"]) == ("good", "a" * 64, ["web"])
    assert after["seconds"] >= 0
    assert before.keys() == after.keys()
    first, second = _ran(workspace)
    assert (first["hook"], first["exit_code"]) == ("pre-deploy", 0)
    assert first["output"] == "pre-deploy of demo"
    assert second["output"] == "post-deploy of demo\nfree"
    assert "fault" not in {**first, **second}
    assert [(event.kind, event.message) for event in events] == [
        ("step", "Hook pre-deploy"),
        ("progress", "pre-deploy: pre-deploy of demo"),
        ("step", "Hook post-deploy"),
        ("progress", "post-deploy: post-deploy of demo"),
        ("progress", "post-deploy: free"),
    ]


def test_pre_deploy_can_stop_it(workspace: Workspace, tmp_path: Path) -> None:
    """Before anything changes; the error has what it said, and on-failure is told of it."""
    _all(tmp_path)
    _hook(tmp_path, "pre-deploy", "#!/bin/sh\necho tests are red >&2\nexit 3\n")
    changed = False
    with pytest.raises(HookError) as caught, _release(workspace):
        changed = True
    assert not changed
    error = caught.value
    assert (error.exit_code, error.found, error.detail) == (5, "exited with 3", "tests are red")
    told = _told(tmp_path, "on-failure")
    assert (told["verdict"], told["error"]["error"]) == ("failed", "HookError")
    assert [each["exit_code"] for each in _ran(workspace)] == [3, 0]
    assert not (tmp_path / "post-deploy.json").exists()


@pytest.mark.parametrize(
    ("error", "verdict"), [(CommandError("x"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_on_failure_is_told_of_errors_and_interrupts(
    workspace: Workspace, tmp_path: Path, error: BaseException, verdict: Verdict
) -> None:
    """And the error goes on."""
    _all(tmp_path)
    with pytest.raises(type(error)), _release(workspace):
        raise error
    assert _told(tmp_path, "on-failure")["verdict"] == verdict


@pytest.mark.parametrize(
    ("verdict", "hook"),
    [("unhealthy", "on-failure"), ("unproven", "post-deploy"), ("good", "post-deploy")],
)
def test_the_verdict_chooses_the_hook(
    workspace: Workspace, tmp_path: Path, verdict: Verdict, hook: str
) -> None:
    """One of the two. A failure of it is a warning."""
    _all(tmp_path)
    _hook(tmp_path, hook, "#!/bin/sh\nexit 1\n")
    events: list[Event] = []
    with _release(replace(workspace, emit=events.append)) as release:
        release.end(verdict)
    assert [each["hook"] for each in _ran(workspace)] == ["pre-deploy", hook]
    warnings = [event.message for event in events if event.kind == "warning"]
    assert warnings == [f"the hook {hook} exited with 1; release 1 stays {verdict}"]


def test_output_is_bounded_and_masked(workspace: Workspace, tmp_path: Path) -> None:
    """In the ledger the end of it, on the terminal the beginning; no secret in either."""
    folder = workspace.layout.env_files("demo", "web")
    folder.mkdir(parents=True)
    (folder / "KEY").write_text("sentinel-value-1")
    script = "#!/bin/sh\nseq 100000\nhead -c 3000000 /dev/zero | tr '\\0' x\n"
    _hook(tmp_path, "pre-deploy", f"{script}\nprintf '\\nsentinel-value-1 \\033[2J end'")
    events: list[Event] = []
    with _release(replace(workspace, emit=events.append)):
        pass
    (ran,) = _ran(workspace)
    assert ran["output"].endswith("x…\n[redacted]  end")
    assert len(ran["output"]) == hooks.KEPT_CHARACTERS
    shown = [event.message for event in events]
    assert shown[1] == "pre-deploy: 1"
    assert shown[-1] == "pre-deploy: … (`iac show` has the end of it)"
    assert len(shown) == 1 + hooks.SHOWN_LINES + 1


def test_a_hook_that_takes_too_long_is_ended_with_all_it_started(
    workspace: Workspace, tmp_path: Path
) -> None:
    """One that leaves something behind in the background is not waited for."""
    _hook(tmp_path, "pre-deploy", "#!/bin/sh\nsleep 600 &\necho $! > left\n")
    began = time.monotonic()
    with _release(workspace):
        pass
    assert time.monotonic() - began < 5
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
    _hook(tmp_path, "pre-deploy", "#!/bin/sh\nsleep 600 & echo $! > left\nwait\n")
    with pytest.raises(HookError) as caught, _release(_with(workspace, IAC_HOOK_TIMEOUT="1")):
        pass
    assert caught.value.found == "did not end within 1 s (IAC_HOOK_TIMEOUT) and was ended"
    stat = Path("/proc") / (tmp_path / "left").read_text().strip() / "stat"
    assert not stat.exists() or ") Z " in stat.read_text()


def test_ctrl_c_ends_a_hook(workspace: Workspace, tmp_path: Path) -> None:
    """The release is interrupted, the ledger says that the hook was."""
    _hook(tmp_path, "pre-deploy", "#!/bin/sh\nexec sleep 600\n")
    _hook(tmp_path, "on-failure")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), _release(workspace):
        pass
    first, second = _ran(workspace)
    assert (first["fault"], first["exit_code"]) == ("was interrupted", None)
    assert (second["hook"], second["exit_code"]) == ("on-failure", 0)


def test_a_hook_need_not_read_what_it_is_told(workspace: Workspace, tmp_path: Path) -> None:
    """More than a pipe holds."""
    _hook(tmp_path, "pre-deploy", "#!/bin/sh\nexec <&-\nexit 0\n")
    many = [app(f"s{number}") for number in range(1500)]
    with hooked(workspace, "deploy") as (release, own), release.recorded():
        own.start(replace(LOCK, apps=tuple(many)))
    assert [each["exit_code"] for each in _ran(workspace)] == [0]


def _world(folder: Path) -> None:
    _hook(folder, "pre-deploy", mode=0o757)


def _group_folder(folder: Path) -> None:
    _hook(folder, "pre-deploy").parent.chmod(0o775)


def _group_list(folder: Path) -> None:
    _hook(folder, "on-failure")
    folder.chmod(0o770)


def _not_executable(folder: Path) -> None:
    _hook(folder, "post-deploy", mode=0o644)


def _link_out(folder: Path) -> None:
    (folder / "hooks").mkdir()
    (folder / "hooks" / "pre-deploy").symlink_to("/bin/true")


def _folder_out(folder: Path) -> None:
    other = folder.parent / "elsewhere"
    other.mkdir()
    _hook(other, "pre-deploy")
    (folder / "hooks").symlink_to(other / "hooks")


def _link_nowhere(folder: Path) -> None:
    (folder / "hooks").mkdir()
    (folder / "hooks" / "pre-deploy").symlink_to("nothing")


def _circle(folder: Path) -> None:
    (folder / "hooks").mkdir()
    (folder / "hooks" / "pre-deploy").symlink_to("pre-deploy")


def _is_folder(folder: Path) -> None:
    (folder / "hooks" / "pre-deploy").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "found", "step"),
    [
        (_world, "others can write", "chmod go-w"),
        (_group_folder, "others can write", "chmod go-w"),
        (_group_list, "others can write", "chmod go-w"),
        (_not_executable, "not executable", "chmod +x"),
        (_link_out, "a link to /", "put a program there that calls it"),
        (_folder_out, "a link to /", "put a program there that calls it"),
        (_link_nowhere, "nothing that is there", "correct or remove"),
        (_circle, "nothing that is there", "correct or remove"),
        (_is_folder, "a folder", "correct or remove"),
    ],
)
def test_what_others_could_change_is_not_run(
    workspace: Workspace, tmp_path: Path, make: Any, found: str, step: str
) -> None:
    """Nor what cannot be run: known before the release begins; IAC_HOOKS=off does without."""
    make(tmp_path)
    with pytest.raises(ConfigError) as caught, _release(workspace):
        pass
    assert (caught.value.found or "").startswith(found)
    assert (caught.value.next_step or "").startswith(step)
    assert _ran(workspace) == []
    with _release(_with(workspace, IAC_HOOKS="off")):
        pass
    assert _ran(workspace) == []
    assert not (tmp_path / "pre-deploy.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_whose_hooks_are_run(workspace: Workspace, tmp_path: Path) -> None:
    """Who runs the server of the API runs no hook of another user, whoever asks; the command line
    under sudo runs those of who called it."""
    os.chown(_hook(tmp_path, "pre-deploy"), 4711, -1)
    by_sudo = _with(workspace, SUDO_UID="4711")
    for one in (workspace, replace(by_sudo, caller=Caller("api", "uid:4711"))):
        with pytest.raises(ConfigError) as caught, _release(one):
            pass
        assert "is of uid 4711" in (caught.value.found or "")
    with _release(by_sudo):
        pass
    assert [each["exit_code"] for each in _ran(workspace)] == [0]


def test_a_program_without_a_first_line_says_so(workspace: Workspace, tmp_path: Path) -> None:
    """The kernel cannot start it."""
    _hook(tmp_path, "pre-deploy", "echo hello\n")
    with pytest.raises(HookError) as caught, _release(workspace):
        pass
    assert "does it begin with #!/bin/sh" in (caught.value.found or "")


def test_hooks_lie_beside_the_list(workspace: Workspace, tmp_path: Path) -> None:
    """Of a deploy of a list beside that; of all else beside the list that was deployed last, as far
    as it is there; a name that is nearly a hook's is said."""
    folder = tmp_path / "lists"
    folder.mkdir(mode=0o755)
    _hook(folder, "pre-deploy")
    _hook(folder, "post_deploy.sh")
    _hook(folder, "on-failure.sample")
    events: list[Event] = []
    with _release(replace(workspace, emit=events.append), folder) as release:
        path = folder / "repos.lock.json"
        path.write_text(
            json.loads(workspace.layout.state("demo").read_text())["outputs"]["lock"]["value"]
        )
    assert [each["path"] for each in _ran(workspace)] == [str(folder / "hooks" / "pre-deploy")]
    warnings = [event.message for event in events if event.kind == "warning"]
    assert warnings == [
        f"{folder}/hooks/post_deploy.sh is no hook: these are named pre-deploy, post-deploy,"
        " on-failure"
    ]
    with _release(workspace) as release:  # nobody said which list it was
        pass
    assert _ran(workspace) == []
    with recording.release(workspace, "deploy") as release:
        release.of = {"lock_file": str(path)}
        release.start()
    with _release(workspace):
        pass
    assert len(_ran(workspace)) == 1


def test_what_never_began_has_no_hooks(workspace: Workspace, tmp_path: Path) -> None:
    """A refusal is no release."""
    _all(tmp_path)
    with (
        pytest.raises(IacError),
        hooked(workspace, "deploy") as (release, _own),
        release.recorded(),
    ):
        raise CommandError("refused")
    assert not list(tmp_path.glob("*.json"))
