"""The three scenarios, against the real program on both databases: registration, sync,
download."""

import asyncio
import hashlib
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelhub_client import (
    AsyncClient,
    Client,
    InvalidRequest,
    Job,
    JobFailed,
    JobStatus,
    ModelhubError,
    NotFound,
)

REPO = "demo/tiny-llama"
WEIGHTS = "model.safetensors"


def entries(mock: Any, revision: str = "main") -> dict[str, tuple[int, str]]:
    """Size and hash of each file, as upstream says."""
    url = f"{mock.url}/api/models/{REPO}/tree/{revision}"
    listed = httpx2.get(url, params={"recursive": "true"}, trust_env=False).json()
    files = {}
    for entry in listed:
        if entry["type"] == "file":
            lfs = entry.get("lfs")
            name = f"sha256:{lfs['oid']}" if lfs else f"git:{entry['oid']}"
            files[entry["path"]] = (entry["size"], name)
    return files


def sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def synced(client: Client) -> str:
    """Registers the repository and waits until it is synced; its id."""
    model = client.register(REPO)
    client.wait(client.sync(model), timeout=60)
    return model.id


def test_registration(client: Client, database: Any) -> None:
    model = client.register(REPO, sync_every_seconds=3600)
    assert (model.repo_id, model.kind) == (REPO, "model")
    assert (model.vendor, model.name) == ("demo", "tiny-llama")
    assert model.registered_at is not None
    assert model.sync_every_seconds == 3600

    columns = "id, kind, vendor, name, repo_id, sync_every_ms"
    rows = database.rows(f"select {columns} from model_repo")
    assert rows == [[model.id, "model", "demo", "tiny-llama", REPO, "3600000"]]
    assert database.rows("select registered_at from model_repo") != [[""]]

    assert client.register(REPO).id == model.id
    assert database.rows("select count(*) from model_repo") == [["1"]]

    assert [found.id for found in client.models("TINY")] == [model.id]
    by_name = [client.model(name).id for name in (REPO, f"model/{REPO}", model.id)]
    assert by_name == [model.id] * 3

    # A model that a job works on is not forgotten.
    if job := client.model(model).active_job_id:
        client.wait(job, timeout=60)
    client.delete(model)
    assert list(client.models()) == []
    with pytest.raises(NotFound):
        client.model(model)


def test_registration_of_what_cannot_be(client: Client, database: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.register("no/such/name")
    assert [error.field for error in refused.value.errors] == ["repo_id"]
    with pytest.raises(InvalidRequest) as refused:
        client.register(REPO, kind="modell")
    assert [error.field for error in refused.value.errors] == ["kind"]
    assert database.rows("select count(*) from model_repo") == [["0"]]


def test_sync(client: Client, mock: Any, database: Any) -> None:
    model_id = synced(client)
    model = client.model(model_id)
    truth = entries(mock)
    assert model.status.name == "synced"
    assert model.commit == mock.commit(REPO)
    assert (model.files, model.files_here) == (len(truth), 0)
    assert model.bytes == sum(size for size, _ in truth.values())

    files = list(client.files(model, flat=True, page_size=2))
    found = {file.file_path: (file.size_bytes, file.content_hash) for file in files}
    assert found == truth
    assert {file.download_status.name for file in files} == {"pending"}
    types = {file.file_path: file.file_type for file in files}
    assert types[WEIGHTS] == "model"
    assert types["config.json"] == "config"
    assert types["tokenizer.json"] == "tokenizer"

    rows = database.rows(
        "select file_path, size_bytes, oid, sha256 from model_artifact "
        f"where repo = '{model_id}' and commit_id = '{model.commit}' and entry = 'file'"
    )
    stored = {
        path: (int(size), f"sha256:{sha}" if sha else f"git:{oid}")
        for path, size, oid, sha in rows
    }
    assert stored == truth

    # What changes upstream is what the next sync says.
    commit = mock.add_random(REPO, "more/extra.bin", 5000, 7)
    job = client.wait(client.sync(model), timeout=60)
    assert job.changes is not None
    assert (job.changes.added, job.changes.removed) == (1, 0)
    assert [change.file_path for change in job.changes.changes] == ["more/extra.bin"]
    assert client.model(model).commit == commit == job.changes.to_commit
    revisions = {revision.name: revision.commit for revision in client.revisions(model)}
    assert revisions["main"] == commit


def test_sync_of_a_repository_that_upstream_does_not_have(client: Client) -> None:
    with pytest.raises((NotFound, JobFailed), match="demo/absent"):
        model = client.register("demo/absent")
        client.wait(client.sync(model), timeout=60)


def test_download(client: Client, hub: Any, mock: Any, database: Any) -> None:
    model_id = synced(client)
    plan = client.plan(model_id)
    truth = entries(mock)
    assert plan.fits and plan.files == len(truth)
    assert plan.bytes_to_fetch == sum(size for size, _ in truth.values())

    # The first copy of the weights is wrong: nobody must ever get it.
    wrong = {"flip_byte": 9000}
    fault = mock.fault(wrong, origin="cdn", path_contains=WEIGHTS, times=1)
    seen: list[Job] = []
    job = client.download(model_id)
    done = client.wait(job, timeout=120, on_progress=seen.append)
    assert mock.applied(fault) == 1
    assert done.status is JobStatus.completed and done.outcome and not done.error
    assert seen[-1] == done and done.progress is not None
    assert done.progress.files_done == done.progress.files_total == len(truth)

    for file in client.files(model_id, flat=True):
        assert file.download_status.name == "completed", file.file_path
        assert Path(file.local_path).stat().st_size == file.size_bytes
        right = mock.source(f"{REPO}/resolve/main/{file.file_path}")
        assert sha256(file.local_path) == hashlib.sha256(right).hexdigest()
        if file.file_path == WEIGHTS:
            # The checksum that upstream had told before.
            assert f"sha256:{sha256(file.local_path)}" == truth[WEIGHTS][1]
    model = client.model(model_id)
    assert (model.download.name, model.files_here) == ("complete", len(truth))
    assert model.bytes_here == model.bytes

    digest = truth[WEIGHTS][1].removeprefix("sha256:")
    sizes = database.rows(f"select size_bytes from blob where sha256 = '{digest}'")
    assert sizes == [[str(truth[WEIGHTS][0])]]

    # Tools get it from here while upstream is away.
    right = mock.source(f"{REPO}/resolve/main/{WEIGHTS}")
    mock.kill()
    url = f"{hub.url}/{REPO}/resolve/main/{WEIGHTS}"
    answer = httpx2.get(url, trust_env=False, follow_redirects=True)
    assert answer.status_code == 200
    assert answer.content == right
    assert client.wait(client.verify(model_id), timeout=60).outcome


def test_download_of_a_part(client: Client) -> None:
    model_id = synced(client)
    client.wait(client.download(model_id, include="*.json"), timeout=60)
    here = client.files(model_id, flat=True, download_status="completed")
    names = {file.file_path for file in here}
    assert names and all(name.endswith(".json") for name in names)
    assert client.model(model_id).download.name == "partial"
    config = json.loads(client.read_file(model_id, "config.json").text)
    assert config["model_type"] == "llama"

    plan = client.plan_model_eviction(model_id, paths="config.json")
    assert (plan.files, plan.unrecoverable_files, plan.kept_files) == (1, 0, 0)
    client.wait(client.evict(model_id, paths="config.json"), timeout=60)
    here = client.files(model_id, flat=True, download_status="completed")
    assert {file.file_path for file in here} == names - {"config.json"}


def test_an_asynchronous_client_follows_its_job(hub: Any) -> None:
    async def use() -> list[str]:
        async with AsyncClient(hub.admin) as client:
            model = await client.register(REPO)
            await client.wait(await client.sync(model), timeout=60)
            async with aclosing(client.events(kinds="job")) as events:
                # Listens before the job begins.
                first = asyncio.ensure_future(anext(events))
                await asyncio.sleep(1)
                job = await client.download(model)
                states = []
                event = await first
                while True:
                    if event.job and event.job.id == job.id:
                        states.append(event.job.status.name)
                        if event.job.status is JobStatus.completed:
                            return states
                    event = await anext(events)

    states = asyncio.run(asyncio.wait_for(use(), timeout=120))
    assert states[-1] == "completed" and "running" in states


def test_a_job_that_is_cancelled(client: Client, mock: Any) -> None:
    model_id = synced(client)
    mock.fault({"delay": 30_000}, origin="cdn", path_contains=WEIGHTS)
    job = client.download(model_id, paths=WEIGHTS)
    client.cancel(job)
    with pytest.raises(ModelhubError, match="was cancelled"):
        client.wait(job, timeout=60)
    (ended,) = client.jobs(status="cancelled")
    assert ended.id == job.id
    mock.clear_faults()
    assert client.wait(client.retry(job), timeout=60).id == job.id
