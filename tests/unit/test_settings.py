from __future__ import annotations

import os
from pathlib import Path

import pytest

from iac_wrapper import settings
from iac_wrapper.errors import ConfigError
from iac_wrapper.files import env_text

_ROOT = Path(__file__).resolve().parents[2]


def test_environment_wins_over_file_over_default(tmp_path: Path) -> None:
    """The process environment beats `.env`, which beats the default; empty counts as not set."""
    (tmp_path / ".env").write_text("IAC_PROJECT=fromfile\nIAC_MEMORY_MB=64\nIAC_PROVIDER=\n")
    loaded = settings.load_settings(tmp_path, {"IAC_PROJECT": "fromenv", "IAC_MEMORY_MB": ""})
    assert (loaded.project, loaded.memory_mb, loaded.provider) == ("fromenv", 64, "auto")


def test_the_environment_for_references_is_the_merged_one(tmp_path: Path) -> None:
    """`${NAME}` references see `.env` and the environment."""
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    loaded = settings.load_settings(tmp_path, {"A": "process"})
    assert (loaded.environment["A"], loaded.environment["B"]) == ("process", "file")


def test_typed_values() -> None:
    """Defaults have the types that callers use."""
    loaded = settings.Settings()
    assert loaded.gateway_port is None
    assert loaded.subnet is None
    assert loaded.fetch_max_bytes == 500_000_000
    assert loaded.health_timeout == 60.0
    assert loaded.python_version == "3.11"
    assert settings.Settings(IAC_GATEWAY_PORT="18000").gateway_port == 18000
    assert settings.Settings(IAC_SUBNET="10.9.0.0/16").subnet == "10.9.0.0/16"


@pytest.mark.parametrize(
    ("name", "value", "attribute"),
    [
        ("IAC_GATEWAY_PORT", "70000", "gateway_port"),
        ("IAC_GATEWAY_PORT", "x", "gateway_port"),
        ("IAC_SUBNET", "172.20.0.1/16", "subnet"),
        ("IAC_SUBNET", "8.8.8.0/24", "subnet"),
        ("IAC_SUBNET", "10.0.0.0/30", "subnet"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "otlp_endpoint"),
        ("IAC_PROVIDER", "magic", "provider"),
        ("IAC_PYTHON_VERSION", "2.7", "python_version"),
        ("IAC_MEMORY_MB", "1", "memory_mb"),
        ("IAC_PROJECT", "Bad_Name", "project"),
        ("IAC_HOME", "share", "machine_home"),
        ("IAC_ACME_DIRECTORY", "http://acme.example.com/directory", "acme_directory"),
        ("IAC_ACME_EMAIL", "ops", "acme_email"),
        ("IAC_ACME_EMAIL", "a@example.com,b@example.com", "acme_email"),
    ],
)
def test_bad_values_name_setting_found_and_expected(
    tmp_path: Path, name: str, value: str, attribute: str
) -> None:
    """A wrong value is refused when it is used, with everything needed to mend it."""
    with pytest.raises(ConfigError) as caught:
        getattr(settings.load_settings(tmp_path, {name: value}), attribute)
    with pytest.raises(ConfigError, match="bad"):
        settings.load_settings(tmp_path, {name: value}).check()
    assert caught.value.where == name
    assert repr(value) in (caught.value.found or "")
    assert caught.value.expected


def test_secrets_are_those_marked_secret() -> None:
    """Only secret settings that are set are redacted."""
    loaded = settings.Settings(GITHUB_TOKEN="tok-123456", IAC_PROJECT="demo")
    assert loaded.secrets == ("tok-123456",)


def test_env_example_lists_every_setting_with_its_default() -> None:
    """`.env.example` is the table as text: the same order, meanings and defaults."""
    text = (_ROOT / ".env.example").read_text(encoding="utf-8")
    table = settings.Settings.by_name
    blocks = [block.splitlines() for block in text.strip().split("\n\n")[1:-1]]
    written = {last: " ".join(line.removeprefix("# ") for line in said) for *said, last in blocks}
    expected = {f"{name}={one.default}": one.help for name, one in table.items()}
    assert list(written.items()) == list(expected.items())
    others = env_text.parse(text, {}).keys() - table.keys()
    assert others == {"TERRAFORM_BINARY_NAME", "CHECKPOINT_DISABLE"}


def test_a_setting_that_is_none_is_refused() -> None:
    """A misspelt name would be a setting that is lost."""
    with pytest.raises(TypeError, match="IAC_PROJEKT"):
        settings.Settings(IAC_PROJEKT="demo")


def test_env_file_keeps_bytes(tmp_path: Path) -> None:
    """What is not UTF-8, and carriage returns within quotes, come as the environment has them."""
    (tmp_path / ".env").write_bytes(b"A='caf\xe9\r\nx'\r\nB=plain\r\n")
    environment = settings.load_settings(tmp_path, {}).environment
    assert {n: os.fsencode(v) for n, v in environment.items()} == {
        "A": b"caf\xe9\r\nx",
        "B": b"plain",
    }


def test_broken_env_file_names_the_line(tmp_path: Path) -> None:
    """A line that sets nothing is an error, not a setting that is lost; no value is shown."""
    (tmp_path / ".env").write_text("A=1\nB='sentinel\n")
    with pytest.raises(ConfigError, match="a quote that is not closed") as caught:
        settings.load_settings(tmp_path, {})
    assert caught.value.where == ".env:2"
    assert "sentinel" not in str(caught.value)


def test_a_secret_that_has_not_its_form_is_not_shown() -> None:
    """Keys of an external account binding are base64url; the error does not repeat them."""
    assert settings.Settings(IAC_ACME_EAB_KEY="abc_-1=").acme_binding_key == "abc_-1="
    with pytest.raises(ConfigError) as caught:
        settings.Settings(IAC_ACME_EAB_KEY="not/it").acme_binding_key  # noqa: B018
    assert "IAC_ACME_EAB_KEY" in str(caught.value)
    assert "not/it" not in str(caught.value)


def test_a_secret_that_is_no_text_is_bad_input(tmp_path: Path) -> None:
    """A token that is not UTF-8 is named before a server gets it, and not shown."""
    (tmp_path / ".env").write_bytes(b"GITHUB_TOKEN=abc\xff\xfe\n")
    with pytest.raises(ConfigError) as caught:
        settings.load_settings(tmp_path, {}).check()
    assert caught.value.where == "GITHUB_TOKEN"
    assert caught.value.found == "a byte that is not UTF-8, at position 4"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("12h", 43_200), ("90d", 7_776_000)]
)
def test_a_lifetime_has_its_unit(text: str, seconds: int) -> None:
    assert settings.Settings(IAC_LEAF_LIFETIME=text).leaf_lifetime.total_seconds() == seconds


@pytest.mark.parametrize("text", ["90", "9s", "1w", "-3d", "4000d", "1.5h"])
def test_other_lifetimes_are_refused(text: str) -> None:
    """With the forms and the bounds."""
    with pytest.raises(ConfigError, match=r"30s, 12h or 90d, from 10s to 3650d"):
        _ = settings.Settings(IAC_LEAF_LIFETIME=text).leaf_lifetime
