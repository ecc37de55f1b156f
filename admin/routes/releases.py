"""Releases: what was done to a project, whoever did it, from its ledger."""

from __future__ import annotations

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
    try:
        found = history.show(workspace, call.parameters["number"])
    except history.UnknownReleaseError as error:
        raise Problem(
            404,
            "no-such-release",
            error.message,
            found=error.found,
            next_step="GET /releases lists them",
        ) from None
    return jsonify(scrub({"project": workspace.project, **found.to_dict()}, workspace.redactor()))


def _workspace(call: Call) -> Workspace:
    project = settings.check_project(call.project, where="project")
    return call.backend.workspace(project)


HANDLERS = {"listReleases": list_releases, "getRelease": get_release}
