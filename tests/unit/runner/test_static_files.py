"""Settings of a Django program as they are changed; the real Django is in tests/e2e/test_kinds."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runner import static_files
from runner.static_files import MIDDLEWARE, SECURITY, with_own_name, with_static_files


def settings(**changes: object) -> SimpleNamespace:
    """Settings as Django fills them in."""
    values = {
        "MIDDLEWARE": ["first", SECURITY, "last"],
        "STATIC_URL": "/static/",
        "INSTALLED_APPS": ["django.contrib.staticfiles"],
    }
    return SimpleNamespace(**{**values, **changes})


def test_it_comes_right_behind_security() -> None:
    """Where its documentation wants it; what was not collected is found, too."""
    wanted = settings()
    with_static_files(wanted)
    assert wanted.MIDDLEWARE == ["first", SECURITY, MIDDLEWARE, "last"]
    assert wanted.WHITENOISE_USE_FINDERS is True


@pytest.mark.parametrize(
    "change",
    [
        {"MIDDLEWARE": ["whitenoise.middleware.WhiteNoiseMiddleware"]},
        {"STATIC_URL": "https://cdn.example.org/"},
        {"STATIC_URL": None},
        {"INSTALLED_APPS": []},
    ],
)
def test_who_serves_them_already_is_left_alone(change: dict[str, object]) -> None:
    """By WhiteNoise, from elsewhere, or not at all."""
    wanted = settings(**change)
    before = list(wanted.MIDDLEWARE)
    with_static_files(wanted)
    assert before == wanted.MIDDLEWARE


@pytest.mark.parametrize(
    ("hosts", "debug", "after"),
    [
        (["shop.example.org"], False, ["shop.example.org", "web", "web.localhost"]),
        ([], False, ["web", "web.localhost"]),
        ([], True, [".localhost", "127.0.0.1", "[::1]", "web", "web.localhost"]),
        (["*"], False, ["*"]),
    ],
)
def test_its_own_name_is_a_host(hosts: list[str], debug: bool, after: list[str]) -> None:
    """Beside those that are allowed already, in debug mode those that Django allows by itself."""
    wanted = settings(ALLOWED_HOSTS=hosts, DEBUG=debug)
    with_own_name(wanted, "web")
    assert after == wanted.ALLOWED_HOSTS


def test_a_program_without_a_service_keeps_its_hosts() -> None:
    wanted = settings(ALLOWED_HOSTS=["x"], DEBUG=True)
    with_own_name(wanted, "")
    assert wanted.ALLOWED_HOSTS == ["x"]


def test_it_waits_for_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other import is as it was; the one it waits for is loaded once, and changed."""
    package = tmp_path / "handlers_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text(
        "class BaseHandler:\n    def load_middleware(self): return 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(static_files, "HANDLERS", "handlers_of_a_test.base")
    before = list(sys.meta_path)
    static_files.begin()
    from handlers_of_a_test import base  # type: ignore[import-not-found]  # noqa: PLC0415

    assert sys.meta_path == before
    assert base.BaseHandler.load_middleware.__module__ == "runner.static_files"
