"""Every method against the API's definition, in both clients."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import httpx2
import pytest

from fake import DOCUMENT, TIME, FakeServer
from modelhub_client import AsyncClient, Client, Job, JobStatus, ModelRepo
from modelhub_client.types import EvictionChoice

# How each is called, with all its arguments.
CALLS: dict[str, Callable[[Any], Any]] = {
    "RegisterModel": lambda c: c.register(
        "org/name", kind="model", revision="main", sync_every_seconds=60
    ),
    "ListModels": lambda c: c.models(
        "name",
        kind="model",
        status="synced",
        download="none",
        pinned=False,
        order="-size",
        page_size=10,
    ),
    "GetModel": lambda c: c.model("dataset/org/name"),
    "DeleteModel": lambda c: c.delete("org/name"),
    "LookUpModel": lambda c: c.look_up("hf download org/name"),
    "ListFiles": lambda c: c.files(
        "org/name",
        "folder",
        revision="main",
        flat=True,
        search="x",
        file_type="model",
        download_status="pending",
        page_size=10,
    ),
    "ReadFile": lambda c: c.read_file("org/name", "README.md", revision="main"),
    "ListRevisions": lambda c: c.revisions("org/name"),
    "ListUses": lambda c: c.uses("org/name"),
    "GetModelFacts": lambda c: c.facts(
        "org/name", revision="main", context=4096, path="x.gguf"
    ),
    "ListTensors": lambda c: c.tensors(
        "org/name", "x.gguf", revision="main", page_size=10
    ),
    "SyncModel": lambda c: c.sync("org/name", revision="main"),
    "PlanDownload": lambda c: c.plan(
        "org/name",
        revision="main",
        paths="x",
        include=["a", "b"],
        exclude="*.bin",
        preset="gguf",
        quantisation="Q4_K_M",
    ),
    "DownloadModel": lambda c: c.download(
        "org/name",
        revision="main",
        paths=["x"],
        include="*.json",
        exclude="*.bin",
        preset="safetensors",
        quantisation="",
        priority=100,
        bytes_per_second=1 << 40,
    ),
    "DownloadModels": lambda c: c.download_models(
        ["org/name", "org/other"],
        revision="main",
        include="*.json",
        priority=100,
        bytes_per_second=1,
    ),
    "PinModel": lambda c: c.pin("org/name", False, sync_every_seconds=0),
    "VerifyModel": lambda c: c.verify("org/name", revision="main", include="*"),
    "EvictModel": lambda c: c.evict(
        "org/name",
        revision="main",
        exclude="*",
        quantisation="Q8_0",
        include_unrecoverable=True,
    ),
    "PlanModelEviction": lambda c: c.plan_model_eviction(
        "org/name",
        revision="main",
        paths="x",
        include="*",
        exclude="*.bin",
        preset="gguf",
        quantisation="Q8_0",
        include_unrecoverable=True,
    ),
    "ScanStorage": lambda c: c.scan(
        "/models", placement="copy", repo_id="a/b", kind="model", bytes_per_second=1
    ),
    "PreviewScan": lambda c: c.preview_scan("/models", repo_id="a/b", kind="model"),
    "VerifyStore": lambda c: c.verify_store(bytes_per_second=1),
    "EvictStore": lambda c: c.evict_store(
        free_bytes=1,
        unused_seconds=2,
        include_unrecoverable=True,
        only=EvictionChoice(model_ids=["id"], unreferenced=True),
    ),
    "PlanEviction": lambda c: c.plan_eviction(
        free_bytes=1,
        unused_seconds=2,
        include_unrecoverable=True,
        only=EvictionChoice(model_ids=["id"]),
    ),
    "GetStorage": lambda c: c.storage(),
    "ListQuarantine": lambda c: c.quarantine(),
    "EmptyQuarantine": lambda c: c.empty_quarantine(),
    "DeleteQuarantinedFile": lambda c: c.delete_quarantined_file("abc.7"),
    "ListJobs": lambda c: c.jobs(
        status=[JobStatus.failed, "cancelled"],
        kind="download",
        model="org/name",
        search="x",
        created_after=datetime(2026, 1, 1),
        created_before=datetime(2026, 1, 2, tzinfo=UTC),
        finished_after=datetime(2026, 1, 1),
        order="-finished",
        page_size=10,
    ),
    "GetJob": lambda c: c.job("id"),
    "ListJobLog": lambda c: c.job_log("id", after=3),
    "CancelJob": lambda c: c.cancel(Job(id="id")),
    "RetryJob": lambda c: c.retry("id"),
    "DismissJob": lambda c: c.dismiss("id"),
    "DismissFailedJobs": lambda c: c.dismiss_failed(),
    "PauseJob": lambda c: c.pause("id"),
    "ResumeJob": lambda c: c.resume("id"),
    "WatchEvents": lambda c: c.events(kinds=["job", "model"], job="id", after=7),
    "GetOverview": lambda c: c.overview(),
    "GetSystem": lambda c: c.system(),
    "GetSettings": lambda c: c.settings(),
    "UpdateSettings": lambda c: c.update_settings(
        offline=False,
        hf_token="",
        max_downloads=2,
        download_bytes_per_second=0,
        download_hours="22:00-06:00",
        store_limit_bytes=1 << 50,
        ref_ttl_seconds=1,
    ),
    "TestToken": lambda c: c.test_token("hf_x"),
}


def operations() -> set[str]:
    return {
        operation["operationId"]
        for operations in DOCUMENT["paths"].values()
        for operation in operations.values()
        # The second ways to say the same.
        if not operation["operationId"].endswith("_2")
    }


def test_all_operations_have_a_method() -> None:
    assert set(CALLS) == operations()


@pytest.mark.parametrize("operation", CALLS)
def test_a_method_asks_what_the_definition_has(operation: str) -> None:
    server = FakeServer()
    with Client(transport=httpx2.MockTransport(server)) as client:
        result = CALLS[operation](client)
        if inspect.isgenerator(result):
            assert list(islice(result, 1))
            result.close()
        else:
            assert result is not None or operation == "DeleteModel"
    assert server.calls == [operation]


@pytest.mark.parametrize("operation", CALLS)
def test_the_asynchronous_one_does_the_same(operation: str) -> None:
    server = FakeServer()

    async def ask() -> None:
        async with AsyncClient(transport=httpx2.MockTransport(server)) as client:
            result: Coroutine[Any, Any, Any] | AsyncIterator[Any]
            result = CALLS[operation](client)
            if inspect.isasyncgen(result):
                assert await anext(result)
                await result.aclose()
            else:
                assert inspect.isawaitable(result)
                await result

    asyncio.run(ask())
    assert server.calls == [operation]


def test_answers_have_types() -> None:
    with Client(transport=httpx2.MockTransport(FakeServer())) as client:
        job = client.download(ModelRepo(id="0198"))
        assert job.status is JobStatus.completed
        assert job.progress and job.progress.bytes_total == 2**64 - 1
        assert job.created_at == datetime.fromisoformat(TIME)
        (tensor,) = client.tensors("org/name", "x.gguf")
        assert tensor.shape == [2**64 - 1]
        (gpu,) = client.system().gpus
        assert gpu.power_watts == 0.5 and client.system().load_average == [0.5]
        assert client.metadata("org/name", "x.gguf")[0].key == "some key"


def test_words_are_checked_before_anything_is_asked() -> None:
    server = FakeServer()
    with Client(transport=httpx2.MockTransport(server)) as client:
        with pytest.raises(ValueError, match="'faild'; expected one of: pending, runn"):
            next(client.jobs(status="faild"))
        with pytest.raises(ValueError, match="expected one of: safetensors, gguf"):
            client.download("org/name", preset="ggml")
        with pytest.raises(ValueError, match="empty name"):
            client.model("")
    assert server.calls == []
