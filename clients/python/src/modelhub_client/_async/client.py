"""The client: everything that the admin API can do."""

from __future__ import annotations

from .._messages import to_body
from ..gen.modelhub.v1 import (
    Overview,
    Settings,
    System,
    TestTokenRequest,
    TestTokenResponse,
    UpdateSettingsRequest,
)
from .jobs import AsyncJobs
from .models import AsyncModels
from .storage import AsyncStorage


class AsyncClient(AsyncModels, AsyncStorage, AsyncJobs):
    """A client of a modelhub.

    `base_url` is where its admin API listens: MODELHUB_ADMIN_URL, else this machine.
    `token` is the admin token: MODELHUB_ADMIN_TOKEN, else none. `timeout` is in
    seconds, for each answer. A request that changes nothing is tried `retries` more
    times when the connection fails; others only if they did not reach the server.

    A model is named by its id, `namespace/name` or `kind/namespace/name`, and where a
    model or job is wanted one that was answered will do.
    """

    async def overview(self) -> Overview:
        """The state of the hub at a glance."""
        return await self._get(Overview, "/v1/overview")

    async def system(self) -> System:
        """The server's machine: disks, memory, GPUs, workers."""
        return await self._get(System, "/v1/system")

    async def settings(self) -> Settings:
        return await self._get(Settings, "/v1/settings")

    async def update_settings(
        self,
        *,
        offline: bool | None = None,
        hf_token: str | None = None,
        max_downloads: int | None = None,
        download_bytes_per_second: int | None = None,
        download_hours: str | None = None,
        store_limit_bytes: int | None = None,
        ref_ttl_seconds: int | None = None,
    ) -> Settings:
        """Changes the given settings.

        An empty `hf_token` removes it; `download_hours` are like `22:00-06:00`, empty:
        always.
        """
        request = UpdateSettingsRequest(
            offline=offline,
            hf_token=hf_token,
            max_downloads=max_downloads,
            download_bytes_per_second=download_bytes_per_second,
            download_hours=download_hours,
            store_limit_bytes=store_limit_bytes,
            ref_ttl_seconds=ref_ttl_seconds,
        )
        return await self._send(
            Settings, "PATCH", "/v1/settings", json=to_body(request)
        )

    async def test_token(self, token: str = "") -> TestTokenResponse:
        """Checks a token with upstream; the one in the settings if empty."""
        request = TestTokenRequest(token=token)
        return await self._post(TestTokenResponse, "/v1/settings/test-token", request)
