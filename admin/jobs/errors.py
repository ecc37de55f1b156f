"""What can be wrong with a question about jobs."""

from __future__ import annotations

from admin.jobs.job import Job
from iac_wrapper.errors import IacError


class UnknownJobError(IacError):
    """There is no such job, or none any more."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            "no such deployment", found=job_id[:64], next_step="GET /deployments lists them"
        )


class AlreadyEndedError(IacError):
    """The job cannot be cancelled any more."""

    def __init__(self, job: Job) -> None:
        super().__init__(
            f"the deployment has ended: {job.status}",
            found=job.id,
            next_step=f"GET /deployments/{job.id} says how",
        )


class KeyReusedError(IacError):
    """An idempotency key came with another request."""

    def __init__(self, job: Job) -> None:
        super().__init__(
            "this idempotency key belongs to another request",
            found=f"deployment {job.id}",
            expected="a new key for each new request",
            next_step="send it again with a new Idempotency-Key",
        )
