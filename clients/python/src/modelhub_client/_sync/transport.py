"""Requests, responses, and retries when the connection fails."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from betterproto2 import Message

from .._messages import parse, to_body, to_query
from .._options import Options, delay, sleep
from ..errors import (
    ConnectionFailed,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
    of_response,
)
from ..gen.modelhub.v1 import Event, WatchEventsRequest

_M = TypeVar("_M", bound=Message)


class Transport:
    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._options = Options.of(base_url, token, timeout, retries)
        self._http = httpx2.Client(transport=transport, **self._options.for_httpx())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _get(self, answer: type[_M], path: str, request: Message | None = None) -> _M:
        params = to_query(request) if request else None
        return self._send(answer, "GET", path, params=params)

    def _post(self, answer: type[_M], path: str, request: Message | None = None) -> _M:
        body = to_body(request) if request else {}
        return self._send(answer, "POST", path, json=body)

    def _send(self, answer: type[_M], method: str, path: str, **content: Any) -> _M:
        failures = 0
        while True:
            try:
                response = self._http.request(method, path, **content)
                break
            except httpx2.RequestError as error:
                failures += 1
                if not self._options.may_retry(failures, method, error):
                    message = self._options.failure(method, path, error)
                    raise ConnectionFailed(message) from error
            sleep(delay(failures, limit=2.0))
        if not response.is_success:
            raise of_response(response)
        return parse(answer, response.content)

    def _stream(self, path: str, request: WatchEventsRequest) -> Generator[Event, None]:
        """Events, over as many connections as it takes. Only a stream that never began
        gives up."""
        params = to_query(request)
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        began = False
        failures = 0
        while True:
            try:
                with self._http.stream(
                    "GET",
                    path,
                    params=params,
                    headers=headers,
                    timeout=self._options.stream_timeout(),
                ) as response:
                    if not response.is_success:
                        response.read()
                        raise of_response(response)
                    began = True
                    for sent in httpx2.EventSource(response):
                        failures = 0
                        if sent.id:
                            headers["last-event-id"] = sent.id
                        if sent.data:
                            yield parse(Event, sent.data)
            except httpx2.SSEError as error:
                message = self._options.failure("GET", path, error)
                raise UnexpectedAnswer(message) from error
            except httpx2.RequestError as error:
                if not began and not self._options.may_retry(
                    failures + 1, "GET", error
                ):
                    message = self._options.failure("GET", path, error)
                    raise ConnectionFailed(message) from error
            except (RateLimited, ServerError):
                if not began:
                    raise
            failures += 1
            sleep(delay(failures, limit=10.0))
