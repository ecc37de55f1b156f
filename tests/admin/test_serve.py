"""`iac admin serve` as a process: start, stop, two at once, killed and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.transport import UnixHTTPAdapter

from iac_wrapper.files.layout import Layout
from tests.support.admin_api import PROJECT, Client, kill_workers, wait_for
from tests.support.docker_daemon import daemon
from tests.support.jobs_lab import until

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from iac_wrapper.cli import main; main()", "admin", "serve"]
DESTROY = {"confirm": PROJECT}


@dataclass
class Place:
    """A project folder, a short folder for sockets, and the settings of its servers."""

    root: Path
    short: Path
    environment: dict[str, str]

    @property
    def socket(self) -> Path:
        return self.short / "api.sock"

    def beside(self) -> Place:
        """Another project folder, with the same settings."""
        root = self.root / "beside"
        make_project(root)
        return replace(self, root=root)

    def client(self) -> Client:
        client = Client("http+docker://localhost")
        client.mount("http+docker://", UnixHTTPAdapter(f"http+unix://{self.socket}"))
        return client

    @contextmanager
    def served(self, **more: str) -> Iterator[Process]:
        process = Process(self, more)
        try:
            process.wait_for("==> socket")
            # Elsewhere, what the tests ask for would hit a project that somebody needs.
            lock = self.root / ".iac" / "jobs" / "server.lock"
            assert lock.read_text() == f"{process.popen.pid}\n"
            yield process
        finally:
            process.popen.kill()
            process.popen.wait()

    def held_up(self) -> tuple[Path, dict[str, Any]]:
        """A destroy whose worker waits for a writer of the pipe that is its `.env`."""
        pipe = self.root / ".env"
        os.mkfifo(pipe)
        shown = self.client().post("/destroy", json=DESTROY).json()
        events = self.root / ".iac" / "jobs" / shown["id"] / "events.jsonl"
        until(lambda: '"started"' in events.read_text())
        return pipe, shown

    def refused(self, *more: dict[str, str]) -> list[tuple[int, str]]:
        """Exit codes and outputs of servers that do not start, each with other settings."""
        processes = [Process(self, one) for one in more]
        return [(process.popen.wait(20), process.output()) for process in processes]


class Process:
    def __init__(self, place: Place, more: dict[str, str]) -> None:
        self._log = place.short / f"{uuid.uuid4()}.log"
        with self._log.open("wb") as log:
            self.popen = subprocess.Popen(
                COMMAND,
                cwd=place.root,
                env={**os.environ, **place.environment, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.output() or self.popen.poll() is not None)
        assert text in self.output(), self.output()

    def stop(self) -> float:
        """Seconds that it takes to end after SIGTERM."""
        began = time.monotonic()
        self.popen.terminate()
        assert self.popen.wait(20) == 0, self.output()
        return time.monotonic() - began


def make_project(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("cdktf.json", "main.py"):  # what makes a folder a project
        (folder / name).touch()
    (folder / "secrets" / PROJECT).mkdir(parents=True, exist_ok=True)  # something to destroy


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        short = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engine = stack.enter_context(daemon(short / "docker.sock"))
        stack.callback(kill_workers, Layout(tmp_path))
        make_project(tmp_path)
        yield Place(
            tmp_path,
            short,
            {
                "PYTHONPATH": str(REPOSITORY),
                "DOCKER_HOST": engine.host,
                "IAC_PROJECT": PROJECT,
                "IAC_ADMIN_BIND": "127.0.0.1:0",
                "IAC_ADMIN_SOCKET": str(short / "api.sock"),
                "IAC_ADMIN_GRPC": "off",
                "SUPABASE_URL": "",
                "SUPABASE_SERVICE_ROLE_KEY": "",
            },
        )


def test_it_says_where_it_listens_and_stops_on_sigterm(place: Place) -> None:
    """Also while somebody reads a stream; the socket is gone afterwards."""
    with place.served(IAC_ADMIN_GRPC="127.0.0.1:0") as process:
        process.wait_for("warning: SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY not set")
        text = process.output()
        address = re.search(r"==> HTTP    (http://127\.0\.0\.1:[1-9][0-9]+)\n", text)
        assert address, text
        assert f"==> socket  {place.socket}\n" in text
        assert re.search(r"==> gRPC    127\.0\.0\.1:[1-9][0-9]+ \(mTLS\)\n", text)
        assert Client(address[1]).get("/health").json()["status"] == "ok"
        assert Client(address[1]).get("/services").status_code == 503
        os.mkfifo(place.root / ".env")
        client = place.client()
        shown = client.post("/destroy", json=DESTROY).json()
        reader = client.get(shown["links"]["events"], stream=True)
        assert process.stop() < 2.5
        assert b'"finished"' not in reader.content
        assert not place.socket.exists()
        assert f"destroy {shown['id']} goes on in a process of its own" in process.output()
        assert "Traceback" not in process.output()


def test_a_stuck_handler_does_not_hold_the_process(place: Place) -> None:
    """One that waits for an engine that hangs is cut off, said, and left behind."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(place.short / "hangs.sock"))
        engine.listen()  # accepts for the kernel, and never answers
        with (
            place.served(DOCKER_HOST=f"unix://{place.short}/hangs.sock") as process,
            ThreadPoolExecutor(1) as pool,
        ):
            asked = pool.submit(place.client().get, "/services/web/logs")
            time.sleep(0.5)
            assert 4.5 < process.stop() < 9
            assert isinstance(asked.exception(), requests.ConnectionError)
        assert "some requests did not end in 5 s and were abandoned" in process.output()
        assert "Traceback" not in process.output()


def test_one_server_per_folder_address_and_socket(place: Place) -> None:
    """The second one ends with an error that says who is there; the first is not disturbed."""
    with place.served(IAC_ADMIN_GRPC="off") as process:
        port = re.findall(r"http://127\.0\.0\.1:([0-9]+)", process.output())[0]
        others = [str(place.short / f"other{n}.sock") for n in range(2)]
        (of_folder,) = place.refused({"IAC_ADMIN_SOCKET": others[0]})
        beside = place.beside()
        (of_socket,) = beside.refused({})
        (of_address,) = beside.refused(
            {"IAC_ADMIN_SOCKET": others[1], "IAC_ADMIN_BIND": f"127.0.0.1:{port}"}
        )
        assert (of_folder[0], "another server of the admin API" in of_folder[1]) == (6, True)
        assert f"process {process.popen.pid}" in of_folder[1]
        assert (of_socket[0], str(place.socket) in of_socket[1]) == (2, True), of_socket
        assert (of_address[0], f"127.0.0.1:{port}" in of_address[1]) == (2, True), of_address
        assert "Traceback" not in of_folder[1] + of_socket[1] + of_address[1]
        assert not any(map(os.path.exists, others))
        assert place.client().get("/health").status_code == 200
        assert process.stop() < 2.5


def test_a_job_of_a_killed_server_is_taken_up(place: Place) -> None:
    """Its worker went on; the next server shows its end, and the stream goes on where it was."""
    with place.served() as first:
        pipe, shown = place.held_up()
        first.popen.send_signal(signal.SIGKILL)
        first.popen.wait()
        held = pipe.rename(place.root / "held")
    with place.served():
        client = place.client()
        assert client.get(shown["links"]["self"]).json()["status"] == "running"
        assert client.post("/destroy", json=DESTROY).status_code == 409
        os.close(os.open(held, os.O_RDWR))
        assert wait_for(client, shown)["status"] == "succeeded"
        text = client.get(shown["links"]["events"], headers={"Last-Event-ID": "1"}).text
        ids = re.findall(r"^id: ([0-9]+)$", text, re.MULTILINE)
        assert ids == [str(n) for n in range(2, 2 + len(ids))]


def test_an_interrupted_job_is_announced(place: Place) -> None:
    """Server and worker were killed: the next start says so and how to go on."""
    with place.served() as first:
        pipe, shown = place.held_up()
        first.popen.kill()
        first.popen.wait()
        kill_workers(Layout(place.root))
        pipe.unlink()
    with place.served() as second:
        resume = f"/deployments/{shown['id']}/resume"
        assert f"destroy {shown['id']} was interrupted; POST {resume}" in second.output()
        resumed = place.client().post(resume).json()
        assert wait_for(place.client(), resumed)["status"] == "succeeded"


def test_bad_settings(place: Place) -> None:
    """Exit code 2 and the name of the setting, before anything listens."""
    bad = {
        "IAC_ADMIN_BIND": "0.0.0.0:8080",
        "IAC_ADMIN_USERS": "nobody",
        "GITHUB_WEBHOOK_SECRET": "too-short",
    }
    answers = place.refused(*({name: value} for name, value in bad.items()))
    for name, (status, text) in zip(bad, answers, strict=True):
        assert (status, name in text, "Traceback" in text) == (2, True, False), text
    assert not place.socket.exists()
