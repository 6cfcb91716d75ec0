"""Caches of real clients are imported: what is on disk already is served without a download, upstream gone."""

import json

import pytest

from client import Client
from library import ODD, ODD_FILES, sha256
from services import http, wait_until

ODD_DIGESTS = {name: sha256(data) for name, data in ODD_FILES.items()}


class Filler(Client):
    """Fills a cache from the Hub itself, so it may talk to the Hub's CDN too."""

    def talked_only_to_its_endpoint(self):
        pass


def scan(hub, folder):
    """Imports a folder; the job as it ended."""
    reply = http("POST", f"{hub.admin}/v1/hub/scan", json.dumps({"path": str(folder)}).encode())
    assert reply.status == 200, reply.body
    url = f"{hub.admin}/v1/jobs/{reply.json()['id']}"
    ended = wait_until(lambda: http("GET", url).json()["status"] not in ("pending", "running"), "the scan ends")
    assert ended
    return http("GET", url).json()


@pytest.mark.parametrize("upstream", ["up", "gone"])
def test_a_cache_of_a_real_client_is_served_without_a_download(client, mock, hub, upstream):
    filler = Filler(client.name, mock.url, client.home.parent / "filler", {"HF_HUB_DISABLE_XET": "1"})
    assert filler.call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS
    if upstream == "gone":
        mock.kill()
    job = scan(hub, filler.home / "hf")
    assert job["status"] == "completed", job
    again = scan(hub, filler.home / "hf")
    assert "0 read" in again["outcome"], again
    if upstream == "up":
        mock.kill()
    assert client.call("snapshot_download", repo_id=ODD).value["files"] == ODD_DIGESTS
    assert hub.metric("modelhub_upstream_bytes_total") == 0
