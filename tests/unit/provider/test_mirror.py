"""The mirror that Terraform takes the embedded provider from, and the command that writes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provider import mirror

PLATFORM = "linux_amd64"


def _start(program: Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_terraform_hashes_is_the_same_in_every_folder(tmp_path: Path) -> None:
    """Terraform's dependency lock can be shared: the folder of a platform holds no path."""
    found = []
    for name in ("a", "b"):
        mirror.write(tmp_path / name, repair="x", platform=PLATFORM, python=Path("/py") / name)
        path = tmp_path / name / "registry.terraform.io/kreuzwerker/docker/3.6.2" / PLATFORM
        found.append({file.name: file.read_text() for file in path.iterdir()})
    assert found[0] == found[1]
    assert found[0].keys() == {"terraform-provider-docker_v3.6.2"}


def test_no_package_of_the_current_folder_comes_before_it(tmp_path: Path) -> None:
    """Terraform starts it in the user's folder, which may have its own `provider`, or `grpc`."""
    folder = tmp_path / "with space and 'quotes'"
    mirror.write(folder, repair="x", platform=PLATFORM)
    own = tmp_path / "own"
    for name in ("provider", "argparse"):
        (own / name).mkdir(parents=True)
        (own / name / "__init__.py").write_text("raise SystemExit('shadowed')")
    link = tmp_path / "elsewhere" / PLATFORM
    link.parent.mkdir()
    target = mirror.executable_path(folder, PLATFORM)
    link.symlink_to(target.parent)
    done = _start(link / target.name, own, PYTHONPATH=str(own))
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "usage: terraform-provider-docker [-h] {mirror} ...",
    )


def test_defaults_give_way_to_the_users_own_environment(tmp_path: Path) -> None:
    """A variable that is set, but empty, counts as not set."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$CLI"\n')
    python.chmod(0o755)
    mirror.write(
        tmp_path, repair="x", platform=PLATFORM, python=python, defaults={"CLI": "/a b/docker"}
    )
    program = mirror.executable_path(tmp_path, PLATFORM)
    assert _start(program, tmp_path).stdout == "/a b/docker\n"
    assert _start(program, tmp_path, CLI="").stdout == "/a b/docker\n"
    assert _start(program, tmp_path, CLI="mine").stdout == "mine\n"


def test_what_is_missing_is_a_sentence(tmp_path: Path) -> None:
    """The interpreter, or the mirror that a copy was taken from."""
    mirror.write(tmp_path, repair="install it", platform=PLATFORM, python=tmp_path / "gone")
    program = mirror.executable_path(tmp_path, PLATFORM)
    done = _start(program, tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        f"the Python of the embedded Docker provider, {tmp_path}/gone, is gone: install it\n",
    )
    (tmp_path / "launch").unlink()
    done = _start(program, tmp_path)
    assert (done.returncode, "is a copy without its mirror" in done.stderr) == (1, True)


def test_a_quote_in_the_folders_name_stays_inside_the_string(tmp_path: Path) -> None:
    assert 'a\\"b' in mirror.cli_configuration(tmp_path / 'a"b')


def test_the_readme_shows_the_configuration_that_the_command_prints() -> None:
    readme = (Path(mirror.__file__).parent / "README.md").read_text(encoding="utf-8")
    shown = readme.split("```hcl\n")[1].split("```")[0]
    assert shown in mirror.cli_configuration(Path("/opt/terraform-mirror"))


@pytest.mark.parametrize("relative", [True, False])
def test_the_command_prints_the_configuration_and_nothing_else(
    tmp_path: Path, relative: bool
) -> None:
    """Standard output can go into a file; a relative folder is written as an absolute one."""
    folder = tmp_path / "m"
    done = subprocess.run(
        [sys.executable, "-m", "provider", "mirror", "m" if relative else folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == mirror.cli_configuration(folder)
    assert f"is in {folder}" in done.stderr
    assert mirror.executable_path(folder, mirror.this_platform()).exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "provider", "mirror", tmp_path / "file" / "m"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("terraform-provider-docker: cannot write the mirror: ")
    assert "Traceback" not in done.stderr
