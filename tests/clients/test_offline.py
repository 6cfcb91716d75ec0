"""The upstream is gone. What the hub has, it serves as before; what it has not is never called nonexistent."""

import pytest

from client import VERSIONS, Client
from conftest import only
from library import ODD, ODD_FILES, git_blob, sha256
from services import Mock, wait_until

LLAMA = "demo/tiny-llama"
ODD_DIGESTS = {name: sha256(data) for name, data in ODD_FILES.items()}
NO_ABSENCE = ("RepositoryNotFoundError", "RevisionNotFoundError", "RemoteEntryNotFoundError")


@pytest.fixture
def hub(start_hub):
    """Everything that the hub knows is too old at once, so that each question goes to the dead upstream first."""
    return start_hub(
        cache_ref_ttl="1ms",
        cache_visibility_ttl="1ms",
        cache_listing_ttl="1ms",
        cache_access_ttl="1ms",
        flight_attempts=2,
    )


def warm(client, *more, token=None):
    """Brings a repository and answers about it into the hub."""
    for answer in client.calls(["snapshot_download", {"repo_id": ODD}], *more, token=token):
        assert not answer.failed, answer.error["trace"]


def test_a_hot_repository_is_served_whole(client, mock):
    warm(client)
    mock.kill()
    assert client.fresh().call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS


def test_hot_files_are_served_one_by_one(client, mock):
    warm(client)
    mock.kill()
    names = list(ODD_FILES)
    answers = client.fresh().calls(*(["hf_hub_download", {"repo_id": ODD, "filename": name}] for name in names))
    assert {name: answer.value["sha256"] for name, answer in zip(names, answers, strict=True)} == ODD_DIGESTS


def test_a_hot_commit_is_served_whole(client, mock):
    commit = mock.commit(ODD)
    warm(client)
    mock.kill()
    done = client.fresh().call("snapshot_download", repo_id=ODD, revision=commit)
    assert done.value["files"] == ODD_DIGESTS


def test_a_restarted_hub_still_has_everything(client, mock, hub, start_hub):
    warm(client)
    mock.kill()
    hub.stop()
    again = start_hub(listen=hub.address)
    assert again.url == hub.url
    info, snapshot = client.fresh().calls(["model_info", {"repo_id": ODD}], ["snapshot_download", {"repo_id": ODD}])
    assert info.value["id"] == ODD
    assert snapshot.value["files"] == ODD_DIGESTS


def without_xet(value):
    """Listings offer no Xet while upstream is away, so that clients ask for each file."""
    if isinstance(value, list):
        return [without_xet(one) for one in value]
    return {**value, "xet_hash": None} if isinstance(value, dict) and "xet_hash" in value else value


def test_questions_about_a_hot_repository_are_answered(client, mock):
    questions = {
        "model_info": {"repo_id": ODD},
        "list_repo_tree": {"repo_id": ODD, "recursive": True},
        "get_paths_info": {"repo_id": ODD, "paths": ["config.json", "large.bin", "missing"]},
        "list_repo_refs": {"repo_id": ODD},
        "list_repo_files": {"repo_id": ODD},
        "repo_exists": {"repo_id": ODD},
        "revision_exists": {"repo_id": ODD, "revision": "main"},
        "file_exists": {"repo_id": ODD, "filename": "config.json"},
        "fs_ls": {"path": f"{ODD}/a/b"},
        "fs_glob": {"path": f"{ODD}/**/*.json"},
    }
    calls = [[name, arguments] for name, arguments in questions.items()]
    before = client.calls(*calls)
    warm(client)
    mock.kill()
    after = client.fresh().calls(*calls)
    assert {answer.call[0]: without_xet(answer.value) for answer in after} == {
        answer.call[0]: without_xet(answer.value) for answer in before
    }


def test_optional_files_of_a_listed_commit_are_absent(client, mock):
    warm(client)
    mock.kill()
    missing, exists, config = client.fresh().calls(
        ["hf_hub_download", {"repo_id": ODD, "filename": "added_tokens.json"}],
        ["file_exists", {"repo_id": ODD, "filename": "special_tokens_map.json"}],
        ["hf_hub_download", {"repo_id": ODD, "filename": "config.json"}],
    )
    missing.fails_as("EntryNotFoundError", but_not=("LocalEntryNotFoundError",))
    assert exists.value is False
    assert config.value["blob"] == git_blob(ODD_FILES["config.json"])


def test_what_the_client_has_it_keeps(client, mock):
    warm(client)
    mock.kill()
    file = client.call("hf_hub_download", repo_id=ODD, filename="large.bin").value
    assert file["sha256"] == ODD_DIGESTS["large.bin"]


def all_at_once(client, ways, wish):
    """Downloads in fresh clients, all at once: many of them wait between attempts."""
    clients = [Client.of(way, client.endpoint, client.home.parent / way) for way in ways]
    running = [one.start(["hf_hub_download", wish]) for one in clients]
    return [answer for one in running for answer in one.answers()]


@only("2.4.0")
def test_a_repository_that_the_hub_has_not_is_not_called_nonexistent(client, mock):
    mock.kill()
    for answer in all_at_once(client, VERSIONS, {"repo_id": "demo/sharded", "filename": "config.json"}):
        answer.fails_as("LocalEntryNotFoundError", but_not=NO_ABSENCE)


@only("2.4.0")
def test_a_listed_file_that_the_hub_has_not_is_not_called_nonexistent(client, mock):
    """Whether the hub refuses HEAD or only GET, and so which class the client picks, is not the point here. By Xet
    the file fails too, but while the hub has yet to learn that upstream is away, hf_xet tries for two minutes."""
    assert not client.call("hf_hub_download", repo_id=ODD, filename="config.json").failed
    mock.kill()
    ways = ("2.4.0-http", "0.36.0-http", "0.28.1")
    for answer in all_at_once(client, ways, {"repo_id": ODD, "filename": "large.bin"}):
        error = answer.fails_as("Exception", but_not=NO_ABSENCE)
        assert error["type"] == "LocalEntryNotFoundError" or error["status"] in (501, 502, 503, 504), error["trace"]


def test_a_snapshot_that_the_hub_has_not_is_not_called_nonexistent(client, mock):
    mock.kill()
    client.call("snapshot_download", repo_id=ODD).fails_as("LocalEntryNotFoundError", but_not=NO_ABSENCE)


def test_gated_files_stay_with_those_who_had_them(client, mock):
    wish = ["hf_hub_download", {"repo_id": "demo/gated", "filename": "model.safetensors"}]
    [before] = client.fresh("alice").calls(wish, token=mock.ALICE)
    [refused] = client.fresh("bob").calls(wish, token=mock.BOB)
    refused.fails_as("GatedRepoError")
    mock.kill()
    [after] = client.fresh("alice").calls(wish, token=mock.ALICE)
    assert after.value["sha256"] == before.value["sha256"]
    for name, token in (("bob", mock.BOB), ("anonymous", None)):
        [answer] = client.fresh(name).calls(wish, token=token)
        assert answer.failed, f"{name} got a gated file while nobody could be asked"


@only("2.4.0")
def test_a_hanging_upstream_does_not_hang_the_clients(client, mock):
    warm(client)
    mock.freeze()
    try:
        info, snapshot = client.fresh().calls(["model_info", {"repo_id": ODD}], ["snapshot_download", {"repo_id": ODD}])
    finally:
        mock.thaw()
    assert info.value["id"] == ODD
    assert snapshot.value["files"] == ODD_DIGESTS


@only("2.4.0")
def test_when_the_upstream_is_back_the_rest_arrives(client, mock, tmp_path, repos):
    [cold] = client.calls(["hf_hub_download", {"repo_id": ODD, "filename": "config.json"}])
    assert not cold.failed
    mock.kill()
    client.call("snapshot_download", repo_id="demo/sharded").fails_as("LocalEntryNotFoundError", but_not=NO_ABSENCE)
    with Mock(tmp_path, [repos], listen=mock.address):
        wait_until(
            lambda: not client.call("snapshot_download", repo_id="demo/gguf").failed,
            "the hub asks its upstream again",
        )
        files = client.call("snapshot_download", repo_id=ODD).value["files"]
        assert files == ODD_DIGESTS
