"""The upstream misbehaves. No client ever takes a wrong file for the right one, and what can be mended is."""

import pytest

from client import VERSIONS, WAYS, Client
from conftest import only
from library import ODD, ODD_FILES, sha256
from services import wait_until

MIB = 1024 * 1024
SIZE = 40_000_000

HARMLESS = {
    "cut": {"cut_after": 3 * MIB},
    "reset": {"reset_after": 3 * MIB},
    "refusal": {"status": {"code": 503}},
    "expired address": "expire_url",
    "no answer": "no_answer",
    "range ignored": "ignore_range",
    "wrong content-range": "wrong_content_range",
    "web page": "html200",
    "nothing": "empty200",
}


def wish(name):
    return ["hf_hub_download", {"repo_id": ODD, "filename": name}]


@pytest.fixture
def heavy(mock):
    """A file that is streamed while it arrives, and its sha256."""
    mock.add_random(ODD, "heavy.bin", SIZE, seed=3)
    digest = sha256(mock.source(f"{ODD}/resolve/main/heavy.bin"))
    mock.clear()
    return "heavy.bin", digest


def check_never_wrong(answers, digest):
    for answer in answers:
        if not answer.failed:
            assert answer.value["sha256"] == digest, "a wrong file was taken for the right one"


def check_recovers(client, name, digest):
    """With a good upstream again, the same client and one that begins anew get the file."""
    check_never_wrong(client.calls(wish(name)), digest)
    fresh = client.fresh()
    fresh.cli("download", ODD, name, "--local-dir", str(fresh.home / "local"))
    assert sha256((fresh.home / "local" / name).read_bytes()) == digest
    # Before 1.17, a client puts whatever comes behind what it has of a file, and only then looks at the size.
    # It refuses the result, as it must, but nothing that a hub can send makes it drop its wrong beginning.
    force = {"force_download": True} if client.version.startswith("0.") else {}
    assert client.call("hf_hub_download", repo_id=ODD, filename=name, **force).value["sha256"] == digest


@only(*WAYS)
def test_wrong_bytes_are_never_a_successful_download(client, mock, heavy):
    """The wrong byte comes early: it has left the hub long before anybody can know that it is wrong. A client that
    resumes after the cut must not be given the rest of a good copy."""
    name, digest = heavy
    fault = mock.fault({"flip_byte": MIB}, origin="cdn", method="GET", path_contains=name, times=1)
    check_never_wrong(client.calls(wish(name), wish(name)), digest)
    assert mock.applied(fault) == 1
    check_recovers(client, name, digest)


@only(*WAYS)
def test_bytes_that_stay_wrong_are_never_a_successful_download(client, mock, heavy):
    """Newer clients go on as long as something comes. So the upstream is mended after a while."""
    name, digest = heavy
    fault = mock.fault({"flip_byte": MIB}, origin="cdn", method="GET", path_contains=name)
    running = client.start(wish(name))
    wait_until(
        lambda: mock.applied(fault) >= 3 or running.process.poll() is not None,
        "the hub has tried, or the client gave up",
    )
    assert mock.applied(fault) >= 1
    mock.clear_faults()
    check_never_wrong(running.answers(), digest)
    check_recovers(client, name, digest)


@only(*VERSIONS, "2.4.0-http")
@pytest.mark.parametrize("fault", HARMLESS)
def test_a_fault_that_passes_is_not_noticed(client, mock, heavy, fault):
    name, digest = heavy
    fault_id = mock.fault(HARMLESS[fault], origin="cdn", method="GET", path_contains=name, times=2)
    [answer] = client.calls(wish(name))
    assert mock.applied(fault_id) == 2
    assert answer.value["sha256"] == digest


@only("2.4.0")
def test_a_small_wrong_file_does_not_leave_the_hub(client, mock, hub, start_hub):
    """All versions and all faults at once: the clients try again and again for some time."""
    hub.stop()
    start_hub(listen=hub.address, flight_attempts=2)
    faults = {
        "config.json": {"flip_byte": 5},
        "a/top.json": {"short_length": 3},
        "a/b/deep.json": {"long_body": 3},
        "sub dir/file #1 name.txt": "html200",
    }
    ids = [mock.fault(fault, origin="hub", method="GET", path_contains=name) for name, fault in faults.items()]
    homes = client.home.parent
    jobs = [
        (Client(f"hub-{version}", client.endpoint, homes / f"{version}-{number}"), name)
        for version in VERSIONS
        for number, name in enumerate(faults)
    ]
    running = [one.start(wish(name)) for one, name in jobs]
    for one in running:
        [answer] = one.answers()
        assert answer.failed, f"{answer.call}: a file that no good copy exists of was delivered"
    assert all(mock.applied(fault_id) >= 1 for fault_id in ids)
    mock.clear_faults()
    running = [(one.start(wish(name)), name) for one, name in jobs]
    for one, name in running:
        [answer] = one.answers()
        assert answer.value["sha256"] == sha256(ODD_FILES[name])


@only("2.4.0", "0.36.0")
def test_a_failing_upstream_is_no_missing_repository(client, mock):
    mock.fault({"status": {"code": 500, "message": "Internal Error"}}, origin="hub")
    snapshot = client.call("snapshot_download", repo_id=ODD)
    snapshot.fails_as("LocalEntryNotFoundError", but_not=("RepositoryNotFoundError", "RevisionNotFoundError"))
    mock.clear_faults()
