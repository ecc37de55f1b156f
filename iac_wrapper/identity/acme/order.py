"""From an account to a certificate of one host: order, proof by HTTP-01, finalize, download.

Key and order are on disk before the server is asked to issue. A process that dies after that, or
does not wait long enough, leaves an order that the next one takes up: an authority counts
certificates.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from acme import challenges, crypto_util, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from iac_wrapper.errors import CertificateError
from iac_wrapper.files.atomic import write_bytes, write_text
from iac_wrapper.files.private_files import private_directory
from iac_wrapper.identity.acme.account import Account
from iac_wrapper.identity.acme.network import wait_for
from iac_wrapper.identity.acme.problem import AcmeError, refused, unproven
from iac_wrapper.identity.certificate_authority import key_pem, load_key
from iac_wrapper.identity.certificate_chain import check_chain, pem
from iac_wrapper.identity.certificate_files import Pair
from iac_wrapper.identity.unsigned import PrivateKey
from iac_wrapper.model.public_host import Answers

PATIENCE = 90.0
"""Seconds that a proof, and then the issuing, may take; certbot's own number."""

_GOING_ON = (messages.STATUS_READY, messages.STATUS_PROCESSING, messages.STATUS_VALID)


@dataclass(frozen=True)
class _Order:
    """An order, and the account that made it."""

    account: Account
    host: str
    uri: str
    patience: float

    def look(self) -> tuple[messages.Order, requests.Response]:
        response = _read(self.account, self.uri)
        return messages.Order.from_json(response.json()), response

    def wait(self, *until: messages.Status) -> messages.Order:
        """The order in one of these states, or invalid, or when patience ended."""
        ends = (*until, messages.STATUS_INVALID)
        return wait_for(self.look, lambda order: order.status in ends, self.patience)


def obtain(account: Account, host: str, answers: Answers, *, patience: float = PATIENCE) -> Pair:
    """A certificate for `host` with its key, checked. `forget` the order when it is installed.

    Raises:
        AcmeError: the server refused, the proof failed, or it takes longer than `patience` seconds.
        What `acme` and `requests` raise: `problem.explained` turns it into errors.
    """
    folder = _folder(account.folder, host)
    taken_up = _unfinished(account, host, folder, patience)
    order, key = taken_up or _begin(account, host, folder, answers, patience)
    issued = _issued(order, key)
    try:
        certificates = x509.load_pem_x509_certificates(issued)
        check_chain(certificates, host, order.uri, complete=False)
    except (ValueError, CertificateError) as error:
        forget(account.folder, host)
        raise AcmeError(
            "the ACME server gave a certificate that is of no use",
            where=host,
            found=str(error).partition("\n")[0],
            next_step=f"iac renew {host} --force, which asks for another",
        ) from None
    return Pair(pem(certificates), key_pem(key), account.server.directory)


def forget(folder: Path, host: str) -> None:
    """The order is done with: its key is installed, or worth nothing.

    Args:
        folder: the account's.
    """
    shutil.rmtree(_folder(folder, host), ignore_errors=True)


def _folder(above: Path, host: str) -> Path:
    """Where key and address of an order for `host` lie while it is under way."""
    return above / "orders" / host


def _unfinished(
    account: Account, host: str, folder: Path, patience: float
) -> tuple[_Order, PrivateKey] | None:
    """The order of a process that ended before the certificate was installed."""
    try:
        uri = str(json.loads((folder / "order.json").read_text(encoding="utf-8"))["order"])
        key = load_key(folder / "key.pem")
    except (OSError, ValueError, KeyError, TypeError, CertificateError):
        return None
    order = _Order(account, host, uri, patience)
    try:
        found, _ = order.look()
        going_on = found.status in _GOING_ON and not _is_old(account, found)
    except messages.Error:  # the server has forgotten it
        return None
    return (order, key) if going_on else None


def _is_old(account: Account, order: messages.Order) -> bool:
    """Whether what it gives would soon have to be renewed."""
    if order.certificate is None:
        return False
    leaf = x509.load_pem_x509_certificates(_read(account, order.certificate).content)[0]
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    return datetime.now(UTC) >= leaf.not_valid_after_utc - life / 3


def _begin(
    account: Account, host: str, folder: Path, answers: Answers, patience: float
) -> tuple[_Order, PrivateKey]:
    forget(account.folder, host)
    private_directory(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    write_bytes(folder / "key.pem", key_pem(key), mode=0o600)
    made = account.client.new_order(_request(key, host))
    write_text(folder / "order.json", json.dumps({"order": made.uri}) + "\n", mode=0o600)
    for authorization in made.authorizations:
        if authorization.body.status != messages.STATUS_VALID:  # the server may know it still
            _prove(account, host, authorization, answers, patience)
    return _Order(account, host, made.uri, patience), key


def _prove(
    account: Account,
    host: str,
    authorization: messages.AuthorizationResource,
    answers: Answers,
    patience: float,
) -> None:
    """Show the server that `host` leads here."""
    offered = authorization.body.challenges
    chosen = next((each for each in offered if isinstance(each.chall, challenges.HTTP01)), None)
    if chosen is None:
        kinds = ", ".join(str(each.chall.to_partial_json()["type"]) for each in offered)
        raise AcmeError(
            "the ACME server offers no proof by HTTP-01",
            where=host,
            found=kinds or "no proof at all",
            next_step="bring files (`tls: files`); of a wildcard no authority takes this proof",
        )
    token = str(chosen.chall.encode("token"))
    response, text = chosen.chall.response_and_validation(account.key)
    answers.publish(token, text)
    try:
        account.client.answer_challenge(chosen, response)
        seen = wait_for(
            lambda: account.client.poll(authorization),
            lambda each: each.body.status != messages.STATUS_PENDING,
            patience,
        )
    finally:
        answers.withdraw(token)
    if seen.body.status == messages.STATUS_VALID:
        return
    said = next((each.error for each in seen.body.challenges if each.error is not None), None)
    if said:
        raise unproven(said, host)
    raise AcmeError(
        "the ACME server has not looked at the proof",
        where=host,
        found=f"{seen.body.status.name} after {patience:.0f} s",
        next_step=f"iac renew {host} --force",
    )


def _issued(order: _Order, key: PrivateKey) -> bytes:
    """Have the certificate made, unless it is, and fetch it: PEM, the leaf first."""
    client, host = order.account.client, order.host
    seen = order.wait(messages.STATUS_READY, messages.STATUS_PROCESSING, messages.STATUS_VALID)
    if seen.status == messages.STATUS_READY:
        client.begin_finalization(
            messages.OrderResource(
                body=seen, uri=order.uri, authorizations=(), csr_pem=_request(key, host)
            )
        )
    seen = order.wait(messages.STATUS_VALID)
    if seen.status == messages.STATUS_VALID and seen.certificate:
        return _read(order.account, seen.certificate).content
    if seen.error:
        raise refused(seen.error, host, "the ACME server does not issue the certificate")
    raise AcmeError(
        "the ACME server has not issued the certificate",
        where=host,
        found=f"the order is {seen.status.name} after {order.patience:.0f} s",
        next_step=f"iac renew {host} --force, which takes up the same order",
    )


def _request(key: PrivateKey, host: str) -> bytes:
    return crypto_util.make_csr(key_pem(key), [host])


def _read(account: Account, url: str) -> requests.Response:
    """POST-as-GET (RFC 8555, 6.3)."""
    client: Any = account.client
    response: requests.Response = client.net.post(
        url, None, new_nonce_url=client.directory["newNonce"]
    )
    return response
