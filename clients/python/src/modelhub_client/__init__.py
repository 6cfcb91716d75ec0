"""The client of modelhub's admin API: register models, download them, follow jobs."""

from . import errors, types
from ._async.client import AsyncClient
from ._sync.client import Client
from .errors import (
    APIError,
    Conflict,
    ConnectionFailed,
    FieldError,
    Forbidden,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    Misdirected,
    ModelhubError,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UpstreamFailed,
    WaitTimeout,
)
from .types import Event, Job, JobKind, JobStatus, ModelArtifact, ModelRepo

__all__ = [
    "APIError",
    "AsyncClient",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Event",
    "FieldError",
    "Forbidden",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobKind",
    "JobStatus",
    "Misdirected",
    "ModelArtifact",
    "ModelRepo",
    "ModelhubError",
    "NotFound",
    "RateLimited",
    "ServerError",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UpstreamFailed",
    "WaitTimeout",
    "errors",
    "types",
]
