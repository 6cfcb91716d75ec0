"""HfApi: what libraries ask about repositories before and besides downloading."""

from conftest import only
from library import ODD, ODD_FILES, git_blob, sha256

LLAMA = "demo/tiny-llama"
LFS = {"small.bin", "large.bin"}


def check_entries(entries, names):
    """Each entry of a listing says about its file what is true."""
    files = {entry["path"]: entry for entry in entries if "folder" not in entry}
    assert set(files) == set(names)
    for name, entry in files.items():
        data = ODD_FILES[name]
        assert entry["size"] == len(data)
        assert entry["sha256"] == (sha256(data) if name in LFS else None)
        if name not in LFS:
            assert entry["blob_id"] == git_blob(data)
        if entry.get("xet_hash"):  # newer versions only; test_xet.py compares them with upstream's
            assert name in LFS
    return files


def test_model_info_names_the_commit_and_all_files(client, mock):
    info = client.call("model_info", repo_id=ODD).value
    assert info["id"] == ODD
    assert info["sha"] == mock.commit(ODD)
    assert {one["path"] for one in info["siblings"]} == set(ODD_FILES)


def test_model_info_of_a_revision_has_sizes_and_hashes(client, mock):
    commit = mock.commit(ODD)
    for revision in ("main", commit):
        info = client.call("model_info", repo_id=ODD, revision=revision, files_metadata=True, securityStatus=True)
        check_entries(info.value["siblings"], ODD_FILES)
        assert info.value["sha"] == commit


def test_model_info_expands_only_what_is_asked_for(client, mock):
    info = client.call("model_info", repo_id=LLAMA, expand=["sha", "gated", "downloads"]).value
    assert info["sha"] == mock.commit(LLAMA)
    assert info["gated"] is False
    assert info["downloads"] == 1234
    assert info["siblings"] is None


def test_model_info_of_a_gated_repository_is_public(client):
    info = client.call("model_info", repo_id="demo/gated").value
    assert info["gated"] == "auto"


def test_model_info_keeps_card_and_tags(client):
    info = client.call("model_info", repo_id=LLAMA).value
    assert info["card"]["license"] == "mit"
    assert info["pipeline_tag"] == "text-generation"
    assert "license:mit" in info["tags"]


def test_model_info_of_unknown_things_says_which_is_unknown(client):
    repo, revision = client.calls(
        ["model_info", {"repo_id": "nobody/nothing"}], ["model_info", {"repo_id": ODD, "revision": "no-such"}]
    )
    repo.fails_as("RepositoryNotFoundError", but_not=("GatedRepoError",))
    revision.fails_as("RevisionNotFoundError")


def test_dataset_and_space_info(client, mock):
    dataset, space = client.calls(
        ["dataset_info", {"repo_id": "demo/squad-mini"}], ["space_info", {"repo_id": "demo/hello-space"}]
    )
    assert dataset.value["sha"] == mock.commit("demo/squad-mini", "datasets")
    assert space.value["sha"] == mock.commit("demo/hello-space", "spaces")


def test_a_tree_lists_the_top_or_everything(client):
    top, everything = client.calls(
        ["list_repo_tree", {"repo_id": ODD}], ["list_repo_tree", {"repo_id": ODD, "recursive": True}]
    )
    check_entries(top.value, [name for name in ODD_FILES if "/" not in name])
    assert {entry["path"] for entry in top.value if "folder" in entry} == {"a", "sub dir"}
    check_entries(everything.value, ODD_FILES)
    folders = {entry["path"] for entry in everything.value if "folder" in entry}
    assert folders == {"a", "a/b", "a/b/deeper", "sub dir"}


def test_a_tree_begins_at_a_folder(client):
    flat, deep, missing = client.calls(
        ["list_repo_tree", {"repo_id": ODD, "path_in_repo": "a/b"}],
        ["list_repo_tree", {"repo_id": ODD, "path_in_repo": "sub dir", "recursive": True}],
        ["list_repo_tree", {"repo_id": ODD, "path_in_repo": "no/such/folder"}],
    )
    check_entries(flat.value, ["a/b/deep.json"])
    check_entries(deep.value, [name for name in ODD_FILES if name.startswith("sub dir/")])
    missing.fails_as("EntryNotFoundError", but_not=("LocalEntryNotFoundError",))


def test_an_expanded_tree_names_the_last_commit(client, mock):
    entries = client.call("list_repo_tree", repo_id=ODD, path_in_repo="a/b", recursive=True, expand=True).value
    assert {entry["last_commit"]["id"] for entry in entries} == {mock.commit(ODD)}


def test_paths_info_answers_for_what_exists(client):
    paths = ["config.json", "large.bin", "sub dir/file #1 name.txt", "a/b", "missing.json"]
    plain, expanded = client.calls(
        ["get_paths_info", {"repo_id": ODD, "paths": paths}],
        ["get_paths_info", {"repo_id": ODD, "paths": ["config.json"], "expand": True}],
    )
    check_entries(plain.value, paths[:3])
    assert [entry["path"] for entry in plain.value if "folder" in entry] == ["a/b"]
    assert expanded.value[0]["last_commit"]["id"]


def test_refs_are_branches_tags_and_on_request_pull_requests(client, mock):
    plain, all_of_them = client.calls(
        ["list_repo_refs", {"repo_id": LLAMA}], ["list_repo_refs", {"repo_id": LLAMA, "include_pull_requests": True}]
    )
    assert set(plain.value["branches"]) == {"refs/heads/main", "refs/heads/dev"}
    assert set(plain.value["tags"]) == {"refs/tags/v1.0"}
    assert not plain.value["pull_requests"]
    assert set(all_of_them.value["pull_requests"]) == {"refs/pr/1"}
    assert all_of_them.value["branches"]["refs/heads/main"] == mock.commit(LLAMA)


def test_converted_branches_of_a_dataset_are_refs(client):
    refs = client.call("list_repo_refs", repo_id="demo/squad-mini", repo_type="dataset").value
    assert set(refs["converts"]) == {"refs/convert/parquet"}


def test_commits_are_listed_newest_first(client, mock):
    first = mock.commit(ODD)
    second = mock.add_random(ODD, "new.bin", 1000, seed=1)
    commits = client.call("list_repo_commits", repo_id=ODD).value
    ids = [commit["id"] for commit in commits]
    assert ids[:2] == [second, first]


def test_what_exists_exists_and_nothing_else(client):
    questions = {
        ("repo_exists", ODD): {"repo_id": ODD},
        ("repo_exists", "gated"): {"repo_id": "demo/gated"},
        ("repo_exists", "nothing"): {"repo_id": "nobody/nothing"},
        ("revision_exists", "main"): {"repo_id": ODD, "revision": "main"},
        ("revision_exists", "nothing"): {"repo_id": ODD, "revision": "nothing"},
        ("file_exists", "config"): {"repo_id": ODD, "filename": "config.json"},
        ("file_exists", "nothing"): {"repo_id": ODD, "filename": "nothing.json"},
        ("file_exists", "no repo"): {"repo_id": "nobody/nothing", "filename": "config.json"},
    }
    answers = client.calls(*([name, arguments] for (name, _), arguments in questions.items()))
    truth = {question: answer.value for question, answer in zip(questions, answers, strict=True)}
    absent = {question for question, yes in truth.items() if not yes}
    assert absent == {
        ("repo_exists", "nothing"),
        ("revision_exists", "nothing"),
        ("file_exists", "nothing"),
        ("file_exists", "no repo"),
    }


def test_whoami_is_the_owner_of_the_token(client, mock):
    for token, name in ((mock.ALICE, "alice"), (mock.BOB, "bob")):
        assert client.call("whoami", token=token).value["name"] == name
    assert client.call("whoami", token=mock.REVOKED).error["status"] == 401


def test_auth_check_is_the_upstreams_word_for_each_caller(client, mock):
    check = ["auth_check", {"repo_id": "demo/gated"}]
    for answer in client.calls(check, ["auth_check", {"repo_id": ODD}], token=mock.ALICE):
        assert answer.value is None
    for token in (mock.BOB, None):
        [answer] = client.calls(check, token=token)
        answer.fails_as("GatedRepoError")
    [private] = client.calls(["auth_check", {"repo_id": "demo/private"}], token=mock.BOB)
    private.fails_as("RepositoryNotFoundError", but_not=("GatedRepoError",))


def test_a_gated_listing_shows_its_hashes_to_whom_it_should(client, mock):
    """Whatever was asked first, the one who may sees the real hashes afterwards."""
    wish = ["list_repo_tree", {"repo_id": "demo/gated"}]
    expected = sha256(mock.source("demo/gated/resolve/main/model.safetensors", token=mock.ALICE))
    client.fresh("anonymous").calls(wish)
    [answer] = client.fresh("alice").calls(wish, token=mock.ALICE)
    [weights] = [entry for entry in answer.value if entry["path"] == "model.safetensors"]
    assert weights["sha256"] == expected


def test_safetensors_metadata_of_one_file_and_of_shards(client):
    one, shards = client.calls(
        ["get_safetensors_metadata", {"repo_id": LLAMA}], ["get_safetensors_metadata", {"repo_id": "demo/sharded"}]
    )
    assert one.value["sharded"] is False
    assert one.value["parameters"]["F32"] > 0
    assert shards.value["sharded"] is True
    assert len(shards.value["tensors"]) > 1


@only("2.4.0")
def test_models_are_found_by_name(client):
    assert "demo/tiny-llama" in client.call("list_models", search="tiny-llama", limit=3).value
