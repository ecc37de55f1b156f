"""Which version a build is told, and by what."""

from __future__ import annotations

from pathlib import Path

import pytest

from iac_wrapper.program.vcs_version import vcs_version
from iac_wrapper.sources.description import Description

SHA = "abcdef0123456789abcdef0123456789abcdef01"
BUILD = '[build-system]\nrequires = ["{0}"]\nbuild-backend = "x"\n'
DYNAMIC = '[project]\nname = "shop.web"\ndynamic = ["version"]\n'
SCM = BUILD.format("setuptools-scm[toml]>=8") + DYNAMIC
SCM_VARIABLE = "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SHOP_WEB"


def told(root: Path, found: Description, **files: str) -> dict[str, str]:
    for name, text in files.items():
        (root / name.replace("_toml", ".toml").replace("_py", ".py")).write_text(text)
    return dict(vcs_version(root, lambda: found).variables)


@pytest.mark.parametrize(
    ("found", "version"),
    [
        (Description("v1.2.3", 0, SHA), "1.2.3"),
        (Description("release-1.2", 0, SHA), "1.2"),
        (Description("shop/v1.2", 0, SHA), "1.2"),
        (Description("2026.11.28", 0, SHA), "2026.11.28"),
        (Description("v1.2.3", 5, SHA), "1.2.4.dev5+gabcdef012"),
        (Description("v1.0rc1", 5, SHA), "1.0rc2.dev5+gabcdef012"),
        (Description("v1.2.3", 0, SHA, dirty=True), "1.2.4.dev0+gabcdef012.dirty"),
        (Description("nightly-x86", 5, SHA), "0.0.0+gabcdef012"),
        (Description(None, 0, SHA), "0.0.0+gabcdef012"),
        (Description(), "0.0.0"),
    ],
)
def test_a_tag_becomes_a_version(tmp_path: Path, found: Description, version: str) -> None:
    """What stands before the number goes; between tags the next one is guessed."""
    assert told(tmp_path, found, pyproject_toml=SCM) == {SCM_VARIABLE: version}


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        (
            {"setup_py": "setup(name='shop', use_scm_version=True)\n"},
            {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SHOP": "1.2.4.dev5+gabcdef012"},
        ),
        (
            {"pyproject_toml": BUILD.format("hatch-vcs") + DYNAMIC},
            {"SETUPTOOLS_SCM_PRETEND_VERSION": "1.2.4.dev5+gabcdef012"},
        ),
        (
            {"pyproject_toml": BUILD.format("uv-dynamic-versioning") + DYNAMIC},
            {"UV_DYNAMIC_VERSIONING_BYPASS": "1.2.3.post5.dev0+abcdef012"},
        ),
        (
            {
                "pyproject_toml": BUILD.format("poetry-dynamic-versioning")
                + "[tool.poetry-dynamic-versioning]\nenable = true\n"
            },
            {"POETRY_DYNAMIC_VERSIONING_BYPASS": "1.2.3.post5.dev0+abcdef012"},
        ),
        (
            {
                "pyproject_toml": BUILD.format("pdm-backend")
                + DYNAMIC
                + "[tool.pdm.version]\nsource = 'scm'\n"
            },
            {"PDM_BUILD_SCM_VERSION": "1.2.4.dev5+gabcdef012"},
        ),
        ({"setup_py": "setup(pbr=True)\n"}, {"PBR_VERSION": "1.2.4.dev5"}),
        ({"pyproject_toml": SCM.replace("dynamic", "version = '1'\ndynamic")}, {}),
        ({"pyproject_toml": BUILD.format("hatchling") + DYNAMIC}, {}),
        ({"setup_py": "setup(name='shop', version='1')\n"}, {}),
    ],
)
def test_each_backend_reads_its_own(
    tmp_path: Path, files: dict[str, str], variables: dict[str, str]
) -> None:
    """A variable is set only for a backend that the project has, and that would ask git."""
    assert told(tmp_path, Description("v1.2.3", 5, SHA), **files) == variables


def test_a_member_of_a_workspace_is_told_too(tmp_path: Path) -> None:
    """Each by its own name."""
    (tmp_path / "packages" / "web").mkdir(parents=True)
    (tmp_path / "packages" / "web" / "pyproject.toml").write_text(SCM)
    assert told(tmp_path, Description("v1", 0, SHA), pyproject_toml="[project]\n") == {
        SCM_VARIABLE: "1"
    }


def test_versioningit_reads_a_file(tmp_path: Path) -> None:
    """It knows no variable."""
    (tmp_path / "pyproject.toml").write_text(BUILD.format("versioningit") + DYNAMIC)
    found = vcs_version(tmp_path, lambda: Description("v1.2.3", 5, SHA))
    assert (found.variables, found.pkg_info) == ((), "1.2.3.post5+gabcdef012")


def test_git_is_not_asked_for_nothing(tmp_path: Path) -> None:
    """The history of a repository may be large."""

    def asked() -> Description:
        raise AssertionError

    (tmp_path / "pyproject.toml").write_text(BUILD.format("setuptools"))
    assert vcs_version(tmp_path, asked).said == ""


def test_a_version_without_a_tag_is_said(tmp_path: Path) -> None:
    """Nobody must take it for a release."""
    (tmp_path / "pyproject.toml").write_text(SCM)
    found = vcs_version(tmp_path, lambda: Description(sha=SHA))
    assert found.notes == (
        "version 0.0.0+gabcdef012: no tag with a version leads to commit abcdef012",
    )
    tagged = vcs_version(tmp_path, lambda: Description("v1", 0, SHA))
    assert (tagged.said, tagged.notes) == ("version 1 (tag v1)", ())
