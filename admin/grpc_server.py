"""The gRPC call Deploy of controlplane.proto, on loopback with mTLS, by the same rules as HTTP.

The server shows the control plane's own leaf certificate and lets in only callers with that
identity: whoever can read its key. Each handshake reads the files anew, so a rotation needs no
restart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc

from admin.actor import Actor
from admin.backend import Backend
from admin.jobs import intents
from admin.jobs.job import Job, JobRequest
from admin.problem import STATUS, from_error
from iac_wrapper.errors import ConfigError, IacError
from iac_wrapper.files.layout import network_name
from iac_wrapper.grpc_pb import controlplane_pb2 as pb
from iac_wrapper.grpc_pb import controlplane_pb2_grpc
from iac_wrapper.identity import certificates, issuers
from iac_wrapper.model.certificate import CONTROL_PLANE, spiffe_id

MAX_CALLS = 16
"""Deploy calls at once; each waits for its deployment, one of which runs per project."""

WAIT_SECONDS = 5.0
"""How often a waiting call looks whether its client is still there."""


class GrpcServer:
    """Serves Deploy on `address`; port 0 takes a free one, `port` says which."""

    def __init__(self, backend: Backend, address: tuple[str, int]) -> None:
        self._backend = backend
        self._address = address
        self._trust_domain = network_name(backend.settings.project)
        self._server: Any = None
        self.port = 0

    def start(self) -> None:
        """Bind and serve.

        Raises:
            ConfigError: the address is taken.
            CertificateError: the control plane's certificate cannot be used or issued.
        """
        host, port = self._address
        server = grpc.server(
            ThreadPoolExecutor(MAX_CALLS, "grpc"),
            maximum_concurrent_rpcs=MAX_CALLS,
            options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 2**20)),
        )
        controlplane_pb2_grpc.add_ControlPlaneServicer_to_server(
            _ControlPlane(self._backend, spiffe_id(self._trust_domain, CONTROL_PLANE)), server
        )
        credentials = grpc.dynamic_ssl_server_credentials(
            self._certificates(), self._certificates, require_client_authentication=True
        )
        written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = server.add_secure_port(written, credentials)
        except RuntimeError as error:
            raise ConfigError(
                "the address of the gRPC server cannot be used",
                where="IAC_ADMIN_GRPC",
                found=f"{written}: {error}",
                next_step="stop what listens there, or set IAC_ADMIN_GRPC to another port or off",
            ) from None
        server.start()
        self._server = server

    def stop(self, grace: float) -> None:
        """Refuse new calls, end those in flight after `grace` seconds; their jobs go on."""
        if self._server:
            self._server.stop(grace).wait()

    def _certificates(self) -> Any:
        layout, project = self._backend.layout, self._backend.settings.project
        leaf = certificates.ensure_leaf(
            issuers.ensure_issuer(layout.secrets, self._backend.settings.cert_command),
            layout.certificates(project) / CONTROL_PLANE,
            name=CONTROL_PLANE,
            trust_domain=self._trust_domain,
            owner_uid=os.getuid(),
            lifetime=self._backend.settings.leaf_lifetime,
        )
        pair = (leaf.key.read_bytes(), leaf.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration([pair], leaf.trusted.read_bytes())


class _ControlPlane(controlplane_pb2_grpc.ControlPlaneServicer):  # type: ignore[misc]
    """Only Deploy: the other calls are for runners, and answer UNIMPLEMENTED here."""

    def __init__(self, backend: Backend, identity: str) -> None:
        self._backend = backend
        self._identity = identity

    def Deploy(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Start a deployment of the server's project, wait for its end, report every service."""
        actor = self._actor(context)
        if not self._backend.open_for_work:
            context.abort(grpc.StatusCode.UNAVAILABLE, "this server is starting or stopping")
        with _translated(context):
            job = self._submit(tuple(request.slugs), actor)
        context.send_initial_metadata((("iac-deployment", job.id),))
        return self._result(self._wait(job, context), context)

    def _actor(self, context: Any) -> Actor:
        names = context.auth_context().get("x509_subject_alternative_name", [])
        peer = context.peer()
        if self._identity.encode() not in names:
            shown = ", ".join(name.decode(errors="replace") for name in names)
            self._audit(None, peer, "wrong-identity")
            context.abort(
                grpc.StatusCode.PERMISSION_DENIED, f"only {self._identity} may deploy, not {shown}"
            )
        return Actor(
            "certificate",
            self._identity,
            scopes=frozenset(("read", "deploy")),
            via="grpc",
            peer=peer,
            owner=True,
        )

    def _submit(self, slugs: tuple[str, ...], actor: Actor) -> Job:
        settings = self._backend.settings
        request = JobRequest("deploy", settings.project, slugs=slugs, owner=True)
        try:
            if not slugs:
                raise ConfigError(
                    "no slugs given",
                    where="slugs",
                    expected="at least one",
                    next_step="send a slug such as gh:owner/repo",
                )
            intents.check(request, settings, self._backend.layout.root)
            job, _ = self._backend.jobs.submit(request, actor)
        except IacError as error:
            self._audit(actor, actor.peer, from_error(error).code)
            raise
        self._audit(actor, actor.peer, "accepted", job)
        return job

    def _audit(self, actor: Actor | None, peer: str, outcome: str, job: Job | None = None) -> None:
        self._backend.audit.record(
            "deploy",
            actor=actor,
            project=self._backend.settings.project,
            deployment=job.id if job else None,
            outcome=outcome,
            peer=peer,
            asked=job.request.asked() if job else None,
        )

    def _wait(self, job: Job, context: Any) -> Job:
        log, after, ended = self._backend.jobs.events(job.id), 0, False
        while not ended:
            entries, ended = log.wait(after, WAIT_SECONDS)
            after = entries[-1].id if entries else after
            if not ended and (self._backend.stopping.is_set() or not context.is_active()):
                context.abort(
                    grpc.StatusCode.UNAVAILABLE,
                    f"the server stops; the deployment {job.id} goes on",
                )
        return self._backend.jobs.get(job.id)

    @staticmethod
    def _result(job: Job, context: Any) -> Any:
        if job.report is None:
            _fail(context, job)
        error = (job.error or {}).get("message", "it was broken before this deploy")
        return pb.DeployResult(
            services=[_service(service, error) for service in job.report["services"]]
        )


def _service(service: Mapping[str, Any], error: str) -> Any:
    serving = service["status"] == "SERVING"
    return pb.ServiceResult(
        service=service["name"],
        slug=service["slug"],
        commit=service["commit"] or "",
        image=service["image"],
        health=pb.HealthStatus(
            status=pb.SERVING if serving else pb.NOT_SERVING,
            phase=0 if service["phase"] == "UNKNOWN" else pb.Phase.Value(service["phase"]),
            exit_code=service["exit_code"],
            signal=service["signal"],
            oom=service["oom_killed"],
            oom_kills=service["oom_kills"],
            message=service["message"],
        ),
        error="" if serving else service["message"] or error,
    )


def _fail(context: Any, job: Job) -> NoReturn:
    error = job.error or {}
    facts = [
        str(error[key]) for key in ("where", "message", "found", "next_step") if error.get(key)
    ]
    context.abort(
        grpc.StatusCode.ABORTED if job.resumable else grpc.StatusCode.FAILED_PRECONDITION,
        f"deployment {job.id} {job.status}: " + "; ".join(facts),
    )
    raise AssertionError("abort raises")


@contextmanager
def _translated(context: Any) -> Iterator[None]:
    try:
        yield
    except IacError as error:
        _, name = STATUS[error.problem]
        context.abort(grpc.StatusCode[name], error.render())
