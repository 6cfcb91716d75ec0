"""Xet stays hidden: a client with hf_xet, which follows every trace of it past any proxy, must find none.

The native part of hf_xet cannot be watched from Python. So it is shown that no answer names Xet, that the mock,
whose answers do, is never asked for a token (each test's mock checks that), and that files come all the same:
the addresses that the mock would send hf_xet to lead nowhere.
"""

import re

import pytest

from client import environment_of
from conftest import only
from library import ODD, ODD_FILES, sha256
from services import http

QUESTIONS = {
    "head": ("HEAD", f"{ODD}/resolve/main/large.bin", None),
    "get": ("GET", f"{ODD}/resolve/main/small.bin", None),
    "tree": ("GET", f"api/models/{ODD}/tree/main?recursive=true&expand=false", None),
    "expanded tree": ("GET", f"api/models/{ODD}/tree/main?recursive=true&expand=true", None),
    "paths-info": ("POST", f"api/models/{ODD}/paths-info/main", b"paths=large.bin&paths=small.bin"),
    "info": ("GET", f"api/models/{ODD}?blobs=true", None),
    "revision": ("GET", f"api/models/{ODD}/revision/main?blobs=true", None),
    "dataset": ("GET", "api/datasets/demo/squad-mini/tree/main?recursive=true", None),
    "models": ("GET", "api/models?full=true", None),
}


def ask(base, question):
    method, path, body = QUESTIONS[question]
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    return http(method, f"{base}/{path}", body, headers)


def traces(reply):
    """Every place where an answer speaks of Xet."""
    found = [f"{name}: {value}" for name, value in reply.headers.items() if "xet" in f"{name}{value}".lower()]
    if "json" in (reply.headers["content-type"] or ""):
        found += re.findall(r'"[^"]*xet[^"]*"', reply.body.decode(), re.IGNORECASE)
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_answer_speaks_of_xet(hub, question):
    for _ in range(2):  # cold, then from the store
        reply = ask(hub.url, question)
        assert reply.status == 200, reply.body
        assert traces(reply) == []


@pytest.mark.parametrize("question", ["head", "tree", "expanded tree", "paths-info"])
def test_the_mock_does_speak_of_xet(mock, question):
    """Else the test above could not fail."""
    assert traces(ask(mock.url, question))


@only("2.4.0", "0.36.0")
def test_a_client_with_hf_xet_gets_its_files_from_the_hub(client):
    environment = environment_of(client.name)
    assert list(environment.glob("lib/python*/site-packages/hf_xet/*.so")), "hf_xet is not installed"
    done = client.call("snapshot_download", repo_id=ODD).value
    assert done["files"] == {name: sha256(data) for name, data in ODD_FILES.items()}
    assert client.connections() == {client.endpoint.removeprefix("http://")}


def test_a_token_for_xet_is_not_to_be_had(hub):
    reply = http("GET", f"{hub.url}/api/models/{ODD}/xet-read-token/main")
    assert reply.status == 501
