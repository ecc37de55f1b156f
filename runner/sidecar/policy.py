"""Who may call this service: a document that the control plane makes. Values, no I/O."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.sidecar.refused import Refused

CONTROL_PLANE, OPERATOR, INGRESS = "control-plane", "operator", "ingress"
"""Names of identities that are no service. The control plane may always call; an operator while
it has a lease; the ingress where the document says so."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"/[!-~]{0,1000}")
_TCP = re.compile(r"tcp:([1-9][0-9]{0,4})")
_FIELDS = ("callers", "ingress", "services")


@dataclass(frozen=True)
class Policy:
    """The document.

    `callers` maps a service to what it may call, nothing meaning everything: exact HTTP paths,
    prefixes that end in ``*``, ports as ``tcp:PORT``. `ingress`: people may call over HTTP.
    `services` are all those of the project.
    """

    callers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ingress: bool = False
    services: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The canonical form: both sides of the wall make the same text of the same policy."""
        found = {"callers": self.callers, "ingress": self.ingress, "services": self.services}
        return json.dumps(found, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def paths(rules: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a caller's rules that are about HTTP."""
    return tuple(rule for rule in rules if rule[0] == "/")


def ports(rules: tuple[str, ...]) -> tuple[int, ...]:
    """The ports that a caller's rules name."""
    return tuple(int(found[1]) for rule in rules if (found := _TCP.fullmatch(rule)))


def read(text: str) -> Policy:
    """Check a document.

    Raises:
        Refused: it is another one; the sentence says what is wrong.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the policy is no JSON ({error})") from None
    if not isinstance(found, dict) or sorted(found) != list(_FIELDS):
        raise Refused(f"the policy is no JSON object with exactly {', '.join(_FIELDS)}")
    callers, ingress, services = (found[each] for each in _FIELDS)
    if not isinstance(ingress, bool):
        raise Refused(f"ingress of the policy is {_shown(ingress)}, expected true or false")
    if not isinstance(services, list) or not all(map(_is_service, services)):
        raise Refused(f"services of the policy is {_shown(services)}, expected names of services")
    if not isinstance(callers, dict):
        raise Refused(f"callers of the policy is {_shown(callers)}, expected an object")
    strange = sorted(callers.keys() - set(services))
    if strange:
        raise Refused(f"the policy has the caller {_shown(strange[0])}, which is not in services")
    rules = {name: _rules(name, callers[name]) for name in callers}
    return Policy(rules, ingress, tuple(services))


def _rules(name: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, list):
        raise Refused(f"the rules of caller {name} are {_shown(found)}, expected a list")
    for each in found:
        if not (isinstance(each, str) and (_is_path(each) or _is_port(each))):
            raise Refused(
                f"a rule of caller {name} is {_shown(each)},"
                " expected /PATH, /PREFIX* or tcp:PORT"
            )
    return tuple(found)


def _is_service(name: Any) -> bool:
    reserved = (CONTROL_PLANE, OPERATOR, INGRESS)
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and name not in reserved


def _is_path(rule: str) -> bool:
    return bool(_PATH.fullmatch(rule)) and not re.search(r"[?#\\]|\*.", rule)


def _is_port(rule: str) -> bool:
    found = _TCP.fullmatch(rule)
    return bool(found) and int(rule[4:]) < 65536


def _shown(found: Any) -> str:
    return json.dumps(found)[:100]
