"""Every make target explains itself."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROMISED = (
    "bootstrap demo proto schema plan apply destroy "
    "test test-all test-cov e2e-test interop reliability bench lint fmt dev install lock"
)


def test_make_alone_lists_every_target() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT], capture_output=True, text=True, check=True
    )
    listed = set(re.findall(r"^  make (\S+)", done.stdout, re.MULTILINE))
    assert set(PROMISED.split()) <= listed


def test_every_target_exists_as_a_rule_that_can_be_planned() -> None:
    """`make -n` runs nothing, and fails for a target without a rule."""
    for target in PROMISED.split():
        subprocess.run(
            ["make", "--dry-run", "-C", ROOT, target], stdout=subprocess.DEVNULL, check=True
        )


def test_the_demo_names_its_project() -> None:
    """What it says to do next is about the project that it deployed."""
    for words, named in (([], ""), (["PROJECT=x"], " --project x")):
        said = _dry_run("demo", *words)
        for verb in ("status", "logs flask-app", "destroy"):
            assert re.search(rf"iac {verb}{named}[,;]", said), said


def test_apply_removes_only_on_request() -> None:
    """The cdktf CLI is told to approve all, so the step before it must ask; a plan need not."""
    assert not re.search("iac lock .*--prune", _dry_run("apply"))
    assert re.search("iac lock .*--prune", _dry_run("apply", "PRUNE=1"))
    assert re.search("iac lock .*--prune", _dry_run("plan"))


def test_an_environment_and_several_files_reach_both_steps() -> None:
    """The lock that is written is the one that the cdktf CLI reads."""
    said = _dry_run("apply", "FILE=a.yaml b.yaml", "ENVIRONMENT=staging")
    assert "iac lock --file a.yaml --file b.yaml --env staging" in said
    assert re.search(r"IAC_LOCK_FILE=a\.staging\.lock\.json .* --env staging deploy", said)
    assert "iac destroy --yes --env staging" in _dry_run("destroy", "ENVIRONMENT=staging")


def _dry_run(*words: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "IAC_PROJECT"}
    command = ["make", "--dry-run", "-C", str(ROOT), *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment
    ).stdout


def test_tests_find_bootstraps_terraform_first() -> None:
    """A machine may have none on PATH."""
    done = subprocess.run(
        ["make", "--dry-run", "-C", ROOT, "test-cov"], capture_output=True, text=True, check=True
    )
    (line,) = (line for line in done.stdout.splitlines() if "htmlcov" in line or "--cov" in line)
    assert f' PATH="{ROOT}/.iac/bin:$PATH" ' in line


def _locks() -> list[Path]:
    own = ROOT / "iac_wrapper" / "bootstrap"
    return [*ROOT.glob("requirements*.txt"), *own.glob("*requirements*.txt")]


def test_the_locks_name_no_index() -> None:
    """A lock must hold for a mirror too, and hashes make the place irrelevant."""
    for path in [*_locks(), *ROOT.glob("runner/*requirements.txt")]:
        assert "://" not in path.read_text(), path.name
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text()


def test_every_locked_package_has_a_hash() -> None:
    for path in _locks():
        pins = re.findall(r"^[a-z0-9][^\n]*==[^\n]*$", path.read_text(), re.MULTILINE)
        assert pins
        assert all(pin.endswith("\\") for pin in pins), path.name
