"""Where the server is, and how requests to it are made."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx2

async_sleep = asyncio.sleep
sleep = time.sleep

# An event stream says something at least every half minute, if only that it is alive.
STREAM_SILENCE = 90.0


@dataclass(frozen=True)
class Options:
    base_url: str
    token: str
    timeout: float
    # How often a request is retried when the connection fails.
    retries: int

    @classmethod
    def of(
        cls, base_url: str | None, token: str | None, timeout: float, retries: int
    ) -> Options:
        if base_url is None:
            base_url = os.environ.get("MODELHUB_ADMIN_URL") or "http://127.0.0.1:8485"
        if token is None:
            token = os.environ.get("MODELHUB_ADMIN_TOKEN") or ""
        if not base_url.startswith(("http://", "https://")):
            raise ValueError(
                f"{base_url!r}: a base URL begins with http:// or https://"
            )
        return cls(base_url, token, timeout, retries)

    def for_httpx(self) -> dict[str, Any]:
        """Arguments that both clients of httpx2 have."""
        headers = {"accept": "application/json", "user-agent": _user_agent()}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        return {
            "base_url": self.base_url,
            "headers": headers,
            "timeout": httpx2.Timeout(self.timeout, connect=min(self.timeout, 5.0)),
            # A proxy of the environment does not lead to this machine.
            "trust_env": not _is_loopback(self.base_url),
        }

    def stream_timeout(self) -> httpx2.Timeout:
        return httpx2.Timeout(
            self.timeout, connect=min(self.timeout, 5.0), read=STREAM_SILENCE
        )

    def may_retry(self, failures: int, method: str, error: httpx2.RequestError) -> bool:
        """Whether the same request can be sent again: it changes nothing, or it did not
        reach the server."""
        not_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        return failures <= self.retries and (method == "GET" or not_sent)

    def failure(self, method: str, path: str, error: Exception) -> str:
        reason = str(error) or type(error).__name__
        return f"{method} {path} at {self.base_url}: {reason}"


def delay(failures: int, limit: float) -> float:
    """Seconds before the next attempt: twice as long each time, with jitter."""
    longest = min(limit, 0.2 * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)


def _is_loopback(base_url: str) -> bool:
    host = httpx2.URL(base_url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _user_agent() -> str:
    try:
        return f"modelhub-client/{version('modelhub-client')}"
    except PackageNotFoundError:
        return "modelhub-client"
