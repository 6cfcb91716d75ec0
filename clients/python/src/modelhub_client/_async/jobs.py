"""Jobs, events, and waiting."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from datetime import datetime

from .._messages import (
    JobRef,
    ModelRef,
    Texts,
    job_id,
    job_path,
    moment,
    texts,
    words,
)
from .._options import async_sleep
from ..errors import ConnectionFailed, JobCancelled, JobFailed, Unavailable, WaitTimeout
from ..gen.modelhub.v1 import (
    DismissFailedJobsResponse,
    Event,
    Job,
    JobKind,
    JobStatus,
    ListJobLogRequest,
    ListJobLogResponse,
    ListJobsRequest,
    ListJobsResponse,
    LogLine,
    ModelRepo,
    WatchEventsRequest,
)
from .transport import AsyncTransport

# Seconds that the server may be unreachable during `wait`, e.g. while it restarts.
_PATIENCE = 60.0


class AsyncJobs(AsyncTransport):
    async def jobs(
        self,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] = (),
        kind: JobKind | str | Iterable[JobKind | str] = (),
        model: ModelRef = "",
        search: str = "",
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        finished_after: datetime | None = None,
        order: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[Job]:
        """All matching jobs, newest first, page by page.

        `search` is a part of the repository's name, the error or the outcome. With
        the `order` "-finished", those that ended last come first.
        """
        request = ListJobsRequest(
            status=words(JobStatus, status),
            kind=words(JobKind, kind),
            model=model.id if isinstance(model, ModelRepo) else model,
            search=search,
            created_after=moment(created_after),
            created_before=moment(created_before),
            finished_after=moment(finished_after),
            order=order,
            page_size=page_size,
        )
        while True:
            page = await self._get(ListJobsResponse, "/v1/jobs", request)
            for job in page.jobs:
                yield job
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def job(self, job: JobRef) -> Job:
        """The current state of a job."""
        return await self._get(Job, job_path(job))

    async def job_log(self, job: JobRef, *, after: int = 0) -> AsyncIterator[LogLine]:
        """The lines of a job's log so far, page by page."""
        request = ListJobLogRequest(after=after)
        while True:
            page = await self._get(ListJobLogResponse, job_path(job, "log"), request)
            for line in page.lines:
                yield line
            if not (page.more and page.lines):
                return
            request.after = page.lines[-1].number

    async def cancel(self, job: JobRef) -> Job:
        return await self._post(Job, job_path(job, "cancel"))

    async def retry(self, job: JobRef) -> Job:
        """Runs a failed or cancelled job again."""
        return await self._post(Job, job_path(job, "retry"))

    async def dismiss(self, job: JobRef) -> Job:
        """Dismisses a failed job, so that it does not count as failed any more."""
        return await self._post(Job, job_path(job, "dismiss"))

    async def dismiss_failed(self) -> int:
        """Dismisses all failed jobs; how many there were."""
        answer = await self._post(DismissFailedJobsResponse, "/v1/jobs/dismiss")
        return answer.dismissed

    async def pause(self, job: JobRef) -> Job:
        return await self._post(Job, job_path(job, "pause"))

    async def resume(self, job: JobRef) -> Job:
        return await self._post(Job, job_path(job, "resume"))

    async def events(
        self, *, kinds: Texts = (), job: JobRef = "", after: int = 0
    ) -> AsyncGenerator[Event, None]:
        """An endless stream of events as they happen.

        Only these `kinds`, or all; only of this `job`; only what comes `after` this
        event. When the connection is lost it is reopened and resumes where it was; an
        event of the kind `lost` says that some were missed.
        """
        request = WatchEventsRequest(
            kinds=texts(kinds), job_id=job_id(job), after=after
        )
        async for event in self._stream("/v1/events", request):
            yield event

    async def wait(
        self,
        job: JobRef,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Job], object] | None = None,
    ) -> Job:
        """Waits until a job is completed, and returns it.

        Raises JobFailed or JobCancelled when it ends otherwise, and WaitTimeout when it
        has not ended after `timeout` seconds. `on_progress` gets the job each time that
        it changed. A server that restarts meanwhile is waited for.
        """
        began = answered = time.monotonic()
        pause = 0.1
        seen: Job | None = None
        while True:
            try:
                now = await self.job(job)
                answered = time.monotonic()
            except (ConnectionFailed, Unavailable):
                if seen is None or time.monotonic() - answered > _PATIENCE:
                    raise
                now = seen
            if now != seen and on_progress:
                on_progress(now)
            seen = now
            if now.status == JobStatus.completed:
                return now
            if now.status == JobStatus.failed:
                raise JobFailed(now)
            if now.status == JobStatus.cancelled:
                raise JobCancelled(now)
            if timeout is not None:
                left = began + timeout - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(now, timeout)
                pause = min(pause, left)
            await async_sleep(pause)
            pause = min(pause * 1.5, 2.0)
