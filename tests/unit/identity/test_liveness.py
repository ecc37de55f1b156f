"""What the keeper takes for an answer: whatever a part of ours says, and nothing that Envoy says
in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from constructs_lib.envoy_config import INBOUND_SENTENCES
from iac_wrapper.identity.certificates import ensure_ca, ensure_leaf
from iac_wrapper.identity.liveness import Unanswered, unanswered
from tests.support.h2_service import BREAK, HEALTH, H2Service, Reply, serving

SHORT_OF_MEMORY = next(text for how, _, text in INBOUND_SENTENCES if "overload" in how)

NO_PAGE: Reply = ({":status": "404"}, b"a sidecar has no GET /iac.sidecar/", {})
NOBODY: Reply = ({":status": "503"}, b"service web does not answer", {})
FULL: Reply = ({":status": "503"}, SHORT_OF_MEMORY.encode(), {})
RESET: Reply = ({":status": "503"}, b"", BREAK)


def _failed(status: int, message: str) -> Reply:
    said = {"grpc-status": str(status), "grpc-message": message}
    return {":status": "200", "content-type": "application/grpc", **said}, b"", {}


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The leaf of a service."""
    secrets = tmp_path_factory.mktemp("secrets")
    return ensure_leaf(
        ensure_ca(secrets), secrets / "p/web", name="web", trust_domain="p", owner_uid=0
    ).directory


@pytest.fixture(name="web")
def fixture_web(folder: Path) -> Iterator[H2Service]:
    """A service whose PID 1 knows no such page."""
    with serving(folder) as service:
        service.program = lambda _: NO_PAGE
        yield service


def _missed(web: H2Service, folder: Path, *, has_runner: bool = False) -> Unanswered | None:
    return unanswered(web.port, "web", folder, has_runner=has_runner, timeout=0.3)


def test_all_parts_answer(web: H2Service, folder: Path) -> None:
    """To answer that there is no such page is an answer."""
    assert _missed(web, folder, has_runner=True) is None


@pytest.mark.parametrize(
    ("reply", "missed"),
    [
        (lambda _: NOBODY, Unanswered("envoy", closed=True)),
        (lambda _: RESET, Unanswered("envoy", closed=True)),
        (lambda _: None, Unanswered("envoy")),
        (lambda _: FULL, None),
    ],
)
def test_envoy_does_not_speak_for_pid_1(
    web: H2Service,
    folder: Path,
    reply: Callable[[dict[str, str]], Reply | None],
    missed: Unanswered | None,
) -> None:
    """A closed connection is no answer; an Envoy that is short of memory has not asked."""
    web.program = reply
    assert _missed(web, folder) == missed


@pytest.mark.parametrize(
    ("reply", "missed"),
    [
        (_failed(14, "upstream connect error"), Unanswered("app", closed=True)),
        (_failed(14, SHORT_OF_MEMORY.replace(" ", "%20")), None),
        (_failed(12, "no such method"), None),
        (None, Unanswered("app")),
    ],
)
def test_nor_for_the_runner(
    web: H2Service,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply | None,
    missed: Unanswered | None,
) -> None:
    """The same over gRPC; a runner of an earlier version may know other calls."""
    monkeypatch.setattr(web, "reply", lambda asked: reply if asked[":path"] == HEALTH else NO_PAGE)
    assert _missed(web, folder, has_runner=True) == missed


def test_nobody_is_there(web: H2Service, folder: Path) -> None:
    """A handshake that is cut short is told from one that never comes."""
    assert unanswered(1, "web", folder, has_runner=True, timeout=0.3) == Unanswered(
        "handshake", closed=True
    )
