"""The store as a whole, and folders of this machine."""

from __future__ import annotations

from .._messages import QuarantineRef, quarantine_path
from ..gen.modelhub.v1 import (
    EmptyQuarantineResponse,
    EvictionChoice,
    EvictStoreRequest,
    GetStorageResponse,
    Job,
    ListQuarantineResponse,
    PlanEvictionResponse,
    PreviewScanResponse,
    ScanStorageRequest,
    VerifyStoreRequest,
)
from .transport import AsyncTransport


class AsyncStorage(AsyncTransport):
    async def scan(
        self,
        path: str = "",
        *,
        placement: str = "",
        repo_id: str = "",
        kind: str = "",
        bytes_per_second: int = 0,
    ) -> Job:
        """Imports models from a folder of the server's machine.

        `placement` is `auto`, `reflink`, `hard_link` or `copy`. `repo_id` and `kind`
        are for folders that do not say which repository they are.
        """
        request = ScanStorageRequest(
            path=path,
            placement=placement,
            repo_id=repo_id,
            kind=kind,
            bytes_per_second=bytes_per_second,
        )
        return await self._post(Job, "/v1/scans", request)

    async def preview_scan(
        self, path: str = "", *, repo_id: str = "", kind: str = ""
    ) -> PreviewScanResponse:
        """What a scan would find, without reading contents."""
        request = ScanStorageRequest(path=path, repo_id=repo_id, kind=kind)
        return await self._post(PreviewScanResponse, "/v1/scans/preview", request)

    async def verify_store(self, *, bytes_per_second: int = 0) -> Job:
        """Verifies the hashes of all stored files."""
        request = VerifyStoreRequest(bytes_per_second=bytes_per_second)
        return await self._post(Job, "/v1/storage/verify", request)

    async def evict_store(
        self,
        *,
        free_bytes: int = 0,
        unused_seconds: int = 0,
        include_unrecoverable: bool = False,
        only: EvictionChoice | None = None,
    ) -> Job:
        """Frees space: least recently used files first; pinned models are kept.

        Imported files that upstream does not have are kept too, unless
        `include_unrecoverable` is set. With `only`, files of other models than these
        are kept.
        """
        request = EvictStoreRequest(
            free_bytes=free_bytes,
            unused_seconds=unused_seconds,
            include_unrecoverable=include_unrecoverable,
            only=only,
        )
        return await self._post(Job, "/v1/storage/evict", request)

    async def plan_eviction(
        self,
        *,
        free_bytes: int = 0,
        unused_seconds: int = 0,
        include_unrecoverable: bool = False,
        only: EvictionChoice | None = None,
    ) -> PlanEvictionResponse:
        """What `evict_store` with the same arguments would remove, and keep."""
        request = EvictStoreRequest(
            free_bytes=free_bytes,
            unused_seconds=unused_seconds,
            include_unrecoverable=include_unrecoverable,
            only=only,
        )
        return await self._post(PlanEvictionResponse, "/v1/storage/evict/plan", request)

    async def storage(self) -> GetStorageResponse:
        """Disk usage."""
        return await self._get(GetStorageResponse, "/v1/storage")

    async def quarantine(self) -> ListQuarantineResponse:
        """The files whose content did not match their hash; kept for 14 days."""
        return await self._get(ListQuarantineResponse, "/v1/storage/quarantine")

    async def empty_quarantine(self) -> EmptyQuarantineResponse:
        """Removes all files in quarantine, for good."""
        return await self._send(
            EmptyQuarantineResponse, "DELETE", "/v1/storage/quarantine"
        )

    async def delete_quarantined_file(
        self, file: QuarantineRef
    ) -> EmptyQuarantineResponse:
        """Removes one file in quarantine, for good: one of the list, or its name."""
        return await self._send(
            EmptyQuarantineResponse, "DELETE", quarantine_path(file)
        )
