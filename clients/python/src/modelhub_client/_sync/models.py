"""Models: what is known, what is on disk, and jobs that change it."""

from __future__ import annotations

from collections.abc import Iterator
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
from .transport import Transport


class Models(Transport):
    def register(
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
        return self._post(ModelRepo, "/v1/models", request)

    def models(
        self,
        search: str = "",
        *,
        kind: str = "",
        status: ModelRepoStatus | str = "",
        download: ModelRepoDownload | str = "",
        pinned: bool | None = None,
        order: str = "",
        page_size: int = 0,
    ) -> Iterator[ModelRepo]:
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
            page = self._get(ListModelsResponse, "/v1/models", request)
            for model in page.models:
                yield model
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def model(self, model: ModelRef) -> ModelRepo:
        return self._get(ModelRepo, model_path(model))

    def delete(self, model: ModelRef) -> None:
        """Removes a model from the list. Its files stay until they are evicted."""
        self._send(DeleteModelResponse, "DELETE", model_path(model))

    def look_up(self, source: str) -> LookUpModelResponse:
        """Looks up a repository on upstream without registering it.

        `source` is `org/name`, an address of the Hub, or a whole `hf download` command.
        """
        request = LookUpModelRequest(source=source)
        return self._post(LookUpModelResponse, "/v1/lookup", request)

    def files(
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
    ) -> Iterator[ModelArtifact]:
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
            page = self._get(ListFilesResponse, model_path(model, "files"), request)
            for file in page.files:
                yield file
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def read_file(
        self, model: ModelRef, path: str, *, revision: str = ""
    ) -> ReadFileResponse:
        """The text of a small file, at most its first MiB."""
        request = ReadFileRequest(path=path, revision=revision)
        return self._get(ReadFileResponse, model_path(model, "content"), request)

    def revisions(self, model: ModelRef) -> list[Revision]:
        """Branches and tags."""
        path = model_path(model, "revisions")
        return (self._get(ListRevisionsResponse, path)).revisions

    def uses(self, model: ModelRef, *, revision: str = "", limit: int = 0) -> list[Use]:
        """The stored files that were used last, most recent first."""
        request = ListUsesRequest(revision=revision, page_size=limit)
        return (self._get(ListUsesResponse, model_path(model, "uses"), request)).uses

    def facts(
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
        return self._get(ModelFacts, model_path(model, "facts"), request)

    def tensors(
        self, model: ModelRef, path: str, *, revision: str = "", page_size: int = 0
    ) -> Iterator[Tensor]:
        """The tensors of one stored safetensors or GGUF file, page by page."""
        request = ListTensorsRequest(path=path, revision=revision, page_size=page_size)
        while True:
            page = self._get(ListTensorsResponse, model_path(model, "tensors"), request)
            for tensor in page.tensors:
                yield tensor
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def metadata(
        self, model: ModelRef, path: str, *, revision: str = ""
    ) -> list[MetadataEntry]:
        """The metadata keys of one stored safetensors or GGUF file."""
        request = ListTensorsRequest(path=path, revision=revision, page_size=1)
        target = model_path(model, "tensors")
        return (self._get(ListTensorsResponse, target, request)).metadata

    def sync(self, model: ModelRef, *, revision: str = "") -> Job:
        """Refreshes refs and the file list from upstream."""
        request = SyncModelRequest(revision=revision)
        return self._post(Job, model_path(model, "sync"), request)

    def plan(
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
        return self._post(DownloadPlan, model_path(model, "plan"), request)

    def download(
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
        return self._post(Job, model_path(model, "download"), request)

    def download_models(
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
        return (self._post(DownloadModelsResponse, "/v1/downloads", request)).jobs

    def pin(
        self,
        model: ModelRef,
        pinned: bool = True,
        *,
        sync_every_seconds: int | None = None,
    ) -> ModelRepo:
        """Protects a model from eviction, or no longer."""
        request = PinModelRequest(pinned=pinned, sync_every_seconds=sync_every_seconds)
        return self._post(ModelRepo, model_path(model, "pin"), request)

    def verify(
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
        return self._post(Job, model_path(model, "verify"), request)

    def evict(
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
        return self._post(Job, model_path(model, "evict"), request)

    def plan_model_eviction(
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
        return self._post(PlanEvictionResponse, path, request)
