"""Xet: this hub is the store of the clients that speak it, and stays the only one that they talk to.

A client with hf_xet takes an LFS file by Xet as soon as an answer names the file's Xet hash. What it did is read from
the hub's log; what upstream was asked for, from the mock's, whose own Xet addresses lead nowhere and must never be
used (each test's mock checks that nobody asked it for a Xet token).
"""

import dataclasses
import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import huge
from client import HERE, Client, can_watch, environment_of
from conftest import only
from library import ODD, ODD_FILES, sha256
from services import ROOT, Hub, http, plain_environment, wait_until

MIB = 1024 * 1024
SIZE = 40_000_000
HEAVY = "heavy.bin"
ODD_DIGESTS = {name: sha256(data) for name, data in ODD_FILES.items()}
WISH = ["hf_hub_download", {"repo_id": ODD, "filename": HEAVY}]
SNAPSHOT = ["snapshot_download", {"repo_id": ODD}]

HASH = "[0-9a-f]{64}"
STEPS = {
    "token": r"/api/(models|datasets|spaces)/.*/xet-read-token/.*",
    "recipe": rf"/xet/v2/reconstructions/{HASH}",
    "recipe v1": rf"/xet/v1/reconstructions/{HASH}",
    "xorb": rf"/xet/v1/xorbs/default/{HASH}",
    "resolve": r"/.*/resolve/.*\.bin",
}


@pytest.fixture
def heavy(mock):
    """The sha256 of a file of five xorbs, which is streamed while it arrives."""
    mock.add_random(ODD, HEAVY, SIZE, seed=3)
    digest = sha256(mock.source(f"{ODD}/resolve/main/{HEAVY}"))
    mock.clear()
    return digest


def steps(hub):
    """The steps of LFS downloads since the last time, each with the statuses of its answers."""
    found = {}
    for method, path, status in hub.requests():
        for name, pattern in STEPS.items():
            if method == "GET" and re.fullmatch(pattern, path):
                found.setdefault(name, set()).add(status)
    return found


def came_by_xet(hub, recipe="recipe"):
    """Asserts that LFS files were downloaded since the last time, by Xet only and without a hitch."""
    assert steps(hub) == {"token": {200}, recipe: {200}, "xorb": {206}}


def came_by_http(hub):
    [step] = steps(hub)
    assert step == "resolve"


# What listings and heads say

QUESTIONS = {
    "head": ("HEAD", f"{ODD}/resolve/main/large.bin", None),
    "get": ("GET", f"{ODD}/resolve/main/small.bin", None),
    "tree": ("GET", f"api/models/{ODD}/tree/main?recursive=true&expand=false", None),
    "expanded tree": ("GET", f"api/models/{ODD}/tree/main?recursive=true&expand=true", None),
    "paths-info": ("POST", f"api/models/{ODD}/paths-info/main", b"paths=large.bin&paths=small.bin&paths=config.json"),
    "info": ("GET", f"api/models/{ODD}?blobs=true", None),
    "revision": ("GET", f"api/models/{ODD}/revision/main?blobs=true", None),
    "dataset": ("GET", "api/datasets/demo/squad-mini/tree/main?recursive=true", None),
    "models": ("GET", "api/models?full=true", None),
}
LISTINGS = ("tree", "paths-info")


def ask(base, question):
    method, path, body = QUESTIONS[question]
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    reply = http(method, f"{base}/{path}", body, headers)
    assert reply.status in (200, 302), reply.body  # the mock redirects
    return reply


def traces(reply):
    """Every place where an answer speaks of Xet."""
    found = [f"{name}: {value}" for name, value in reply.headers.items() if "xet" in f"{name}{value}".lower()]
    if "json" in (reply.headers["content-type"] or ""):
        found += re.findall(r'"[^"]*xet[^"]*"', reply.body.decode(), re.IGNORECASE)
    return found


@pytest.mark.parametrize("question", LISTINGS)
def test_listings_name_the_hashes_that_upstream_names(mock, hub, question):
    names = {"small.bin", "large.bin"}
    for _ in range(2):  # cold, then from the store
        ours, theirs = (
            {entry["path"]: entry["xetHash"] for entry in ask(base, question).json() if "xetHash" in entry}
            for base in (hub.url, mock.url)
        )
        assert ours == theirs
        assert set(ours) == names


def test_a_head_names_this_hub(mock, hub):
    ours, theirs = (ask(base, "head").headers for base in (hub.url, mock.url))
    assert ours["x-xet-hash"] == theirs["x-xet-hash"]
    assert ours["x-xet-refresh-route"].startswith(f"{hub.url}/api/models/{ODD}/xet-read-token/")
    addresses = re.findall(r"<(.+?)>", ours["link"])
    assert len(addresses) == 2
    assert all(address.startswith(f"{hub.url}/") for address in addresses)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_answer_names_another_store(hub, question):
    reply = ask(hub.url, question)
    text = f"{reply.headers}{reply.body.decode(errors='replace')}".lower()
    for word in ("canary", "xethub", "huggingface.co", "hf.co"):
        assert word not in text


def test_a_token_is_for_this_hubs_own_store(hub):
    reply = http("GET", f"{hub.url}/api/models/{ODD}/xet-read-token/main")
    body = reply.json()
    assert body["casUrl"] == reply.headers["x-xet-cas-url"] == f"{hub.url}/xet"
    assert body["accessToken"] == reply.headers["x-xet-access-token"]
    assert str(body["exp"]) == reply.headers["x-xet-token-expiration"]
    assert 5 * 60 < body["exp"] - time.time() < 60 * 60


# Downloads


@only("2.4.0", "0.36.0")
def test_files_come_by_xet_cold_and_hot(client, mock, hub, heavy):
    assert client.call(*WISH[:1], **WISH[1]).value["sha256"] == heavy
    came_by_xet(hub)
    assert mock.stats()["cdn_body_bytes"] == SIZE
    snapshot, again = client.fresh().calls(SNAPSHOT, WISH)
    assert snapshot.value["files"] == ODD_DIGESTS | {HEAVY: heavy}
    assert again.value["blob"] == heavy
    came_by_xet(hub)
    mock.clear()
    assert client.fresh().calls(SNAPSHOT)[0].value["files"] == ODD_DIGESTS | {HEAVY: heavy}
    came_by_xet(hub)
    stats = mock.stats()
    assert (stats["cdn_calls"], stats["resolve_calls"], stats["resolve_cache_calls"]) == (0, 0, 0), mock.log()


@only("2.4.0", "0.36.0")
def test_the_command_line_downloads_by_xet(client, hub, heavy):
    for home in ("cold", "hot"):
        one = client.fresh(home)
        folder = one.home / "local"
        one.cli("download", ODD, HEAVY, "large.bin", "--local-dir", str(folder))
        assert sha256((folder / HEAVY).read_bytes()) == heavy
        assert (folder / "large.bin").read_bytes() == ODD_FILES["large.bin"]
        came_by_xet(hub)


@pytest.mark.skipif(not can_watch(), reason="this machine does not let strace follow processes")
@only("2.4.0", "0.36.0")
def test_a_client_connects_to_this_hub_and_to_nothing_else(client, mock, hub, heavy):
    """hf_xet opens its sockets itself, unseen by Python: strace sees them, and look-ups of names too."""
    here = {client.endpoint.removeprefix("http://")}
    for home in ("cold", "hot", "without upstream"):
        if home == "without upstream":
            mock.kill()
        one = dataclasses.replace(client.fresh(home), watched=True)
        [answer] = one.calls(WISH)
        assert answer.value["sha256"] == heavy
        came_by_xet(hub)
        assert one.connections() == here
        native = [line for line in one.trace.read_text().splitlines() if "sin_port" in line]
        python = len(one.connect_log.read_text().splitlines())
        assert len(native) > python, "strace saw no more than Python did"


@only("2.4.0", "0.36.0")
def test_hot_files_come_by_xet_without_an_upstream(client, mock, hub, heavy):
    assert client.calls(WISH)[0].value["sha256"] == heavy
    mock.kill()
    hub.requests()
    assert client.fresh().calls(WISH)[0].value["sha256"] == heavy
    came_by_xet(hub)


@only("2.4.0")
def test_a_file_that_is_not_here_fails_soon_from_a_hub_that_asks_nobody(client, mock, hub, start_hub, heavy):
    """Also when a listing in the client's cache names the Xet hash: by Xet it could try again for minutes."""
    commit = mock.commit(ODD)
    [listed] = client.calls(["snapshot_download", {"repo_id": ODD, "revision": commit, "allow_patterns": "*.json"}])
    assert not listed.failed
    hub.stop()
    again = start_hub(listen=hub.address, offline="true")
    [answer] = client.calls([WISH[0], {**WISH[1], "revision": commit}])
    answer.fails_as("Exception", but_not=("RepositoryNotFoundError", "RemoteEntryNotFoundError"))
    asked = [(path, status) for _, path, status in again.requests() if "/reconstructions/" in path]
    assert {status for _, status in asked} == {501}
    assert len(asked) == len(set(asked)), "it was tried again"


@only("2.4.0")
def test_clients_of_both_ways_at_once_cause_one_transfer(client, mock, heavy):
    ways = ("2.4.0", "0.36.0", "0.28.1", "2.4.0-http")
    clients = [Client.of(way, client.endpoint, client.home.parent / way) for way in ways]
    running = [one.start(WISH) for one in clients]
    assert [answer.value["sha256"] for one in running for answer in one.answers()] == [heavy] * len(ways)
    assert mock.stats()["cdn_body_bytes"] == SIZE


@pytest.mark.parametrize(
    ("variables", "recipe"),
    [
        ({"HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": "1"}, "recipe v1"),
        ({"HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": "2"}, "recipe"),
        ({"HF_XET_CLIENT_ENABLE_MULTIRANGE_FETCHING": "true"}, "recipe"),
        (
            {"HF_XET_CLIENT_RECONSTRUCTION_API_VERSION": "1", "HF_XET_CLIENT_ENABLE_MULTIRANGE_FETCHING": "true"},
            "recipe v1",
        ),
    ],
    ids=["v1", "v2", "many ranges", "v1, many ranges"],
)
@only("2.4.0")
def test_other_settings_of_hf_xet_work(client, hub, heavy, variables, recipe):
    for home in ("cold", "hot"):
        [answer] = client.fresh(home).with_settings(**variables).calls(WISH)
        assert answer.value["sha256"] == heavy
        came_by_xet(hub, recipe)


@only("2.4.0")
def test_a_file_system_fetches_by_xet(client, hub, heavy):
    digest = client.call("fs_get", path=f"{ODD}/{HEAVY}", local_path=str(client.home / "got")).value
    assert digest == heavy
    came_by_xet(hub)


# Files that plain HTTP is not for


@only("2.4.0", "0.36.0", "2.4.0-http", "0.36.0-http")
def test_a_file_above_the_limit_of_http_comes_by_xet_only(client, hub, heavy):
    """The limit is 50 GB; the clients' own is lowered, and everything else is as it would be."""
    limited, answer = client.calls(["limit_http", {"size": SIZE - 1}], WISH)
    assert limited.value == 50 * 1000**3
    if client.speaks_xet:
        assert answer.value["sha256"] == heavy
        came_by_xet(hub)
    else:
        assert "too large" in answer.fails_as("ValueError")["message"]


@only("2.4.0", "0.36.0")
def test_a_hot_file_above_the_limit_of_http_comes_without_an_upstream(client, mock, hub, heavy):
    assert client.calls(WISH)[0].value["sha256"] == heavy
    mock.kill()
    hub.requests()
    limit = ["limit_http", {"size": SIZE - 1}]
    _, file = client.fresh().calls(limit, WISH)
    assert file.value["sha256"] == heavy
    came_by_xet(hub)
    _, snapshot = client.fresh().calls(limit, ["snapshot_download", {"repo_id": ODD, "allow_patterns": HEAVY}])
    assert snapshot.value["files"] == {HEAVY: heavy}
    came_by_xet(hub)


def begins_right(cache):
    """Whether the partial file in a cache begins with what upstream sends."""
    for path in cache.glob("models--*/blobs/*.incomplete"):
        with path.open("rb") as file:
            if all(file.read(huge.BLOCK) == huge.content(block) for block in range(64)):
                return True
    return False


@pytest.mark.parametrize("version", ["2.4.0", "0.36.0"])
def test_51_gigabytes_begin_to_arrive_at_a_client_as_it_is(version, tmp_path):
    wish = ["hf_hub_download", {"repo_id": huge.REPO, "filename": huge.FILE}]
    with huge.upstream() as upstream:
        hub = Hub(tmp_path, upstream, tmp_path / "data")
        try:
            client = Client.of(version, hub.url, tmp_path / "homes" / "xet")
            http_client = Client.of(f"{version}-http", hub.url, tmp_path / "homes" / "http")
            assert "too large" in http_client.calls(wish)[0].fails_as("ValueError")["message"]
            hub.requests()
            running = client.start(wish)
            try:
                wait_until(lambda: begins_right(client.home / "hf" / "hub"), "the first 64 MiB are there")
            finally:
                running.kill()
            came_by_xet(hub)
        finally:
            hub.kill()


# Without Xet


@only("2.4.0-http", "0.36.0-http", "0.28.1")
def test_a_client_without_xet_uses_plain_http(client, hub, heavy):
    assert client.calls(WISH)[0].value["sha256"] == heavy
    came_by_http(hub)


@pytest.fixture
def silent(hub, start_hub):
    hub.stop()
    return start_hub(listen=hub.address, xet_serve="false")


@pytest.mark.parametrize("question", QUESTIONS)
def test_switched_off_no_answer_speaks_of_xet(silent, question):
    for _ in range(2):  # cold, then from the store
        assert traces(ask(silent.url, question)) == []


@pytest.mark.parametrize("question", ["head", "tree", "expanded tree", "paths-info"])
def test_the_mock_does_speak_of_xet(mock, question):
    """Else the test above could not fail."""
    assert traces(ask(mock.url, question))


def test_switched_off_there_is_no_store(silent, heavy):
    for path in (
        f"api/models/{ODD}/xet-read-token/main",
        f"xet/v2/reconstructions/{heavy}",
        f"xet/v1/reconstructions/{heavy}",
        f"xet/v1/xorbs/default/{heavy}",
    ):
        assert http("GET", f"{silent.url}/{path}").status in (404, 501), path


@only("2.4.0", "0.36.0")
def test_switched_off_a_client_with_hf_xet_gets_its_files(client, silent):
    assert list(environment_of(client.name).glob("lib/python*/site-packages/hf_xet/*.so")), "hf_xet is not installed"
    assert client.calls(SNAPSHOT)[0].value["files"] == ODD_DIGESTS
    came_by_http(silent)


@only("2.4.0")
def test_switched_off_a_client_with_an_old_listing_is_told(client, mock, hub, start_hub, heavy):
    commit = mock.commit(ODD)
    [listed] = client.calls(["snapshot_download", {"repo_id": ODD, "revision": commit, "allow_patterns": "*.json"}])
    assert not listed.failed
    hub.stop()
    start_hub(listen=hub.address, xet_serve="false")
    wish = [WISH[0], {**WISH[1], "revision": commit}]
    [answer] = client.calls(wish)
    error = answer.fails_as("HfHubHTTPError")
    assert error["status"] == 501
    # What README says about it.
    assert "Xet is disabled on this hub" in error["message"]
    [answer] = client.with_settings(HF_HUB_DISABLE_XET="1").calls(wish)
    assert answer.value["sha256"] == heavy


# Accidents


def slow(mock, start_hub, hub):
    """A download that takes some seconds, on one connection. The hub starts again at the same address."""
    hub.stop()
    mock.fault({"slow": {"bytes_per_second": 8 * MIB}}, origin="cdn", method="GET")
    return start_hub(listen=hub.address, flight_connections=1, flight_segment_size="1MiB")


def arrived(mock):
    return sum(line["body_bytes"] for line in mock.log() if line["origin"] == "cdn" and line["method"] == "GET")


def open_files(hub):
    """What the hub has open below its data directory, without the database."""
    links = []
    for link in Path(f"/proc/{hub.process.pid}/fd").iterdir():
        try:
            links.append(os.readlink(link))
        except FileNotFoundError:
            continue
    return sorted(link for link in links if link.startswith(str(hub.data_dir)) and ".db" not in link)


def memory(hub):
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


@only("2.4.0")
def test_clients_that_are_killed_leave_nothing_behind(client, mock, hub, start_hub, heavy):
    hub = slow(mock, start_hub, hub)
    assert client.fresh().calls(["snapshot_download", {"repo_id": ODD, "ignore_patterns": HEAVY}])[0].value
    wait_until(lambda: hub.metric("modelhub_connections") <= 1, "the hub is at rest")
    before, files = memory(hub), open_files(hub)

    clients = [client.fresh("killed").start(WISH) for _ in range(3)]
    wait_until(lambda: arrived(mock) > SIZE / 3, "the download is under way")
    assert hub.metric("modelhub_flights") == 1
    for one in clients:
        one.kill()
    # Upstream's bytes are not thrown away: the download ends without the clients.
    wait_until(lambda: hub.metric("modelhub_flights") == 0, "the flight has landed")
    wait_until(lambda: hub.metric("modelhub_connections") <= 1, "the connections are closed")
    # The new blob may be kept open, as others are.
    wait_until(lambda: len(open_files(hub)) <= len(files) + 1, "the files are closed")
    assert memory(hub) < before + 64 * MIB
    mock.clear()
    hub.requests()
    assert client.fresh().calls(WISH)[0].value["sha256"] == heavy
    came_by_xet(hub)
    assert mock.stats()["cdn_body_bytes"] == 0


# Who may

PRIVATE = "demo/private"
WEIGHTS = "model.safetensors"


@only("2.4.0", "0.36.0")
def test_a_private_file_comes_by_xet_to_those_who_may_have_it(client, mock, hub):
    expected = sha256(mock.source(f"{PRIVATE}/resolve/main/{WEIGHTS}", token=mock.ALICE))
    wish = ["hf_hub_download", {"repo_id": PRIVATE, "filename": WEIGHTS}]
    for home in ("cold", "hot"):
        [answer] = client.fresh(home).calls(wish, token=mock.ALICE)
        assert answer.value["sha256"] == expected
        assert set(steps(hub)) == {"token", "recipe", "xorb"}
        for token in (None, mock.BOB):
            [answer] = client.fresh("other").calls(wish, token=token)
            answer.fails_as("RepositoryNotFoundError", but_not=("GatedRepoError",))
        assert steps(hub) == {}


def xet_token(hub, repo_id, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return http("GET", f"{hub.url}/api/models/{repo_id}/xet-read-token/main", headers=headers)


def recipe(hub, file, xet):
    headers = {"Authorization": f"Bearer {xet}"} if xet else {}
    return http("GET", f"{hub.url}/xet/v2/reconstructions/{file}", headers=headers)


@pytest.mark.parametrize("hot", [False, True], ids=["cold", "hot"])
def test_a_token_opens_its_own_repository_only(mock, hub, hot):
    alice = {"Authorization": f"Bearer {mock.ALICE}"}
    head = http("HEAD", f"{hub.url}/{PRIVATE}/resolve/main/{WEIGHTS}", headers=alice)
    file = head.headers["x-xet-hash"]
    if hot:
        assert http("GET", f"{hub.url}/{PRIVATE}/resolve/main/{WEIGHTS}", headers=alice).status == 200
    # As for the Hub's other routes: nobody is told that there is something.
    assert xet_token(hub, PRIVATE).status == 401
    assert xet_token(hub, PRIVATE, mock.BOB).status == 404
    assert xet_token(hub, "demo/gated", mock.BOB).status == 403

    good = xet_token(hub, PRIVATE, mock.ALICE).json()["accessToken"]
    other = xet_token(hub, ODD).json()["accessToken"]
    others = xet_token(hub, ODD, mock.ALICE).json()["accessToken"]
    for wrong in (other, others):
        assert recipe(hub, file, wrong).status == 404
    for wrong in (None, "nonsense", mock.ALICE, good[:-2], good + "A"):
        assert recipe(hub, file, wrong).status == 401
    assert recipe(hub, "0" * 64, good).status == 404

    found = recipe(hub, file, good)
    assert found.status == 200
    [(name, [place])] = found.json()["xorbs"].items()
    assert http("GET", place["url"]).status in (200, 206)
    bare = place["url"].split("?")[0]
    for wrong in (bare, f"{bare}?ticket=nonsense", place["url"][:-3], f"{place['url']}AA"):
        assert http("GET", wrong).status == 403, wrong
    assert http("GET", place["url"].replace(name, name[::-1])).status == 404
    beyond = place["ranges"][-1]["bytes"]["end"] + 1
    assert http("GET", place["url"], headers={"Range": f"bytes=0-{beyond}"}).status == 403


# @huggingface/hub, the JavaScript client


class Node:
    """The JavaScript client in processes of its own: `driver.mjs` is to it what `driver.py` is to the others."""

    def __init__(self, endpoint, home):
        command = [ROOT / "scripts" / "node-packages", HERE / "js"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"scripts/node-packages failed:\n{done.stdout}{done.stderr}"
        self.packages, self.endpoint, self.home = done.stdout.strip(), endpoint, home

    def calls(self, *calls):
        argv = ["node", HERE / "js" / "driver.mjs", self.packages, self.endpoint, json.dumps(calls)]
        environment = plain_environment() | {"HOME": str(self.home)}
        done = subprocess.run(argv, env=environment, check=False, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{calls} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        *answers, asked = json.loads(done.stdout.splitlines()[-1])
        assert set(asked) == {self.endpoint}, "it also went elsewhere"
        return answers


@pytest.fixture
def node(tmp_path, hub):
    return Node(hub.url, tmp_path)


def source(mock, name):
    return mock.source(f"{ODD}/resolve/main/{name}")


def test_javascript_downloads_by_xet_cold_and_hot(node, mock, hub, heavy):
    for _ in range(2):
        [file] = node.calls(["download", {"repo": ODD, "path": HEAVY}])
        assert file == {"xet": True, "size": SIZE, "sha256": heavy}
        came = steps(hub)
        came.pop("resolve")  # it asks for the first byte
        assert came == {"token": {200}, "recipe": {200}, "xorb": {206}}
    mock.kill()
    [file] = node.calls(["download", {"repo": ODD, "path": HEAVY}])
    assert file["sha256"] == heavy


@pytest.mark.parametrize("hot", [False, True], ids=["cold", "hot"])
def test_javascript_reads_slices_by_xet(node, mock, hub, heavy, hot):
    data = source(mock, HEAVY)
    if hot:
        assert http("GET", f"{hub.url}/{ODD}/resolve/main/{HEAVY}").status == 200
    edge = 8 * MIB
    slices = [(0, 1), (edge - 5, edge + 5), (131_071, 131_073), (20_000_000, 39_000_000), (SIZE - 1, SIZE)]
    answers = node.calls(*(["download", {"repo": ODD, "path": HEAVY, "slice": part}] for part in slices))
    assert all(answer["xet"] for answer in answers)
    assert [answer["sha256"] for answer in answers] == [sha256(data[start:end]) for start, end in slices]


def test_javascript_never_takes_a_wrong_file_for_the_right_one(node, mock, heavy):
    fault = mock.fault({"flip_byte": MIB}, origin="cdn", method="GET", path_contains=HEAVY, times=1)
    wish = ["download", {"repo": ODD, "path": HEAVY}]
    [first] = node.calls(wish)
    assert mock.applied(fault) == 1
    assert "error" in first or first["sha256"] == heavy
    assert node.calls(wish)[0]["sha256"] == heavy


def test_javascript_downloads_without_xet(node, hub, heavy):
    http("GET", f"{hub.url}/{ODD}/resolve/main/{HEAVY}")
    hub.requests()
    [file] = node.calls(["download", {"repo": ODD, "path": HEAVY, "xet": False}])
    assert (file["xet"], file["sha256"]) == (False, heavy)
    came_by_http(hub)


def test_javascript_lists_xet_hashes(node, mock):
    theirs = http("GET", f"{mock.url}/api/models/{ODD}/tree/main?recursive=true").json()
    [ours] = node.calls(["list", {"repo": ODD}])
    files = {entry["path"]: entry.get("xetHash") for entry in theirs if entry["type"] == "file"}
    assert ours == files
    assert ours["large.bin"]
