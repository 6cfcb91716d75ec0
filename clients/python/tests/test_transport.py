"""Failures, retries, pages, events and waiting."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

import modelhub_client
from modelhub_client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    JobStatus,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedAnswer,
    UpstreamFailed,
    WaitTimeout,
)

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELHUB_ADMIN_URL", raising=False)
    monkeypatch.delenv("MODELHUB_ADMIN_TOKEN", raising=False)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept."""
    naps: list[float] = []

    async def note(seconds: float) -> None:
        naps.append(seconds)

    for module in ("transport", "jobs"):
        sync = f"modelhub_client._sync.{module}.sleep"
        monkeypatch.setattr(sync, naps.append)
        monkeypatch.setattr(f"modelhub_client._async.{module}.async_sleep", note)
    return naps


def client(handler: Handler, **options: Any) -> Client:
    return Client(transport=httpx2.MockTransport(handler), **options)


def answers(*each: httpx2.Response | Exception) -> tuple[Handler, list[httpx2.Request]]:
    """A server that says one after the other, and what it was asked."""
    left = list(each)
    asked = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle, asked


def ok(value: object) -> httpx2.Response:
    return httpx2.Response(200, json=value)


def problem(status: int, headers: dict[str, str] | None = None) -> httpx2.Response:
    value = {
        "type": "about:blank",
        "title": "Not so",
        "status": status,
        "detail": "This is wrong.",
        "errors": [{"field": "repo_id", "message": "say namespace/name"}],
    }
    headers = {"content-type": "application/problem+json"} | (headers or {})
    return httpx2.Response(status, content=json.dumps(value), headers=headers)


def test_a_problem_becomes_an_error_of_its_class() -> None:
    handle, _ = answers(problem(400))
    with client(handle) as c, pytest.raises(InvalidRequest) as caught:
        c.register("name only")
    error = caught.value
    assert (error.status, error.title, error.detail) == (
        400,
        "Not so",
        "This is wrong.",
    )
    assert [e.field for e in error.errors] == ["repo_id"]
    assert str(error) == "This is wrong. (status 400); repo_id: say namespace/name"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (409, "Conflict"),
        (418, "APIError"),
        (421, "Misdirected"),
        (422, "InvalidRequest"),
        (500, "ServerError"),
        (502, "UpstreamFailed"),
        (503, "Unavailable"),
        (504, "UpstreamFailed"),
    ],
)
def test_each_status_has_a_class(status: int, kind: str) -> None:
    handle, asked = answers(problem(status))
    with client(handle) as c, pytest.raises(modelhub_client.ModelhubError) as caught:
        c.overview()
    assert type(caught.value).__name__ == kind
    assert len(asked) == 1


def test_a_limit_says_when_to_come_again() -> None:
    handle, _ = answers(problem(429, {"retry-after": "7"}))
    with client(handle) as c, pytest.raises(RateLimited) as caught:
        c.overview()
    assert caught.value.retry_after == 7.0


def test_errors_of_others_are_readable_too() -> None:
    page = httpx2.Response(502, html="<h1>Bad Gateway</h1>")
    handle, _ = answers(page, ok([]), httpx2.Response(200, text="hello"), ok({"id": 1}))
    with client(handle) as c:
        with pytest.raises(UpstreamFailed, match="Bad Gateway"):
            c.overview()
        for _ in range(3):
            with pytest.raises(UnexpectedAnswer):
                c.job("id")
    with client(lambda _: httpx2.Response(307)) as c, pytest.raises(UnexpectedAnswer):
        c.overview()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_the_refusal_of_a_stranger_says_nothing_of_models(status: int) -> None:
    # The hub listener answers so: an address of the wrong listener is no missing model.
    says = {"error": "Repository not found"}
    handle, _ = answers(httpx2.Response(status, json=says))
    with (
        client(handle) as c,
        pytest.raises(UnexpectedAnswer, match=f"status {status}; check base_url"),
    ):
        c.model("org/name")


def test_reading_is_tried_again(naps: list[float]) -> None:
    broken = httpx2.ReadError("broken")
    handle, asked = answers(broken, broken, ok({"models": "3"}))
    with client(handle) as c:
        assert c.overview().models == 3
    assert len(asked) == 3 and len(naps) == 2 and 0 < naps[0] <= 0.2 < sum(naps)


def test_in_the_end_it_is_an_error() -> None:
    handle, asked = answers(*[httpx2.ConnectError("refused")] * 3)
    with client(handle, retries=2, base_url="http://hub.test:1") as c:
        with pytest.raises(ConnectionFailed, match="v1/overview at http://hub.test:1"):
            c.overview()
    assert len(asked) == 3


def test_changes_are_tried_again_only_if_they_did_not_arrive() -> None:
    handle, asked = answers(httpx2.ConnectError("refused"), httpx2.ReadError("broken"))
    with client(handle) as c, pytest.raises(ConnectionFailed):
        c.sync("org/name")
    assert len(asked) == 2


def test_the_environment_names_server_and_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle, asked = answers(ok({}), ok({}), ok({}))
    with client(handle) as c:
        c.overview()
    monkeypatch.setenv("MODELHUB_ADMIN_URL", "https://hub.test/below/")
    monkeypatch.setenv("MODELHUB_ADMIN_TOKEN", "secret")
    with client(handle) as c:
        c.overview()
    with client(handle, base_url="http://other.test", token="") as c:
        c.overview()
    assert [str(request.url) for request in asked] == [
        "http://127.0.0.1:8485/v1/overview",
        "https://hub.test/below/v1/overview",
        "http://other.test/v1/overview",
    ]
    tokens = [request.headers.get("authorization") for request in asked]
    assert tokens == [None, "Bearer secret", None]
    with pytest.raises(ValueError, match="begins with http"):
        Client("hub.test:8485")


def test_a_name_is_one_part_of_the_path() -> None:
    handle, asked = answers(ok({}), ok({}), ok({}))
    with client(handle) as c:
        c.model("dataset/org/name")
        c.revisions("a b/ü%?#")
        c.model("..")
    assert [request.url.raw_path for request in asked] == [
        b"/v1/models/dataset%2Forg%2Fname",
        b"/v1/models/a%20b%2F%C3%BC%25%3F%23/revisions",
        b"/v1/models/%2E%2E",
    ]


def test_only_what_is_given_is_changed() -> None:
    handle, asked = answers(ok({}), ok({}), ok({}))
    with client(handle) as c:
        c.update_settings(offline=False, hf_token="")
        c.pin("org/name")
        c.download("org/name", include="*.json")
    assert [json.loads(request.content) for request in asked] == [
        {"offline": False, "hf_token": ""},
        {"pinned": True},
        {"selection": {"include": ["*.json"]}},
    ]


def test_a_newer_server_may_say_more() -> None:
    handle, _ = answers(
        ok({"jobs": [{"id": "a", "kind": "convert", "mood": "good", "progress": None}]})
    )
    with client(handle) as c:
        (job,) = c.jobs()
    assert (job.id, job.kind.value, job.progress) == ("a", 0, None)


def test_pages_are_read_to_the_last() -> None:
    handle, asked = answers(
        ok({"models": [{"id": "a"}, {"id": "b"}], "next_page_token": "t"}),
        ok({"models": [], "next_page_token": "u"}),
        ok({"models": [{"id": "c"}]}),
        ok({"lines": [{"number": "4"}, {"number": "9"}], "more": True}),
        ok({"lines": [{"number": "10"}], "more": False}),
    )
    with client(handle) as c:
        assert [model.id for model in c.models(pinned=False)] == ["a", "b", "c"]
        assert [line.number for line in c.job_log("id")] == [4, 9, 10]
    assert [str(request.url.query, "ascii") for request in asked] == [
        "pinned=false",
        "pinned=false&page_token=t",
        "pinned=false&page_token=u",
        "",
        "after=9",
    ]


class Cut(httpx2.SyncByteStream):
    """A body that breaks off."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __iter__(self) -> Iterator[bytes]:
        yield self.text.encode()
        raise httpx2.ReadError("broken")


def stream(*ids: int, cut: bool = False) -> httpx2.Response:
    text = ": hello\n\nretry: 10\n\n"
    for number in ids:
        event = json.dumps({"id": str(number), "kind": "job", "job": {"id": "a"}})
        text += f"id: {number}\nevent: job\ndata: {event}\n\n"
    headers = {"content-type": "text/event-stream"}
    if cut:
        return httpx2.Response(200, stream=Cut(text + "data: {"), headers=headers)
    return httpx2.Response(200, text=text, headers=headers)


def test_events_go_on_after_a_lost_connection(naps: list[float]) -> None:
    handle, asked = answers(
        httpx2.ConnectError("refused"),
        stream(5, 6, cut=True),
        httpx2.ConnectError("refused"),
        problem(503),
        stream(),
        stream(7),
        problem(401),
    )
    with client(handle) as c:
        events = c.events(kinds="job", job="a")
        assert [next(events).id for _ in range(3)] == [5, 6, 7]
        with pytest.raises(Unauthorized):
            next(events)
    last = [request.headers.get("last-event-id") for request in asked]
    assert last == [None, None, "6", "6", "6", "6", "7"]
    assert asked[0].url.query == b"kinds=job&job_id=a" and len(naps) == 6


def test_events_that_never_began_are_an_error() -> None:
    handle, _ = answers(*[httpx2.ConnectError("refused")] * 2, problem(500), ok({}))
    with client(handle, retries=1) as c:
        with pytest.raises(ConnectionFailed):
            next(c.events())
        with pytest.raises(ServerError):
            next(c.events())
        with pytest.raises(UnexpectedAnswer, match="text/event-stream"):
            next(c.events())


def job(status: str, **more: object) -> httpx2.Response:
    return ok({"id": "a", "kind": "download", "status": status, **more})


def test_waiting_ends_with_the_job(naps: list[float]) -> None:
    handle, _ = answers(
        job("pending"),
        job("running", progress={"bytes_done": "1"}),
        job("running", progress={"bytes_done": "1"}),
        *[httpx2.ConnectError("restarting")] * 4,
        job("running", progress={"bytes_done": "2"}),
        job("completed", outcome="2 files"),
    )
    seen = []
    with client(handle) as c:
        done = c.wait("a", on_progress=lambda job: seen.append(job.status.name))
    assert done.outcome == "2 files"
    assert seen == ["pending", "running", "running", "completed"]


def test_waiting_for_a_job_that_fails() -> None:
    handle, _ = answers(
        job("failed", error="disk full", repo_id="org/name"),
        job("cancelled"),
        problem(404),
    )
    with client(handle) as c:
        with pytest.raises(
            JobFailed, match="a of org/name failed: disk full"
        ) as caught:
            c.wait("a")
        assert caught.value.job.status is JobStatus.failed
        with pytest.raises(JobCancelled, match="job a was cancelled"):
            c.wait("a")
        with pytest.raises(NotFound):
            c.wait("a")


def test_waiting_has_an_end(naps: list[float]) -> None:
    with client(lambda _: job("pending", waiting_for="disk space")) as c:
        with pytest.raises(
            WaitTimeout, match="pending, waiting for disk space"
        ) as late:
            c.wait("a", timeout=0.01)
    assert isinstance(late.value, TimeoutError) and late.value.job.id == "a"
    assert max(naps) <= 0.01


def test_the_asynchronous_client_retries_follows_and_waits() -> None:
    handle, _ = answers(
        httpx2.ReadError("broken"),
        ok({"models": "3"}),
        stream(5),
        stream(6),
        job("running"),
        job("failed", error="no"),
    )

    async def use() -> None:
        async with AsyncClient(transport=httpx2.MockTransport(handle)) as c:
            assert (await c.overview()).models == 3
            events = c.events()
            assert [(await anext(events)).id for _ in range(2)] == [5, 6]
            await events.aclose()
            with pytest.raises(JobFailed):
                await c.wait("a")

    asyncio.run(use())
