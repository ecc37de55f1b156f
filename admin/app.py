"""The Flask application: the document's operations, each behind the same checks.

Order: source (Host, Origin), caller, scope, size and media type, shape; then the handler. What is
not in the OpenAPI document cannot be reached.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from admin import access, contract
from admin.backend import Backend
from admin.call import MAX_BODY_BYTES, Call, data_of
from admin.contract import Operation
from admin.jobs.job import Job, JobRequest
from admin.problem import MEDIA_TYPE, Problem, from_error, not_serving
from admin.routes import deployments, releases, state, webhooks
from admin.scrub import scrub
from admin.streams import Streams
from iac_wrapper.errors import IacError
from iac_wrapper.model.redact import Redactor

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer. There is no CORS: no page of a browser is meant to read this."""

Handler = Callable[[Call], Response]

log = logging.getLogger("iac.admin")


def create_app(backend: Backend) -> Flask:
    """The application over `backend`, which may be started or not."""
    app = Flask("admin", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # see data_of
    app.json.sort_keys = app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # no redirects
    if backend.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=backend.settings.trusted_proxies, x_proto=0, x_host=0
        )
    streams = Streams(backend.metrics, backend.stopping)
    handlers: Mapping[str, Handler] = {
        **state.HANDLERS,
        **deployments.HANDLERS,
        **releases.HANDLERS,
        **webhooks.HANDLERS,
    }
    operations = {operation.id: operation for operation in contract.operations()}
    for operation in operations.values():
        app.add_url_rule(
            operation.path.replace("{", "<").replace("}", ">"),
            endpoint=operation.id,
            view_func=_view(backend, streams, operation, handlers[operation.id]),
            methods=[operation.method],
            provide_automatic_options=False,
        )
    _add_frame(app, backend, operations)
    return app


def _view(
    backend: Backend, streams: Streams, operation: Operation, handler: Handler
) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        parameters = operation.read_parameters(path, request.args, request.headers)
        signed = operation.access == "signature"  # the handler proves who sent it before reading
        body = None if signed else _body(operation)
        return handler(Call(backend, streams, request, g.actor, parameters, body))

    return view


def _body(operation: Operation) -> object:
    if operation.body is None:
        return None
    if request.mimetype != "application/json":
        raise Problem(
            415,
            "not-json",
            "requests are JSON",
            found=request.mimetype[:100] or "no Content-Type",
            expected="Content-Type: application/json",
        )
    return operation.read_body(data_of(request))


def _add_frame(app: Flask, backend: Backend, operations: Mapping[str, Operation]) -> None:
    """What happens around every request."""
    app.before_request(partial(_enter, backend, operations))
    app.after_request(partial(_leave, backend))
    errors = _Errors(backend)
    app.register_error_handler(Problem, errors.problem)
    app.register_error_handler(IacError, errors.known)
    app.register_error_handler(HTTPException, errors.http)
    app.register_error_handler(Exception, errors.unforeseen)


def _enter(backend: Backend, operations: Mapping[str, Operation]) -> None:
    """Check who calls before anything else is looked at."""
    g.began, g.actor, g.problem = time.monotonic(), None, None
    g.job = g.asked = None
    g.request_id = secrets.token_hex(8)
    access.check_source(request, backend.settings)
    operation = operations.get(request.endpoint or "")
    wanted = operation.access if operation else "read"
    if wanted == "public":
        return
    _check_open(backend)
    if wanted == "signature":
        return
    mutating = operation.mutating if operation else False
    g.actor = access.authenticate(request, backend.gate, backend.settings, mutating=mutating)
    if wanted != "by-kind":  # the handler knows the kind
        access.require(g.actor, wanted)


def _leave(backend: Backend, response: Response) -> Response:
    """Headers of every answer, metrics, audit."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers["X-Request-Id"] = g.request_id
    route = request.url_rule.rule if request.url_rule else "unknown"
    seconds = time.monotonic() - g.began
    backend.metrics.request(request.method, route, response.status_code, seconds)
    if request.method not in ("GET", "HEAD") or response.status_code in (401, 403, 429):
        _audit(backend, response.status_code)
    return response


class _Errors:
    """Every way to fail as a problem document."""

    def __init__(self, backend: Backend) -> None:
        self._metrics = backend.metrics
        self._redact = Redactor(backend.settings.secrets)

    def problem(self, error: Problem) -> Response:
        if error.status in (401, 403, 429):
            self._metrics.auth_failure(error.code)
        return self._answer(error)

    def known(self, error: IacError) -> Response:
        found = from_error(error)
        if found.status == 500:
            log.error("%s: %s", g.request_id, self._redact(error.render()))
        return self._answer(found)

    def http(self, error: HTTPException) -> Response:
        status = error.code or 500
        code = (error.name or "error").lower().replace(" ", "-").replace("'", "")
        headers = {k: v for k, v in error.get_headers() if k == "Allow"}
        hint = contract.NEXT_STEP if status < 500 else None
        return self._answer(
            Problem(
                status,
                code,
                _sentence(status, error),
                headers=headers,
                expected=headers.get("Allow"),
                next_step=hint,
            )
        )

    def unforeseen(self, error: Exception) -> Response:
        log.error(
            "%s: unforeseen %s in %s",
            g.request_id,
            type(error).__name__,
            request.endpoint,
            exc_info=error,
        )
        words = "an unexpected error occurred; the server's log has it under the request id"
        return self._answer(Problem(500, "internal", words))

    def _answer(self, error: Problem) -> Response:
        g.problem = error.code
        body = scrub({**error.body(), "request_id": g.request_id}, self._redact)
        return Response(
            current_app.json.dumps(body, separators=(",", ":")) + "\n",
            error.status,
            error.headers,
            content_type=MEDIA_TYPE,
        )


def _check_open(backend: Backend) -> None:
    """The port is open a moment before the jobs of an earlier server are taken up."""
    if not backend.open_for_work:
        doing = "stops" if backend.stopping.is_set() else "is starting"
        raise not_serving(f"this server {doing}; try again")


def _audit(backend: Backend, status: int) -> None:
    job: Job | None = g.job
    asked: JobRequest | None = job.request if job else g.asked
    backend.audit.record(
        request.endpoint or "unknown",
        actor=g.actor,
        project=asked.project if asked else None,
        deployment=job.id if job else None,
        outcome=g.problem or "accepted",
        request_id=g.request_id,
        status=status,
        peer=access.peer_of(request),
        asked=asked.asked() if asked else None,
    )


def _sentence(status: int, error: HTTPException) -> str:
    known = {
        404: "there is nothing at this address",
        405: f"{request.method} is not served here",
        413: f"the body is larger than {MAX_BODY_BYTES} bytes",
    }
    return known.get(status) or error.description or error.name
