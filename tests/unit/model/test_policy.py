"""Who may call whom, as it follows from a lock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from iac_wrapper.errors import ConfigError
from iac_wrapper.model import policy
from iac_wrapper.model.exposure import LOCAL
from iac_wrapper.model.options import Options
from iac_wrapper.model.policy import Granting, Policy
from runner.sidecar import policy as sidecar
from tests.constructs.facts import app, lock


def _policies(**allow: Mapping[str, tuple[str, ...]] | None) -> dict[str, Policy]:
    apps = [app(name, options=Options(allow=allowed)) for name, allowed in allow.items()]
    return policy.policies(lock(*apps))


def test_without_a_list_every_service_may_call() -> None:
    """With one those that it names, and the service itself: its one-offs have its identity."""
    rules = ("/api/*", "tcp:5432")
    found = _policies(web=None, db={"web": rules}, lonely={})
    assert found["web"].callers == {"db": (), "lonely": (), "web": ()}
    assert found["db"].callers == {"web": rules, "db": ()}
    assert found["lonely"].callers == {"lonely": ()}
    assert found["db"].services == ("db", "lonely", "web")


def test_while_a_deploy_goes_on_old_and_new_callers_may_call() -> None:
    """What one of two policies lets in; everything stays everything."""
    one = Policy({"a": (), "b": ("/x",), "c": ("/x",)}, False, ("a", "b", "c"))
    other = Policy({"a": ("/y",), "b": ("/y", "/x"), "d": ()}, True, ("a", "b", "d"))
    assert policy.either(one, other) == Policy(
        {"a": (), "b": ("/x", "/y"), "c": ("/x",), "d": ()}, True, ("a", "b", "c", "d")
    )


def test_who_is_not_there_is_no_caller() -> None:
    """As a service that a deploy did not start, or that was removed since."""
    assert _policies(db={"web": (), "db": ()})["db"].callers == {"db": ()}


def test_the_ingress_may_call_what_is_exposed() -> None:
    """And nothing else."""
    apps = app("web", options=Options(expose=LOCAL)), app("db")
    found = policy.policies(lock(*apps))
    assert (found["web"].ingress, found["db"].ingress) == (True, False)


def test_the_sidecar_reads_the_same_document() -> None:
    """Both halves make the same text, and so the same digest, of it."""
    (made,) = _policies(web={"web": ("/a/*", "/shop.v1.Orders/Get", "tcp:1")}).values()
    read = sidecar.read(made.text)
    assert (read.text, read.digest) == (made.text, made.digest)
    assert made.digest == hashlib.sha256(made.text.encode()).hexdigest()
    assert json.loads(made.text) == {"callers": {"web": []}, "ingress": False, "services": ["web"]}


def test_the_hash_of_all_is_that_of_policies_alone() -> None:
    """A new commit changes no policy."""
    one, two = app("web"), app("db", options=Options(allow={"web": ()}))
    same = lock(replace(one, commit="f" * 40, port=8080), two)
    other = lock(one, replace(two, options=Options(allow={})))
    assert policy.digest(lock(one, two)) == policy.digest(same)
    assert policy.digest(lock(one, two)) != policy.digest(other)


def test_a_list_that_names_nobody_is_refused() -> None:
    """With its line, the name that was meant, and the names that there are."""
    with pytest.raises(ConfigError) as caught:
        policy.check({"db": Granting({"wep": ()}, "repos.yaml:3"), "web": Granting(None)})
    error = caught.value
    assert error.message == "db allows wep, and there is no such service"
    assert error.where == "repos.yaml:3"
    assert error.expected == "'web'; one of db, web"


@pytest.mark.parametrize(("allow", "said"), [({"web": ()}, 0), (None, 0), ({}, 1), ({"db": ()}, 1)])
def test_who_needs_what_it_may_not_call_is_told(allow: Any, said: int) -> None:
    """It may be meant: the order of first starts is no call."""
    web, db = app("web", options=Options(needs=("db",))), app("db", options=Options(allow=allow))
    found = policy.contradictions(lock(web, db))
    assert len(found) == said
    assert all("calls of web to db are refused" in text for text in found)
