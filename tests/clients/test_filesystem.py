"""HfFileSystem: what pandas, polars and duckdb read through."""

from library import ODD, ODD_FILES, sha256


def test_folders_are_listed_with_sizes(client):
    top, below = client.calls(["fs_ls", {"path": ODD}], ["fs_ls", {"path": f"{ODD}/a/b"}])
    expected = {f"{ODD}/{name}": len(data) for name, data in ODD_FILES.items() if "/" not in name}
    assert top.value == expected | {f"{ODD}/a": "directory", f"{ODD}/sub dir": "directory"}
    assert below.value == {f"{ODD}/a/b/deep.json": 13, f"{ODD}/a/b/deeper": "directory"}


def test_a_glob_finds_files_at_every_depth(client):
    assert client.call("fs_glob", path=f"{ODD}/**/*.json").value == sorted(
        f"{ODD}/{name}" for name in ODD_FILES if name.endswith(".json")
    )


def test_ranges_of_a_cold_file_are_exact(client):
    data = ODD_FILES["large.bin"]
    size = len(data)
    ranges = [(0, 10), (size - 7, 7), (8 * 1024 * 1024 - 5, 10), (1, 300_000), (size - 5, 100), (4_000_000, 0)]
    digests = client.call("fs_read", path=f"{ODD}/large.bin", ranges=ranges).value
    assert digests == [sha256(data[start : start + length]) for start, length in ranges]


def test_ranges_of_a_hot_file_are_exact_and_cost_nothing(client, mock):
    data = ODD_FILES["large.bin"]
    assert client.call("hf_hub_download", repo_id=ODD, filename="large.bin").value["sha256"] == sha256(data)
    mock.clear()
    ranges = [(5_000_000, 1_000_000), (0, 1), (len(data) - 1, 1)]
    digests = client.fresh().call("fs_read", path=f"{ODD}/large.bin", ranges=ranges).value
    assert digests == [sha256(data[start : start + length]) for start, length in ranges]
    assert mock.stats()["cdn_calls"] == 0


def test_odd_names_and_small_files_are_read(client):
    for name in ("sub dir/file #1 name.txt", "config.json"):
        data = ODD_FILES[name]
        [digest] = client.call("fs_read", path=f"{ODD}/{name}", ranges=[(2, 9)]).value
        assert digest == sha256(data[2:11])


def test_a_dataset_is_a_folder_too(client, mock):
    path = "datasets/demo/squad-mini/data/train.jsonl"
    content = mock.source("datasets/demo/squad-mini/resolve/main/data/train.jsonl")
    listing, digests = client.calls(
        ["fs_ls", {"path": "datasets/demo/squad-mini/data"}],
        ["fs_read", {"path": path, "ranges": [[100, 1000]], "block_size": 1024}],
    )
    assert listing.value[path] == len(content)
    assert digests.value == [sha256(content[100:1100])]


def test_what_is_not_there_does_not_exist(client):
    paths = [f"{ODD}/config.json", f"{ODD}/a", f"{ODD}/nothing.json", "nobody/nothing/config.json"]
    answers = client.calls(*(["fs_exists", {"path": path}] for path in paths))
    assert [answer.value for answer in answers] == [True, True, False, False]
