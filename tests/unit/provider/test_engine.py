"""The Engine API client over a real socket."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from provider.engine import (
    EngineApi,
    EngineDownError,
    EngineRefusedError,
    name_in_path,
    registry_of,
    split_reference,
)
from tests.unit.provider.conftest import StandIn


def test_json_in_and_out(stand_in: StandIn) -> None:
    """Query values as the engine reads them."""
    stand_in.answer("POST /x", {"Id": "1"})
    assert EngineApi(stand_in.host).post("/x", {"a": 1}, flag=True, n=2) == {"Id": "1"}
    assert stand_in.calls == [("POST /x", "flag=true&n=2", {"a": 1})]


@pytest.mark.parametrize(
    ("newest", "spoken"), [("1.40", "1.40"), ("1.41", "1.41"), ("1.44", "1.44"), ("1.52", "1.44")]
)
def test_the_api_version_is_agreed_on(stand_in: StandIn, newest: str, spoken: str) -> None:
    """Old engines know no newer one, Docker 29 no older one than 1.44."""
    stand_in.newest_api = newest
    stand_in.answer("GET /x")
    EngineApi(stand_in.host).get("/x")
    assert stand_in.apis == {spoken}


def test_refusals_carry_status_and_words(stand_in: StandIn) -> None:
    """Also when the engine's answer is no JSON."""
    stand_in.answer("GET /a", {"message": "no "}, 409)
    with pytest.raises(EngineRefusedError, match=r"^no$") as failure:
        EngineApi(stand_in.host).get("/a")
    assert failure.value.status == 409
    stand_in.answer("GET /b", b"plain words", 500)
    with pytest.raises(EngineRefusedError, match="plain words"):
        EngineApi(stand_in.host).find("/b")
    assert EngineApi(stand_in.host).find("/nothing") is None


def test_archives_are_sent_raw(stand_in: StandIn) -> None:
    """As tar, to the container's root."""
    stand_in.answer("PUT /containers/c/archive")
    EngineApi(stand_in.host).put_archive("c", b"tar")
    assert stand_in.calls == [("PUT /containers/c/archive", "path=%2F", b"tar")]


def test_no_engine_says_where(tmp_path: Path) -> None:
    """Unix and TCP alike."""
    with pytest.raises(EngineDownError, match=r"none\.sock"):
        EngineApi(f"unix://{tmp_path}/none.sock").ping()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(EngineDownError, match=rf"tcp://127\.0\.0\.1:{port}"):
            EngineApi(f"tcp://127.0.0.1:{port}").ping()


def hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


def test_an_engine_that_hangs_up(tmp_path: Path) -> None:
    """A connection that ends without an answer is no engine."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        with pytest.raises(EngineDownError):
            EngineApi(f"unix://{tmp_path}/s").ping()


def test_parallel_calls_do_not_mix(stand_in: StandIn) -> None:
    """Terraform makes ten at once."""
    for number in range(50):
        stand_in.answer(f"GET /{number}", number)
    engine = EngineApi(stand_in.host)
    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(engine.get, (f"/{n}" for n in range(50)))) == list(range(50))


def test_tls_needs_its_files(tmp_path: Path) -> None:
    """TLS is not silently left out."""
    with pytest.raises(EngineDownError):
        EngineApi("tcp://127.0.0.1:1", tmp_path).ping()


@pytest.mark.parametrize(
    ("image", "reference", "registry"),
    [
        ("a", ("a", "latest"), "docker.io"),
        ("a/b:1", ("a/b", "1"), "docker.io"),
        ("r.example:5/a/b:1", ("r.example:5/a/b", "1"), "r.example:5"),
        ("localhost/a", ("localhost/a", "latest"), "localhost"),
        ("a@sha256:00", ("a", "sha256:00"), "docker.io"),
    ],
)
def test_image_references(image: str, reference: tuple[str, str], registry: str) -> None:
    """Repository, tag or digest, registry."""
    assert split_reference(image) == reference
    assert registry_of(image) == registry


def test_names_in_paths() -> None:
    """Image names keep slashes; nothing else breaks out of the path."""
    assert name_in_path("a/b:1@x") == "a/b:1@x"
    assert name_in_path("a?b c") == "a%3Fb%20c"
