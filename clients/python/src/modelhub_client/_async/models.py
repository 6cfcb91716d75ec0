"""Models: what is known, what is on disk, and jobs that change it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from .._messages import ModelRef, Texts, model_path, selection, texts, word
from ..gen.modelhub.v1 import (
    DeleteModelResponse,
    DownloadModelRequest,
    DownloadModelsRequest,
    DownloadModelsResponse,
    DownloadPlan,
    EvictModelRequest,
    GetModelFactsRequest,
    Job,
    ListFilesRequest,
    ListFilesResponse,
    ListModelsRequest,
    ListModelsResponse,
    ListRevisionsResponse,
    ListTensorsRequest,
    ListTensorsResponse,
    ListUsesRequest,
    ListUsesResponse,
    LookUpModelRequest,
    LookUpModelResponse,
    MetadataEntry,
    ModelArtifact,
    ModelArtifactDownloadStatus,
    ModelFacts,
    ModelRepo,
    ModelRepoDownload,
    ModelRepoStatus,
    PinModelRequest,
    PlanEvictionResponse,
    ReadFileRequest,
    ReadFileResponse,
    RegisterModelRequest,
    Revision,
    SelectionPreset,
    SyncModelRequest,
    Tensor,
    Use,
    VerifyModelRequest,
)
from .transport import AsyncTransport


class AsyncModels(AsyncTransport):
    async def register(
        self,
        repo_id: str,
        *,
        kind: str = "",
        revision: str = "",
        sync_every_seconds: int = 0,
    ) -> ModelRepo:
        """Registers a repository and starts to sync it; again, changes what is given.

        `kind` is `model` (the default), `dataset` or `space`.
        """
        request = RegisterModelRequest(
            repo_id=repo_id,
            kind=kind,
            revision=revision,
            sync_every_seconds=sync_every_seconds,
        )
        return await self._post(ModelRepo, "/v1/models", request)

    async def models(
        self,
        search: str = "",
        *,
        kind: str = "",
        status: ModelRepoStatus | str = "",
        download: ModelRepoDownload | str = "",
        pinned: bool | None = None,
        order: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[ModelRepo]:
        """All matching models, page by page.

        `order` is `name` (the default), `size`, `used` or `created`, with `-` before it
        for the other way round.
        """
        request = ListModelsRequest(
            search=search,
            kind=kind,
            status=word(ModelRepoStatus, status),
            download=word(ModelRepoDownload, download),
            pinned=pinned,
            order=order,
            page_size=page_size,
        )
        while True:
            page = await self._get(ListModelsResponse, "/v1/models", request)
            for model in page.models:
                yield model
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def model(self, model: ModelRef) -> ModelRepo:
        return await self._get(ModelRepo, model_path(model))

    async def delete(self, model: ModelRef) -> None:
        """Removes a model from the list. Its files stay until they are evicted."""
        await self._send(DeleteModelResponse, "DELETE", model_path(model))

    async def look_up(self, source: str) -> LookUpModelResponse:
        """Looks up a repository on upstream without registering it.

        `source` is `org/name`, an address of the Hub, or a whole `hf download` command.
        """
        request = LookUpModelRequest(source=source)
        return await self._post(LookUpModelResponse, "/v1/lookup", request)

    async def files(
        self,
        model: ModelRef,
        path: str = "",
        *,
        revision: str = "",
        flat: bool = False,
        search: str = "",
        file_type: str = "",
        download_status: ModelArtifactDownloadStatus | str = "",
        page_size: int = 0,
    ) -> AsyncIterator[ModelArtifact]:
        """The entries of a folder, or with `flat` all files below it, page by page.

        `search`, `file_type` and `download_status` go with `flat`.
        """
        request = ListFilesRequest(
            path=path,
            revision=revision,
            flat=flat,
            search=search,
            file_type=file_type,
            download_status=word(ModelArtifactDownloadStatus, download_status),
            page_size=page_size,
        )
        while True:
            page = await self._get(
                ListFilesResponse, model_path(model, "files"), request
            )
            for file in page.files:
                yield file
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def read_file(
        self, model: ModelRef, path: str, *, revision: str = ""
    ) -> ReadFileResponse:
        """The text of a small file, at most its first MiB."""
        request = ReadFileRequest(path=path, revision=revision)
        return await self._get(ReadFileResponse, model_path(model, "content"), request)

    async def revisions(self, model: ModelRef) -> list[Revision]:
        """Branches and tags."""
        path = model_path(model, "revisions")
        return (await self._get(ListRevisionsResponse, path)).revisions

    async def uses(
        self, model: ModelRef, *, revision: str = "", limit: int = 0
    ) -> list[Use]:
        """The stored files that were used last, most recent first."""
        request = ListUsesRequest(revision=revision, page_size=limit)
        return (
            await self._get(ListUsesResponse, model_path(model, "uses"), request)
        ).uses

    async def facts(
        self,
        model: ModelRef,
        *,
        revision: str = "",
        context: int = 0,
        path: str = "",
    ) -> ModelFacts:
        """What the model is, from its config files and the headers of its weights.

        `context`: tokens to estimate memory for. `path`: only these weights count.
        """
        request = GetModelFactsRequest(revision=revision, context=context, path=path)
        return await self._get(ModelFacts, model_path(model, "facts"), request)

    async def tensors(
        self, model: ModelRef, path: str, *, revision: str = "", page_size: int = 0
    ) -> AsyncIterator[Tensor]:
        """The tensors of one stored safetensors or GGUF file, page by page."""
        request = ListTensorsRequest(path=path, revision=revision, page_size=page_size)
        while True:
            page = await self._get(
                ListTensorsResponse, model_path(model, "tensors"), request
            )
            for tensor in page.tensors:
                yield tensor
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def metadata(
        self, model: ModelRef, path: str, *, revision: str = ""
    ) -> list[MetadataEntry]:
        """The metadata keys of one stored safetensors or GGUF file."""
        request = ListTensorsRequest(path=path, revision=revision, page_size=1)
        target = model_path(model, "tensors")
        return (await self._get(ListTensorsResponse, target, request)).metadata

    async def sync(self, model: ModelRef, *, revision: str = "") -> Job:
        """Refreshes refs and the file list from upstream."""
        request = SyncModelRequest(revision=revision)
        return await self._post(Job, model_path(model, "sync"), request)

    async def plan(
        self,
        model: ModelRef,
        *,
        revision: str = "",
        paths: Texts = (),
        include: Texts = (),
        exclude: Texts = (),
        preset: SelectionPreset | str = "",
        quantisation: str = "",
    ) -> DownloadPlan:
        """What `download` with the same arguments would fetch, and whether it fits."""
        request = DownloadModelRequest(
            revision=revision,
            selection=selection(paths, include, exclude, preset, quantisation),
        )
        return await self._post(DownloadPlan, model_path(model, "plan"), request)

    async def download(
        self,
        model: ModelRef,
        *,
        revision: str = "",
        paths: Texts = (),
        include: Texts = (),
        exclude: Texts = (),
        preset: SelectionPreset | str = "",
        quantisation: str = "",
        priority: int | None = None,
        bytes_per_second: int = 0,
    ) -> Job:
        """Downloads files into the store: all, or those that match every given part.

        `paths` are files or folders, `include` and `exclude` globs. `preset` is
        `safetensors`, or `gguf` for one `quantisation`: the named or the smallest.
        """
        request = DownloadModelRequest(
            revision=revision,
            selection=selection(paths, include, exclude, preset, quantisation),
            priority=priority,
            bytes_per_second=bytes_per_second,
        )
        return await self._post(Job, model_path(model, "download"), request)

    async def download_models(
        self,
        repo_ids: Texts,
        *,
        revision: str = "",
        paths: Texts = (),
        include: Texts = (),
        exclude: Texts = (),
        preset: SelectionPreset | str = "",
        quantisation: str = "",
        priority: int | None = None,
        bytes_per_second: int = 0,
    ) -> list[Job]:
        """Downloads several repositories, each as a job; those unknown are registered.

        `repo_ids` are `org/name`, or what `look_up` takes. If one of them cannot be
        downloaded, nothing is started.
        """
        download = DownloadModelRequest(
            revision=revision,
            selection=selection(paths, include, exclude, preset, quantisation),
            priority=priority,
            bytes_per_second=bytes_per_second,
        )
        request = DownloadModelsRequest(
            downloads=[replace(download, repo_id=id) for id in texts(repo_ids)]
        )
        return (await self._post(DownloadModelsResponse, "/v1/downloads", request)).jobs

    async def pin(
        self,
        model: ModelRef,
        pinned: bool = True,
        *,
        sync_every_seconds: int | None = None,
    ) -> ModelRepo:
        """Protects a model from eviction, or no longer."""
        request = PinModelRequest(pinned=pinned, sync_every_seconds=sync_every_seconds)
        return await self._post(ModelRepo, model_path(model, "pin"), request)

    async def verify(
        self,
        model: ModelRef,
        *,
        revision: str = "",
        paths: Texts = (),
        include: Texts = (),
        exclude: Texts = (),
        preset: SelectionPreset | str = "",
        quantisation: str = "",
    ) -> Job:
        """Verifies the hashes of stored files."""
        request = VerifyModelRequest(
            revision=revision,
            selection=selection(paths, include, exclude, preset, quantisation),
        )
        return await self._post(Job, model_path(model, "verify"), request)

    async def evict(
        self,
        model: ModelRef,
        *,
        revision: str = "",
        paths: Texts = (),
        include: Texts = (),
        exclude: Texts = (),
        preset: SelectionPreset | str = "",
        quantisation: str = "",
        include_unrecoverable: bool = False,
    ) -> Job:
        """Removes stored files that nothing else uses.

        Imported files that upstream does not have stay, unless
        `include_unrecoverable` says that they go too.
        """
        request = EvictModelRequest(
            revision=revision,
            selection=selection(paths, include, exclude, preset, quantisation),
            include_unrecoverable=include_unrecoverable,
        )
        return await self._post(Job, model_path(model, "evict"), request)

    async def plan_model_eviction(
        self,
        model: ModelRef,
        *,
        revision: str = "",
        paths: Texts = (),
        include: Texts = (),
        exclude: Texts = (),
        preset: SelectionPreset | str = "",
        quantisation: str = "",
        include_unrecoverable: bool = False,
    ) -> PlanEvictionResponse:
        """What `evict` with the same arguments would remove, and keep."""
        request = EvictModelRequest(
            revision=revision,
            selection=selection(paths, include, exclude, preset, quantisation),
            include_unrecoverable=include_unrecoverable,
        )
        path = model_path(model, "evict/plan")
        return await self._post(PlanEvictionResponse, path, request)
