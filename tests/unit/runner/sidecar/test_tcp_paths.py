"""Envoy's files for TCP: written when something is another one, and only then."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runner.listeners import Listener
from runner.sidecar import envoy, offers, tcp_paths
from runner.sidecar.offers import Offer
from runner.sidecar.policy import Policy
from runner.sidecar.policy_files import Admission
from runner.sidecar.tcp_files import Tcp
from runner.sidecar.tcp_paths import TcpPaths

DOCUMENTS = {
    "listeners.yaml": "${version} ${trust}\n  ${own_chains}\n  ${peer_chains}\n",
    "clusters.yaml": "${version}\n${own_clusters}\n${peer_clusters}\n",
    "own-matcher.yaml": "",
    "own-chain.yaml": "\n- own ${port} ${name}\n",
    "own-rest-matcher.yaml": "",
    "own-rest-chain.yaml": "- rest ${port}\n",
    "own-cluster.yaml": "- own ${host}:${port}\n",
    "peer-chain.yaml": "- ${name}:${port}\n  at ${address}\n",
    "peer-http.yaml": "- ${name} http\n",
    "peer-rest.yaml": "- ${name} rest\n",
    "peer-cluster.yaml": "- to ${name}:${port}\n",
    "host-chain.yaml": "- ${name}:${port}\n  at ${address}\n",
    "host-rest.yaml": "- ${name} rest\n",
    "host-cluster.yaml": "- to ${name}:${port}\n",
}


def _pem(*roots: str) -> str:
    return "".join(
        f"-----BEGIN CERTIFICATE-----\n{each}\n-----END CERTIFICATE-----\n" for each in roots
    )


NOBODY = Admission("db", "iacnet")


class Lab:
    """PID 1's part without a container."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.found = folder, [Listener(5432, "::1")]
        self.version, self.warming = "", 0
        (folder / "ca.crt").write_text(_pem("one"))
        monkeypatch.setattr(tcp_paths, "LOOK_SECONDS", 0.0)
        monkeypatch.setattr(tcp_paths, "TAKE_SECONDS", 0.05)
        monkeypatch.setattr(envoy, "ask", self.statistics)
        monkeypatch.setattr(offers, "ask", lambda _: Offer((6379,), http=False))
        self.paths = TcpPaths(
            DOCUMENTS, (5432,), folder, lambda: self.found, NOBODY, folder / "ca.crt"
        )

    def statistics(self, *_: object) -> str:
        return (
            f'cluster_manager.cds.version_text: "{self.version}"\n'
            f"cluster_manager.warming_clusters: {self.warming}\n"
            f'listener_manager.lds.version_text: "{self.version}"\n'
            "listener_manager.total_listeners_warming: 0\n"
        )

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(tmp_path, monkeypatch)


def test_a_port_follows_where_its_program_listens(lab: Lab) -> None:
    """And stays there while the program is away; the files are not touched without a change."""
    first, trust = {5432: "127.0.0.1"}, lab.paths.current.trust
    callers = ((5432, "control-plane"), (5432, "db"))
    assert lab.paths.current == Tcp(first, callers, (), trust)
    lab.paths.step()
    assert lab.text("clusters.yaml") == "1\n- own ::1:5432\n\n"
    assert lab.text("listeners.yaml").splitlines()[1:4] == [
        "  - own 5432 control-plane",
        "  - own 5432 db",
        "  - rest 5432",
    ]
    lab.found = []
    before = (lab.folder / "clusters.yaml").stat().st_ino
    lab.paths.step()
    assert (lab.folder / "clusters.yaml").stat().st_ino == before


def test_a_peer_has_its_address_once_envoy_has_taken_it(lab: Lab) -> None:
    """Versions of both files, and nothing that is still warming."""
    lab.paths.step()
    lab.paths.names.want("db")
    while not lab.paths.names.peers:
        time.sleep(0.01)
    lab.paths.step()
    listed = lab.text("listeners.yaml").splitlines()
    assert listed[4:] == [
        "  - db:6379",
        f"    at {lab.paths.names.peers[0].address}",
        "  - db rest",
    ]
    assert lab.paths.names.address("db") is None
    lab.version, lab.warming = "2", 1
    lab.paths.step()
    assert lab.paths.names.address("db") is None
    lab.warming = 0
    lab.paths.step()
    assert lab.paths.names.address("db") == lab.paths.names.peers[0].address


def test_a_removed_authority_is_another_configuration(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is told. One more, a remark, or a file that cannot be read while it is replaced: not."""
    lab.paths.step()
    first = lab.text("listeners.yaml")
    (lab.folder / "ca.crt").unlink()
    lab.paths.step()
    (lab.folder / "ca.crt").write_text("# now\n" + _pem("one"))
    lab.paths.step()
    (lab.folder / "ca.crt").write_text(_pem("one", "two"))
    lab.paths.step()
    assert lab.text("listeners.yaml") == first
    assert capfd.readouterr().err == ""
    (lab.folder / "ca.crt").write_text(_pem("two"))
    lab.paths.step()
    assert lab.text("listeners.yaml") != first
    assert "an authority was removed" in capfd.readouterr().err


def test_callers_come_and_go(lab: Lab) -> None:
    """By a rule for the port, or with none; known as admitted once Envoy has them."""
    lab.paths.step()
    policy = Policy({"a": ("tcp:5432",), "b": ("/x",)}, services=("a", "b", "db"))
    wanted = Admission("db", "iacnet", policy)
    lab.paths.admit(wanted)
    assert not lab.paths.admitted(wanted)
    lab.version = "2"
    lab.paths.step()
    assert lab.paths.admitted(wanted)
    assert "own 5432 a" in lab.text("listeners.yaml")
    assert "own 5432 b" not in lab.text("listeners.yaml")
    lab.paths.admit(NOBODY)
    lab.paths.step()
    assert "own 5432 a" not in lab.text("listeners.yaml")
    assert not lab.paths.admitted(NOBODY), "Envoy has the files of before"
