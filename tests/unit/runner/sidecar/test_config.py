"""Envoy's configuration: from template and environment to private files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.sidecar import (
    config,
)
from runner.sidecar.refused import Refused
from tests.unit.runner.sidecar.conftest import GATEWAY, SIDECAR


@pytest.fixture
def _umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


@pytest.mark.usefixtures("_umask")
def test_each_document_becomes_a_private_file(tmp_path: Path) -> None:
    """A socket left by a PID 1 that died is removed, or Envoy could not bind."""
    run = tmp_path / "run"
    config.make_directory(run)
    (run / "admin.sock").touch()
    text = "--- # envoy.yaml\nadmin: {}\n--- # leaf.yaml\nresources: []\n"
    assert config.write(config.documents(text), {}, run) == run / "envoy.yaml"
    assert (run / "envoy.yaml").read_text() == "\nadmin: {}\n"
    assert (run / "leaf.yaml").read_text() == "\nresources: []\n"
    assert (run / "leaf.yaml").stat().st_mode & 0o777 == 0o600
    assert not (run / "admin.sock").exists()


def test_a_template_is_filled_in_and_one_that_wants_more_is_refused(tmp_path: Path) -> None:
    """The text is the image's; the values are the container's."""
    (tmp_path / "sidecar.yaml").write_text("${service}.${project} ${max_headers_hop} $$")
    assert config.load_envoy_config(SIDECAR, tmp_path) == "orders.shop 120 $"
    (tmp_path / "gateway.yaml").write_text("${flavour}")
    with pytest.raises(Refused, match="flavour"):
        config.load_envoy_config(GATEWAY, tmp_path)
    with pytest.raises(Refused, match="No such file"):
        config.load_envoy_config(GATEWAY, tmp_path / "nowhere")


def test_text_without_documents_is_refused() -> None:
    """The sentence says which line is missing."""
    with pytest.raises(Refused, match=r"--- # envoy\.yaml"):
        config.documents("admin: {}")


def test_an_unreadable_key_is_refused_with_path_and_uid(tmp_path: Path) -> None:
    """Envoy itself would say ready and fail every handshake."""
    with pytest.raises(Refused, match=rf"{tmp_path}/tls.key as uid {os.getuid()}"):
        config.check_key(tmp_path / "tls.key")
    (tmp_path / "tls.key").touch()
    config.check_key(tmp_path / "tls.key")
