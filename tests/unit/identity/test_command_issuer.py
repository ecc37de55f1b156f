"""Leaves that a command issues: what it is told, and a sentence for each thing that goes wrong."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from iac_wrapper.errors import CertificateError
from iac_wrapper.identity import command_issuer, operator
from iac_wrapper.identity.certificates import due, ensure_leaf
from iac_wrapper.identity.issuers import ensure_issuer
from iac_wrapper.model.certificate import Leaf
from tests.support import certificate_lab

ME = os.geteuid()

SIGN = """
import json, os, sys
from datetime import timedelta
from pathlib import Path
from cryptography import x509
from tests.support import certificate_lab as lab
here, how = Path(sys.argv[1]), sys.argv[2]
request = x509.load_pem_x509_csr(sys.stdin.buffer.read())
assert request.is_signature_valid
told = {name: value for name, value in os.environ.items() if name.startswith("IAC_CERT")}
(here / "told.json").write_text(json.dumps(told))
issuer = lab.from_files(here / "issuer")
leaf = lab.answer(issuer, request, how)
above = {"no-chain": [], "with-root": [issuer.certificate, issuer.above.certificate]}
sys.stdout.write(lab.pem(leaf, *above.get(how, [issuer.certificate])).decode())
"""


@dataclass
class Elsewhere:
    """An issuer that only a command reaches: an intermediate below the root in ca.pem."""

    folder: Path
    secrets: Path
    root: certificate_lab.Issuer
    issuer: certificate_lab.Issuer

    def command(self, how: str = "well") -> str:
        return f"{sys.executable} -c '{SIGN}' {self.folder} {how}"

    def leaf(self, how: str = "well", *, days: float = 90) -> Leaf:
        return ensure_leaf(
            ensure_issuer(self.secrets, self.command(how)),
            self.secrets / "p/svc",
            name="svc",
            trust_domain="d",
            owner_uid=ME,
            lifetime=timedelta(days=days),
        )


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    monkeypatch.chdir(Path(__file__).parents[3])  # python -c finds `tests` there
    root = certificate_lab.Issuer("Their root")
    issuer = certificate_lab.Issuer("Their issuing CA", root)
    certificate_lab.to_files(issuer, tmp_path / "issuer")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "ca.pem").write_bytes(root.pem)
    return Elsewhere(tmp_path, secrets, root, issuer)


def test_the_key_stays_and_the_command_is_told_the_names(elsewhere: Elsewhere) -> None:
    """The chain is served, the root is trusted, and there is no key of any authority."""
    leaf = elsewhere.leaf("with-root")
    chain = x509.load_pem_x509_certificates(leaf.certificate.read_bytes())
    assert chain[1:] == [elsewhere.issuer.certificate]
    key = load_pem_private_key(leaf.key.read_bytes(), None)
    assert key.public_key() == chain[0].public_key()
    assert leaf.trusted.read_bytes().endswith(elsewhere.root.pem)
    assert json.loads((elsewhere.folder / "told.json").read_text()) == {
        "IAC_CERT_NAME": "svc",
        "IAC_CERT_SANS": "svc,spiffe://d/svc",
        "IAC_CERT_SECONDS": "7776000",
        "IAC_CERT_ROOTS": str(elsewhere.secrets / "ca.pem"),
    }
    assert [path.name for path in elsewhere.secrets.glob("ca*")] == ["ca.pem"]


@pytest.mark.parametrize("days", [1, 365])
def test_its_own_lifetime_is_not_due_for_ever(elsewhere: Elsewhere, days: float) -> None:
    """It gives 80 days, whatever was wished: half of those that it lives count."""
    assert elsewhere.leaf(days=days).issued
    assert not elsewhere.leaf(days=days).issued
    fault = due(
        elsewhere.secrets,
        elsewhere.secrets / "p/svc",
        name="svc",
        trust_domain="d",
        owner_uid=ME,
        lifetime=timedelta(days=days),
        command=elsewhere.command(),
    )
    assert fault is None


def test_the_operator_has_its_own_from_there(elsewhere: Elsewhere) -> None:
    issuer = ensure_issuer(elsewhere.secrets, elsewhere.command())
    texts = json.loads(operator.handover(issuer, "d"))
    leaf = x509.load_pem_x509_certificates(texts["chain"].encode())[0]
    assert load_pem_private_key(texts["key"].encode(), None).public_key() == leaf.public_key()
    told = json.loads((elsewhere.folder / "told.json").read_text())
    assert told["IAC_CERT_SANS"] == "spiffe://d/operator"


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("wrong-key", "its key is not that of its certificate"),
        ("expired", "it ended on "),
        ("wrong-names", "it has not the names svc, spiffe://d/svc"),
        ("no-chain", "its chain does not lead to an authority that is trusted"),
        ("no-server", "it may not be used for servers and clients"),
    ],
)
def test_what_it_gives_is_judged(elsewhere: Elsewhere, how: str, sentence: str) -> None:
    """Before it is installed."""
    with pytest.raises(CertificateError, match="what the command gave for svc") as caught:
        ensure_issuer(elsewhere.secrets, elsewhere.command(how)).issue(
            "svc", "d", lifetime=timedelta(days=1)
        )
    assert sentence in (caught.value.found or "")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("sh -c 'echo no such user >&2; exit 3'", "sh exited with 3"),
        ("echo hello", "6 characters that hold none"),
        ("cat", "characters that hold none"),
        ("/no/such/program", "/no/such/program"),
        ("sleep 60", "0.5 s"),
        ("sh -c 'oops", "No closing quotation"),
        ("sh -c 'kill -9 $$'", "sh was ended by signal 9"),
        ("cat /dev/zero", "cat printed more than 1000000 bytes"),
    ],
)
def test_a_command_that_fails_is_a_sentence(
    elsewhere: Elsewhere, command: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_issuer, "SECONDS", 0.5)
    with pytest.raises(CertificateError) as caught:
        ensure_issuer(elsewhere.secrets, command).issue("svc", "d", lifetime=timedelta(days=1))
    assert sentence in str(caught.value)
    assert caught.value.where == "IAC_CERT_COMMAND"
    assert caught.value.next_step


def test_what_the_command_leaves_running_is_not_waited_for(elsewhere: Elsewhere) -> None:
    """As the connection that ssh keeps, which holds its output open."""
    command = f"sh -c 'sleep 30 & exec {sys.executable} -c \"$1\" {elsewhere.folder} well' - "
    began = time.monotonic()
    issuer = ensure_issuer(elsewhere.secrets, command + shlex.quote(SIGN))
    issuer.issue("svc", "d", lifetime=timedelta(days=1))
    assert time.monotonic() - began < 20


def test_what_is_trusted_must_be_there_and_be_roots(elsewhere: Elsewhere) -> None:
    (elsewhere.secrets / "ca.pem").write_bytes(elsewhere.issuer.pem)
    with pytest.raises(CertificateError, match="is not self-signed"):
        ensure_issuer(elsewhere.secrets, "true")
    (elsewhere.secrets / "ca.pem").unlink()
    with pytest.raises(CertificateError, match="no root to trust"):
        ensure_issuer(elsewhere.secrets, "true")
