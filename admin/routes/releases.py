"""Releases: what was done to a project, whoever did it, from its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify

from admin.call import Call
from admin.problem import Problem
from admin.scrub import scrub
from iac_wrapper import settings
from iac_wrapper.operations import history
from iac_wrapper.operations.workspace import Workspace


def list_releases(call: Call) -> Response:
    """A page of releases and events, newest first."""
    workspace, limit = _workspace(call), call.parameters["limit"]
    found, before = history.history(workspace), call.parameters["before"]
    older = [each for each in found.entries if before is None or each.number < before]
    page: dict[str, Any] = {
        "project": workspace.project,
        "releases": [each.to_dict() for each in older[:limit]],
        "remarks": list(found.remarks),
    }
    if len(older) > limit:
        query = {"project": workspace.project, "limit": limit, "before": older[limit - 1].number}
        page["next"] = f"/releases?{urlencode(query)}"
    return jsonify(scrub(page, workspace.redactor()))


def get_release(call: Call) -> Response:
    """One release or event, and what was deployed after it."""
    workspace = _workspace(call)
    with _known():
        found = history.show(workspace, call.parameters["number"])
    return jsonify(scrub({"project": workspace.project, **found.to_dict()}, workspace.redactor()))


def get_difference(call: Call) -> Response:
    """What differs between what was deployed after two releases."""
    workspace = _workspace(call)
    with _known():
        found = history.difference(workspace, call.parameters["number"], call.parameters["other"])
    return jsonify(scrub({"project": workspace.project, **found.to_dict()}, workspace.redactor()))


@contextmanager
def _known() -> Iterator[None]:
    """A number that is not in the ledger is an address at which nothing is."""
    try:
        yield
    except history.UnknownReleaseError as error:
        raise Problem(
            404,
            "no-such-release",
            error.message,
            found=error.found,
            next_step="GET /releases lists them",
        ) from None


def _workspace(call: Call) -> Workspace:
    project = settings.check_project(call.project, where="project")
    return call.backend.workspace(project)


HANDLERS = {
    "listReleases": list_releases,
    "getRelease": get_release,
    "getDifference": get_difference,
}
