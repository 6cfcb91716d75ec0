"""hf_hub_download: every kind of file, every way to be refused."""

import pytest

from client import Client
from conftest import only
from library import ODD, ODD_FILES, git_blob, sha256

NOT_A_NETWORK_PROBLEM = ("LocalEntryNotFoundError",)


def download(repo_id, filename, **more):
    return ["hf_hub_download", {"repo_id": repo_id, "filename": filename, **more}]


def test_a_small_file_arrives_and_is_named_by_its_git_blob(client, mock):
    file, refs = client.calls(download(ODD, "config.json"), ["cached_refs", {"repo_id": ODD}])
    content = ODD_FILES["config.json"]
    assert file.value["sha256"] == sha256(content)
    assert file.value["blob"] == git_blob(content)
    assert refs.value == {"main": mock.commit(ODD)}


@pytest.mark.parametrize("name", ["small.bin", "large.bin"])
def test_an_lfs_file_arrives_and_is_named_by_its_sha256(client, name):
    file = client.call("hf_hub_download", repo_id=ODD, filename=name).value
    assert file["sha256"] == file["blob"] == sha256(ODD_FILES[name])


def test_names_that_need_quoting_arrive(client):
    names = [name for name in ODD_FILES if name.startswith(("sub dir/", "a/"))]
    answers = client.calls(*(download(ODD, name) for name in names))
    assert {name: answer.value["sha256"] for name, answer in zip(names, answers, strict=True)} == {
        name: sha256(ODD_FILES[name]) for name in names
    }


def test_a_pull_request_is_a_revision(client, mock):
    file = client.call("hf_hub_download", repo_id="demo/tiny-llama", filename="config.json", revision="refs/pr/1")
    assert file.value["sha256"] == sha256(mock.source("demo/tiny-llama/resolve/refs%2Fpr%2F1/config.json"))


def test_an_empty_file_arrives_empty(client):
    file = client.call("hf_hub_download", repo_id=ODD, filename="empty.txt").value
    assert file["size"] == 0
    assert file["blob"] == git_blob(b"")


def test_a_missing_file_is_remembered_as_absent(client, mock):
    missing, remembered = client.calls(download(ODD, "missing.json"), ["no_exist", {"repo_id": ODD}])
    missing.fails_as("EntryNotFoundError", but_not=NOT_A_NETWORK_PROBLEM)
    assert remembered.value == [f"{mock.commit(ODD)}/missing.json"]


def test_a_missing_revision_is_said_to_be_missing(client):
    client.call("hf_hub_download", repo_id=ODD, filename="config.json", revision="no-such-branch").fails_as(
        "RevisionNotFoundError"
    )


def test_a_commit_that_does_not_exist_is_said_to_be_missing(client):
    client.call("hf_hub_download", repo_id=ODD, filename="config.json", revision="0" * 40).fails_as(
        "RevisionNotFoundError"
    )


@pytest.mark.parametrize("token", ["nobody", "BOB"])
def test_an_unknown_repository_is_said_to_be_unknown(client, mock, token):
    answer = client.call(
        "hf_hub_download", token=getattr(mock, token, None), repo_id="nobody/nothing", filename="config.json"
    )
    answer.fails_as("RepositoryNotFoundError", but_not=("GatedRepoError",))


def test_a_gated_file_is_for_those_on_the_list(client, mock):
    expected = sha256(mock.source("demo/gated/resolve/main/model.safetensors", token=mock.ALICE))
    wish = download("demo/gated", "model.safetensors")
    [alice] = client.fresh("alice").calls(wish, token=mock.ALICE)
    assert alice.value["sha256"] == expected
    # Now the hub has it; nothing changes for those who may not.
    for name, token in (("anonymous", None), ("bob", mock.BOB)):
        [answer] = client.fresh(name).calls(wish, token=token)
        answer.fails_as("GatedRepoError")


def test_a_gated_file_is_refused_before_anybody_fetched_it(client, mock):
    for name, token in (("anonymous", None), ("bob", mock.BOB)):
        [answer] = client.fresh(name).calls(download("demo/gated", "config.json"), token=token)
        answer.fails_as("GatedRepoError")


def test_a_private_repository_does_not_exist_for_others(client, mock):
    expected = sha256(mock.source("demo/private/resolve/main/config.json", token=mock.ALICE))
    wishes = download("demo/private", "config.json"), ["model_info", {"repo_id": "demo/private"}]
    file, info = client.fresh("alice").calls(*wishes, token=mock.ALICE)
    assert file.value["sha256"] == expected
    assert info.value["private"] is True
    for name, token in (("anonymous", None), ("bob", mock.BOB)):
        for answer in client.fresh(name).calls(*wishes, token=token):
            answer.fails_as("RepositoryNotFoundError", but_not=("GatedRepoError",))


@pytest.mark.parametrize(
    ("kind", "repo_id", "name"),
    [("dataset", "demo/squad-mini", "data/train.jsonl"), ("space", "demo/hello-space", "index.html")],
)
def test_datasets_and_spaces_have_files_too(client, mock, kind, repo_id, name):
    file = client.call("hf_hub_download", repo_type=kind, repo_id=repo_id, filename=name).value
    assert file["sha256"] == sha256(mock.source(f"{kind}s/{repo_id}/resolve/main/{name}"))


def test_an_id_of_one_segment_is_a_repository(client, mock):
    file = client.call("hf_hub_download", repo_id="gpt2-mini", filename="config.json").value
    assert file["sha256"] == sha256(mock.source("gpt2-mini/resolve/main/config.json"))
    assert "models--gpt2-mini" in file["path"]


def test_a_commit_stays_what_it_was_when_the_branch_moves(client, mock):
    old = mock.commit(ODD)
    change = {"put": {"path": "config.json", "text": "moved on\n"}}
    new = mock.control("POST", "commit", {"kind": "model", "id": ODD, "changes": [change]})["commit"]
    before, after, branch = client.calls(
        download(ODD, "config.json", revision=old),
        download(ODD, "config.json", revision=new),
        download(ODD, "config.json", revision="main"),
    )
    assert before.value["sha256"] == sha256(ODD_FILES["config.json"])
    assert after.value["sha256"] == branch.value["sha256"] == sha256(b"moved on\n")


def test_a_file_that_the_client_has_is_not_sent_again(client, mock):
    first = client.call("hf_hub_download", repo_id=ODD, filename="large.bin").value
    mock.clear()
    second = client.call("hf_hub_download", repo_id=ODD, filename="large.bin").value
    assert second == first
    assert mock.stats()["cdn_calls"] == 0


def test_a_second_client_costs_the_upstream_no_file_bytes(client, mock):
    names = ["large.bin", "config.json", "sub dir/file #1 name.txt"]
    for answer in client.calls(*(download(ODD, name) for name in names)):
        assert not answer.failed, answer.error["trace"]
    mock.clear()
    answers = client.fresh().calls(*(download(ODD, name) for name in names))
    assert [answer.value["sha256"] for answer in answers] == [sha256(ODD_FILES[name]) for name in names]
    stats = mock.stats()
    assert (stats["cdn_body_bytes"], stats["resolve_cache_calls"]) == (0, 0)


@only("2.4.0")
def test_all_versions_at_once_cause_one_transfer(client, mock):
    expected = sha256(ODD_FILES["large.bin"])
    clients = [
        Client(f"hub-{version}", client.endpoint, client.home.parent / version) for version in ("2.4.0", "0.36.0")
    ]
    clients += [client.fresh("more") for _ in range(2)]
    running = [one.start(download(ODD, "large.bin")) for one in clients]
    for one in running:
        [answer] = one.answers()
        assert answer.value["sha256"] == expected
    sent = mock.stats()["cdn_body_bytes"]
    assert sent == len(ODD_FILES["large.bin"]), f"the upstream sent {sent} bytes"
