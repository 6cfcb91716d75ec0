"""What can go wrong, as classes. All are ModelhubError."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx2

from .gen.modelhub.v1 import Job


class ModelhubError(Exception):
    """The base class of all errors of this client."""


class ConnectionFailed(ModelhubError):
    """The server did not respond, or the response was cut off."""


class UnexpectedAnswer(ModelhubError):
    """The server is not a modelhub, or of a version that this client cannot read."""


@dataclass(frozen=True)
class FieldError:
    """An invalid field of the request."""

    field: str
    message: str


class APIError(ModelhubError):
    """The server refused the request, and says why."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        type: str = "",
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.type = type
        # Invalid fields, mostly of InvalidRequest.
        self.errors = errors
        # Seconds after which it may work, where the server says so.
        self.retry_after = retry_after
        super().__init__(status, title, detail)

    def __str__(self) -> str:
        text = f"{self.detail or self.title} (status {self.status})"
        for error in self.errors:
            text += f"; {error.field}: {error.message}"
        return text


class InvalidRequest(APIError):
    """A field is invalid; `errors` says which, and what was expected."""


class Unauthorized(APIError):
    """A token is missing or wrong."""


class Forbidden(APIError):
    """Not allowed: by this server, or by upstream."""


class NotFound(APIError):
    """Not found."""


class Conflict(APIError):
    """Not possible in the current state, e.g. cancelling a job that has ended."""


class Misdirected(APIError):
    """The server does not accept the host name in `base_url`."""


class RateLimited(APIError):
    """Too many requests; `retry_after` says when to try again."""


class ServerError(APIError):
    """The server, or its upstream, failed."""


class UpstreamFailed(ServerError):
    """The upstream hub sent an invalid response, or none in time."""


class Unavailable(ServerError):
    """Temporarily unavailable."""


class JobFailed(ModelhubError):
    """The awaited job failed; `job.error` says why."""

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(job)

    def __str__(self) -> str:
        subject = f" of {self.job.repo_id}" if self.job.repo_id else ""
        reason = self.job.error or "no reason given"
        return f"{self.job.kind.name} job {self.job.id}{subject} failed: {reason}"


class JobCancelled(JobFailed):
    """The awaited job was cancelled."""

    def __str__(self) -> str:
        return f"{self.job.kind.name} job {self.job.id} was cancelled"


class WaitTimeout(ModelhubError, TimeoutError):
    """The awaited job did not end in time, and continues; `job` is its last state."""

    def __init__(self, job: Job, timeout: float) -> None:
        self.job = job
        self.timeout = timeout
        super().__init__(job, timeout)

    def __str__(self) -> str:
        why = f", waiting for {self.job.waiting_for}" if self.job.waiting_for else ""
        state = f"{self.job.status.name}{why}"
        return f"job {self.job.id} is {state} after {self.timeout:g} s"


_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    421: Misdirected,
    422: InvalidRequest,
    429: RateLimited,
    502: UpstreamFailed,
    503: Unavailable,
    504: UpstreamFailed,
}


def of_response(response: httpx2.Response) -> ModelhubError:
    """The error of a response (RFC 9457) whose body has been read."""
    status = response.status_code
    if not 400 <= status <= 599:
        request = response.request
        return UnexpectedAnswer(f"{request.method} {request.url}: status {status}")
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else APIError)
    problem = _problem(response)
    if problem is None:
        # A proxy in between says in its own way that it is too much, or broken. Any
        # other refusal is a stranger's.
        said = response.text.strip()[:500]
        if status != 429 and status < 500:
            request = response.request
            return UnexpectedAnswer(
                f"{request.method} {request.url}: not a modelhub admin "
                f"API: status {status}; check base_url. It says: {said or '-'}"
            )
        problem = {"detail": said}
    title = problem.get("title") or response.reason_phrase or f"status {status}"
    return kind(
        status,
        str(title),
        str(problem.get("detail") or ""),
        type=str(problem.get("type") or ""),
        errors=tuple(
            FieldError(str(error.get("field") or ""), str(error.get("message") or ""))
            for error in problem.get("errors") or ()
            if isinstance(error, dict)
        ),
        retry_after=_seconds(response.headers.get("retry-after")),
    )


def _problem(response: httpx2.Response) -> dict[str, Any] | None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/problem+json":
        return None
    try:
        problem = json.loads(response.content)
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
