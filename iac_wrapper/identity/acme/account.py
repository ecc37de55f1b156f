"""An account at an ACME server: made once, kept with its key in a folder of its own (0700)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from acme import errors, messages
from acme.client import ClientV2
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwk import JWK, JWKEC

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_bytes, write_text
from iac_wrapper.files.private_files import private_directory
from iac_wrapper.identity.acme.network import Network
from iac_wrapper.identity.acme.problem import explained
from iac_wrapper.identity.certificate_authority import key_pem, load_key


@dataclass(frozen=True)
class AcmeServer:
    """Where certificates are asked for, and as whom.

    Args:
        directory: the URL of its directory.
        email: whom it writes to; may be empty.
        trust: a PEM bundle that its own certificate is checked against; empty: the system's.
        binding_id, binding_key: external account binding (RFC 8555, 7.3.4); empty: none.
    """

    directory: str
    email: str = ""
    trust: str = ""
    binding_id: str = ""
    binding_key: str = field(default="", repr=False)

    def folder(self, above: Path) -> Path:
        """The account's folder: each server knows an account of its own."""
        return above / hashlib.sha256(self.directory.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Account:
    """A client that the server knows, and the folder of what it has under way."""

    server: AcmeServer
    client: ClientV2
    key: JWK = field(repr=False)
    folder: Path


def open_account(server: AcmeServer, above: Path, agreed: Callable[[str], None]) -> Account:
    """The account at `server`, made if there is none.

    Args:
        above: the folder of all accounts of the project.
        agreed: told the URL of the terms that a new account agrees to.

    Raises:
        AcmeError, AcmeUnreachableError: the server refuses, or is not there.
        CertificateError: the files cannot be used.
    """
    folder = server.folder(above)
    private_directory(above)
    private_directory(folder)
    key = JWKEC(key=_key(folder / "key.pem"))
    _check_trust(server.trust)
    with explained(server.directory, server.directory):
        net = Network(key, server.trust)
        client = ClientV2(ClientV2.get_directory(server.directory, net), net)
        if not _known(client, folder):
            _register(client, server, folder, key, agreed)
    return Account(server, client, key, folder)


def _known(client: ClientV2, folder: Path) -> bool:
    """Whether the server still has the account that was recorded; it is the client's then."""
    try:
        uri = json.loads((folder / "account.json").read_text(encoding="utf-8"))["uri"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    recorded = messages.RegistrationResource(uri=uri, body=messages.Registration())
    try:
        client.query_registration(recorded)
    except messages.Error as error:
        if error.code != "accountDoesNotExist":
            raise
        client.net.account = None
        return False
    return True


def _register(
    client: ClientV2,
    server: AcmeServer,
    folder: Path,
    key: JWK,
    agreed: Callable[[str], None],
) -> None:
    binding = None
    if server.binding_id:
        binding = messages.ExternalAccountBinding.from_data(
            key.public_key(), server.binding_id, server.binding_key, client.directory
        )
    wanted = messages.NewRegistration.from_data(
        email=server.email or None, terms_of_service_agreed=True, external_account_binding=binding
    )
    try:
        uri = client.new_account(wanted).uri
        if terms := client.directory.meta.terms_of_service:
            agreed(terms)
    except errors.ConflictError as error:  # made before, by a process that died
        uri = error.location
        client.net.account = messages.RegistrationResource(uri=uri, body=messages.Registration())
    record = {"directory": server.directory, "uri": uri}
    write_text(folder / "account.json", json.dumps(record, indent=2) + "\n", mode=0o600)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        write_bytes(path, key_pem(ec.generate_private_key(ec.SECP256R1())), mode=0o600)
    key = load_key(path)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(
            "not the key of an ACME account of ours",
            where=str(path),
            expected="an EC key on P-256",
            next_step=f"rm {path}, which makes a new account",
        )
    return key


def _check_trust(bundle: str) -> None:
    if bundle and not Path(bundle).is_file():
        raise CertificateError(
            "no such CA bundle",
            where="IAC_ACME_CA",
            found=bundle,
            expected="a PEM file with the certificates to trust",
            next_step="correct IAC_ACME_CA in .env or the environment",
        )
