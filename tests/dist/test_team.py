"""docker/compose.team.yaml: its services with its own environment and commands, in a network with its own names."""

import contextlib
import json

import pytest
from services import http, wait_until

from conftest import REPO, TOKEN, assert_serves, upstream_is
from containers import Container, Image, Net, volume
from postgres import Postgres
from test_image import PATTERNS, program

PASSWORD = "a password of letters & signs"
WORKER = {"address": r"worker listening on (\S+)"}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return Image(tmp_path_factory.mktemp("image") / "root", program())


def test_two_hubs_and_two_workers_share_a_database_and_a_volume(image, tmp_path, mock_in, compose):
    services = compose("compose.team.yaml", MODELHUB_ADMIN_TOKEN=TOKEN, MODELHUB_DB_PASSWORD=PASSWORD)
    assert sorted(services) == ["db", "hub-1", "hub-2", "worker-1", "worker-2"]
    assert services["db"]["image"] == "postgres:16"
    with (
        Net(tmp_path) as net,
        mock_in(net) as mock,
        volume(tmp_path / "data", image) as data,
        Postgres(net, services["db"]["environment"]) as db,
        contextlib.ExitStack() as running,
    ):
        print(db.version)
        boxes, started = {}, {}
        for name in ("hub-1", "hub-2", "worker-1", "worker-2"):
            service = services[name]
            settings = upstream_is(mock) | service["environment"]
            boxes[name] = Container(image, net, name, volume=data, environment=settings, log_dir=tmp_path)
            patterns = WORKER if name.startswith("worker") else PATTERNS
            started[name] = running.enter_context(boxes[name].start(patterns, service["command"]))
        serve(boxes, started, mock, tmp_path)


def serve(boxes, running, mock, tmp_path):
    def api(method, hub, path, body=None):
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        body = None if body is None else json.dumps(body).encode()
        reply = http(method, f"http://{boxes[hub].address}:8485{path}", body, headers)
        assert reply.status == 200, reply.body
        return reply.json()

    for hub in ("hub-1", "hub-2"):
        wait_until(lambda hub=hub: boxes[hub].health()[0] == 0, f"{hub} is healthy")

    def alive():
        return [worker for worker in api("GET", "hub-2", "/v1/system")["workers"] if worker["alive"]]

    wait_until(lambda: len(alive()) == 2, "both workers are alive")
    api("POST", "hub-1", "/v1/models", {"repo_id": REPO})
    job = api("POST", "hub-1", f"/v1/models/{REPO.replace('/', '%2F')}/download", {})

    # Whom one hub told to download, another one watches, and a worker's death does not end it.
    running["worker-1"].kill()

    def ended():
        found = api("GET", "hub-2", f"/v1/jobs/{job['id']}")
        assert found["status"] != "failed", found
        return found["status"] == "completed"

    wait_until(ended, "the download completes", 120)
    for hub in ("hub-1", "hub-2"):
        home = tmp_path / f"client-{hub}"
        home.mkdir()
        assert_serves(f"http://{boxes[hub].address}:8484", mock, home)
    # One hub is enough.
    running["hub-1"].kill()
    home = tmp_path / "client-after"
    home.mkdir()
    assert_serves(f"http://{boxes['hub-2'].address}:8484", mock, home)
    for name in ("hub-2", "worker-2"):
        running[name].stop()
        assert running[name].process.returncode == 0, name
