"""Another authority for running sidecars: made here, then an intermediate that OpenSSL signs with.

Real Envoys without Terraform; operations see them as a deployed project. The tests run in order.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from iac_wrapper.identity.certificates import inspect_leaf
from iac_wrapper.identity.issuers import NEXT
from iac_wrapper.operations import ca_rotation, certs, history
from tests.support import certs_lab
from tests.support.certs_lab import Project

pytestmark = pytest.mark.integration

ROOT = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout root.key -out root.pem -subj "/CN=Our root" -days 30
echo basicConstraints=critical,CA:TRUE,pathlen:0 > extensions
"""

INTERMEDIATE = """
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -subj "/CN=Ours" |
openssl x509 -req -CA root.pem -CAkey root.key -out ca.pem -days 20 -extfile extensions
"""

SIGN = (
    "sh -c 'openssl x509 -req -days 2 -copy_extensions copy"
    " -CA {folder}/ca.pem -CAkey {folder}/ca.key && cat {folder}/ca.pem'"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with certs_lab.project(tmp_path_factory.mktemp("pki"), "a", "b") as made:
        yield made


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root and an intermediate of OpenSSL's."""
    folder = tmp_path_factory.mktemp("theirs")
    _shell(ROOT + INTERMEDIATE, folder)
    return folder


def _shell(script: str, folder: Path) -> None:
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, capture_output=True)


def _done(steps: list[ca_rotation.RotationStep]) -> None:
    assert [(each.phase, each.done, each.members) for each in steps if not each.done] == []
    assert steps[-1].phase == "drop"


def test_a_sidecar_that_hangs_keeps_both_authorities(project: Project, tmp_path: Path) -> None:
    """It is named; all others go on. With it back the change ends, and the old one is refused."""
    old = tmp_path / "old"
    shutil.copytree(project.directory("control-plane"), old, symlinks=True)
    workspace = project.workspace()
    steps = ca_rotation.rotate_ca(workspace)
    assert next(steps).phase == "trust"
    project.lab.containers["b-envoy"].pause()
    step = next(steps)
    assert (step.phase, step.done, list(steps)) == ("issue", False, [])
    assert [each.missing for each in step.members if not each.done] == [
        "its Envoy container is paused"
    ]
    project.lab.containers["b-envoy"].unpause()
    assert project.lab.handshake(leaf=old)["serialNumber"]
    certs.renew(workspace)
    assert project.call()
    _done(list(ca_rotation.rotate_ca(workspace)))
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        project.lab.handshake(leaf=old)
    assert project.call()


def test_openssl_issues_below_its_own_root(project: Project, pki: Path) -> None:
    """A command signs; leaves come with the intermediate, and no key of it is in our folder."""
    coming = project.layout.secrets / NEXT
    coming.mkdir(mode=0o700)
    shutil.copy(pki / "root.pem", coming / "ca.pem")
    workspace = project.workspace(command=SIGN.format(folder=pki))
    _done(list(ca_rotation.rotate_ca(workspace)))
    leaf = inspect_leaf(project.directory("b"))
    chain = x509.load_pem_x509_certificates(leaf.certificate.read_bytes())
    assert [each.issuer.rfc4514_string() for each in chain] == ["CN=Ours", "CN=Our root"]
    assert project.lab.handshake()["serialNumber"] == f"{chain[0].serial_number:X}".zfill(40)
    assert project.call()
    assert [path.name for path in project.layout.secrets.glob("ca*")] == ["ca.pem"]
    assert certs.renew(workspace) == []
    rows = {row.name: row for row in certs.list_certificates(workspace)}
    assert rows["b"].state == "ok"
    assert rows["CA"].dns_names == ("Our root",)
    done = [each for each in history.history(workspace).entries if each.kind == "rotate-ca"]
    assert [each.facts["done"][0].split(":")[0] for each in done[:3]] == ["drop", "issue", "trust"]


def test_another_intermediate_below_the_same_root(project: Project, pki: Path) -> None:
    """Its key takes the place of the command, then another that of this one. The root stays, so no
    sidecar is to refuse what the old one issued."""
    coming = project.layout.secrets / NEXT
    for command in (SIGN.format(folder=pki), ""):
        coming.mkdir(mode=0o700)
        for name, source in (
            ("ca.pem", "ca.pem"),
            ("ca.key", "ca.key"),
            ("ca-chain.pem", "root.pem"),
        ):
            shutil.copy(pki / source, coming / name)
        steps = list(ca_rotation.rotate_ca(project.workspace(command=command)))
        _done(steps)
        assert steps[-1].words == ca_rotation.ROOT_STAYS
        assert command == "" or "unset IAC_CERT_COMMAND" in project.said[-1]
        issuer = x509.load_pem_x509_certificate((project.layout.secrets / "ca.pem").read_bytes())
        leaf = x509.load_pem_x509_certificate((project.directory("b") / "tls.crt").read_bytes())
        leaf.verify_directly_issued_by(issuer)
        _shell(INTERMEDIATE, pki)
    assert project.call()
