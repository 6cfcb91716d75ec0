"""snapshot_download and the command line tools: whole repositories, cold and hot."""

import json

import pytest

from conftest import only
from library import MANY, MANY_FILES, ODD, ODD_FILES, sha256

ODD_DIGESTS = {name: sha256(data) for name, data in ODD_FILES.items()}

LLAMA = "demo/tiny-llama"


def digests(mock, repo_id, kind="models"):
    """The truth about a demo repository, read from the mock itself."""
    prefix = "" if kind == "models" else f"{kind}/"
    files = mock.files(repo_id, kind)
    return {name: sha256(mock.source(f"{prefix}{repo_id}/resolve/main/{name}")) for name in files}


def test_a_cold_snapshot_is_the_whole_repository(client):
    assert client.call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS


def test_a_hot_snapshot_costs_the_upstream_no_file_bytes(client, mock):
    assert client.call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS
    mock.clear()
    assert client.fresh().call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS
    stats = mock.stats()
    assert (stats["cdn_calls"], stats["resolve_calls"], stats["resolve_cache_calls"]) == (0, 0, 0), mock.log()


def test_a_hot_snapshot_of_a_commit_costs_the_upstream_no_call(client, mock):
    commit = mock.commit(ODD)
    assert client.call("snapshot_download", repo_id=ODD, revision=commit).value["files"] == ODD_DIGESTS
    mock.clear()
    assert client.fresh().call("snapshot_download", repo_id=ODD, revision=commit).value["files"] == ODD_DIGESTS
    stats = mock.stats()
    assert (stats["hub_calls"], stats["cdn_calls"]) == (0, 0), mock.log()


def test_one_client_version_warms_the_hub_for_another(client, mock):
    other = "0.36.0" if client.version == "2.4.0" else "2.4.0"
    first = client.fresh("other")
    first.name = f"hub-{other}"
    commit = mock.commit(ODD)
    assert first.call("snapshot_download", repo_id=ODD, revision=commit).value["files"] == ODD_DIGESTS
    mock.clear()
    assert client.call("snapshot_download", repo_id=ODD, revision=commit).value["files"] == ODD_DIGESTS
    stats = mock.stats()
    assert (stats["cdn_calls"], stats["resolve_calls"], stats["resolve_cache_calls"]) == (0, 0, 0), mock.log()


def test_a_snapshot_goes_to_a_folder_of_ones_own(client):
    folder = client.home / "local"
    done = client.call("snapshot_download", repo_id=ODD, local_dir=str(folder)).value
    assert done["files"] == ODD_DIGESTS
    assert not [path for path in folder.rglob("*") if path.is_symlink()]


def test_patterns_choose_the_files(client, mock):
    done = client.call("snapshot_download", repo_id=ODD, allow_patterns=["*.json"], ignore_patterns=["a/b/deeper/*"])
    assert set(done.value["files"]) == {"config.json", "a/b/deep.json", "a/top.json"}
    assert mock.stats()["cdn_calls"] == 0


def test_a_new_commit_arrives_with_the_next_pinned_snapshot(client, mock):
    assert client.call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS
    commit = mock.add_random(ODD, "small.bin", 200_000, seed=7)
    files = client.call("snapshot_download", repo_id=ODD, revision=commit).value["files"]
    expected = ODD_DIGESTS | {"small.bin": sha256(mock.source(f"{ODD}/resolve/{commit}/small.bin"))}
    assert files == expected


@pytest.mark.parametrize(("kind", "repo_id"), [("dataset", "demo/squad-mini"), ("space", "demo/hello-space")])
def test_datasets_and_spaces_have_snapshots(client, mock, kind, repo_id):
    done = client.call("snapshot_download", repo_id=repo_id, repo_type=kind).value
    assert done["files"] == digests(mock, repo_id, f"{kind}s")


def test_a_listing_of_many_pages_is_complete(client):
    files = client.call("list_repo_files", repo_id=MANY).value
    assert len(files) == len(set(files)) == MANY_FILES


def test_a_sharded_model_arrives_whole(client, mock):
    done = client.call("snapshot_download", repo_id="demo/sharded").value
    assert done["files"] == digests(mock, "demo/sharded")


def test_an_unknown_repository_has_no_snapshot(client):
    client.call("snapshot_download", repo_id="nobody/nothing").fails_as(
        "RepositoryNotFoundError", but_not=("GatedRepoError",)
    )


def test_an_unknown_revision_has_no_snapshot(client):
    client.call("snapshot_download", repo_id=ODD, revision="no-such-branch").fails_as("RevisionNotFoundError")


def test_the_command_line_downloads_a_repository(client, mock):
    client.cli("download", LLAMA)
    # The library, asked for the same from the same cache, shows what the tool has put there.
    done = client.call("snapshot_download", repo_id=LLAMA, local_files_only=True).value
    assert done["files"] == digests(mock, LLAMA)


def test_the_command_line_downloads_one_file_into_a_folder(client):
    folder = client.home / "local"
    client.cli("download", ODD, "sub dir/file #1 name.txt", "--local-dir", str(folder))
    assert (folder / "sub dir" / "file #1 name.txt").read_bytes() == ODD_FILES["sub dir/file #1 name.txt"]


@only("2.4.0")
def test_the_command_line_verifies_what_it_downloaded(client):
    client.cli("download", ODD)
    client.cli("cache", "verify", ODD, "--fail-on-missing-files", "--fail-on-extra-files")


@only("2.4.0")
def test_a_dry_run_knows_the_sizes_and_fetches_nothing(client, mock):
    plan = json.loads(client.cli("download", ODD, "--dry-run", "--format", "json"))
    assert {one["file"] for one in plan} == set(ODD_FILES)
    assert mock.stats()["cdn_body_bytes"] == 0
