"""Index, proxy and CA settings reach uv and image builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.files.layout import Layout
from iac_wrapper.program import index_settings

INDEX = "https://user:p'w$d@mirror.example/simple"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "PIP_INDEX_URL": INDEX,
        "https_proxy": "http://proxy.example:3128",
    }


def test_a_shell_reads_back_exactly_what_was_set(tmp_path: Path, environ: dict[str, str]) -> None:
    layout = Layout(tmp_path)
    index_settings.write_build_secrets(layout.build_secrets, environ)
    script = f'. "{layout.build_secrets}/env"; printf "%s|%s" "$UV_DEFAULT_INDEX" "$https_proxy"'
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == f"{INDEX}|http://proxy.example:3128"


def test_the_files_are_private(tmp_path: Path, environ: dict[str, str]) -> None:
    layout = Layout(tmp_path)
    index_settings.write_build_secrets(layout.build_secrets, environ)
    modes = {p.name: p.stat().st_mode & 0o777 for p in layout.build_secrets.iterdir()}
    assert modes == {"ca": 0o600, "env": 0o600}


def test_a_folder_that_was_there_is_closed(tmp_path: Path, environ: dict[str, str]) -> None:
    layout = Layout(tmp_path)
    layout.build_secrets.mkdir(parents=True, mode=0o755)
    index_settings.write_build_secrets(layout.build_secrets, environ)
    assert layout.build_secrets.stat().st_mode & 0o7777 == 0o700


def test_the_setting_wins_over_the_variables(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.pem", tmp_path / "theirs.pem"
    mine.write_text("mine")
    theirs.write_text("theirs")
    environ = {"PIP_CERT": str(theirs)}
    assert index_settings.find_ca_bundle(environ, str(mine)) == mine
    assert index_settings.find_ca_bundle(environ, "") == theirs


def test_a_variable_that_names_no_file_is_passed_over(tmp_path: Path) -> None:
    system = tmp_path / "system.pem"
    system.write_text("system")
    found = index_settings.find_ca_bundle({"SSL_CERT_FILE": "/nowhere"}, "", [system])
    assert found == system


def test_a_setting_that_names_no_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match="IAC_CA_BUNDLE: no such CA bundle"):
        index_settings.find_ca_bundle({}, "/nowhere/ca.pem")


def test_without_any_bundle_the_secret_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_settings, "find_ca_bundle", lambda *_: None)
    index_settings.write_build_secrets(tmp_path / "build", {"HOME": str(tmp_path)})
    assert (tmp_path / "build" / "ca").read_bytes() == b""


def test_pip_learns_the_index_that_only_uv_was_told(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "UV_DEFAULT_INDEX": INDEX}
    assert index_settings.build_variables(environ)["PIP_INDEX_URL"] == INDEX


def test_uvs_older_variable_is_not_doubled(environ: dict[str, str]) -> None:
    chosen = index_settings.build_variables({**environ, "UV_INDEX_URL": "https://other.example"})
    assert "UV_DEFAULT_INDEX" not in chosen


def test_find_links_never_reaches_a_build(environ: dict[str, str]) -> None:
    chosen = index_settings.build_variables({**environ, "PIP_FIND_LINKS": "/opt/wheels"})
    assert "PIP_FIND_LINKS" not in chosen


@pytest.mark.parametrize("by", ["variable", "file"])
def test_further_indexes_mean_what_pip_means(tmp_path: Path, by: str) -> None:
    """uv reads none of pip's settings, and would take the first index that has a package."""
    environ = {"HOME": str(tmp_path)}
    if by == "variable":
        environ |= {"PIP_EXTRA_INDEX_URL": "https://a.test https://b.test"}
        environ |= {"PIP_TRUSTED_HOST": "a.test"}
    else:
        config = tmp_path / "pip.conf"
        text = "[global]\nextra-index-url =\n  https://a.test\n  https://b.test\n"
        config.write_text(f"{text}trusted-host = a.test\n")
        environ |= {"PIP_CONFIG_FILE": str(config)}
    chosen = index_settings.build_variables(environ)
    assert chosen["UV_INDEX"] == "https://a.test https://b.test"
    assert chosen["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert chosen["UV_INSECURE_HOST"] == "a.test"
    own = index_settings.build_variables({**environ, "UV_INDEX_STRATEGY": "first-index"})
    assert own["UV_INDEX_STRATEGY"] == "first-index"


def test_who_one_is_at_an_index_reaches_the_build(environ: dict[str, str]) -> None:
    named = {"UV_INDEX_INTERNAL_USERNAME": "me", "UV_INDEX_INTERNAL_PASSWORD": "sentinel"}
    assert named.items() <= index_settings.build_variables({**environ, **named}).items()


def test_the_index_in_pips_files(tmp_path: Path) -> None:
    site, user = tmp_path / "site.conf", tmp_path / "user.conf"
    site.write_text("[global]\nindex-url = https://site.example\n")
    user.write_text("[global]\nindex-url = https://user.example/100%\n")
    assert index_settings.pip_setting({}, "index-url", [site, user]) == "https://user.example/100%"
    assert index_settings.pip_setting({}, "index-url", [tmp_path / "none"]) is None


def test_pips_own_config_file_variable_is_read(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[install]\nindex-url = https://install.example\n")
    environ = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(config)}
    assert index_settings.pip_setting(environ, "index-url") == "https://install.example"


def test_a_broken_pip_file_is_pips_business(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("index-url without a section")
    assert index_settings.pip_setting({}, "index-url", [broken]) is None


def test_uv_is_told_index_and_bundle(tmp_path: Path, environ: dict[str, str]) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("pem")
    assert index_settings.uv_environment(environ, str(bundle)) == {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_DEFAULT_INDEX": INDEX,
        "SSL_CERT_FILE": str(bundle),
    }
