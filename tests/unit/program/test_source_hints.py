"""What a source says beside its code."""

from __future__ import annotations

from pathlib import Path

from iac_wrapper.program.source_hints import source_hints


def test_an_example_of_an_env_file_names_variables(tmp_path: Path) -> None:
    """The outermost one, with what it only shows in a comment."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "env.sample").write_text("OTHER=1\n")
    (tmp_path / ".env.example").write_text("# Text = here\nexport A_KEY=x\n# B_URL=http://b\n")
    found = source_hints(tmp_path)
    assert found.env_file == ".env.example"
    assert found.variables == {"Text": " here", "A_KEY": "x", "B_URL": "http://b"}
    assert found.files == {".env.example", "api/env.sample"}


def test_nothing_is_read_outside_of_the_source(tmp_path: Path) -> None:
    """A link says nothing, nor does a folder that is not there."""
    (tmp_path / "secret").write_text("TOKEN=1\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / ".env.example").symlink_to("../secret")
    assert not source_hints(tmp_path / "app").variables
    assert not source_hints(tmp_path / "gone").files


def test_a_template_is_found_by_the_words_of_its_name(tmp_path: Path) -> None:
    """In the same folder."""
    for name in ("config.example.yaml", "settings-sample.json", "local.toml.dist", "config.py"):
        (tmp_path / name).touch()
    found = source_hints(tmp_path)
    assert found.template_of("config.yaml") == "config.example.yaml"
    assert found.template_of("settings.json") == "settings-sample.json"
    assert found.template_of("local.toml") == "local.toml.dist"
    assert not found.template_of("conf/config.yaml")
    assert not found.template_of("other.yaml")
