"""transformers on top of huggingface_hub 2.4.0: configurations and tokenizers, cold and without an upstream."""

import pytest

from client import Client
from library import MINILM, MINILM_WEIGHTS_SHA256
from services import Mock

LLAMA = "demo/tiny-llama"
TEXT = "hello world, the cache is tiny."


@pytest.fixture
def mock(tmp_path, minilm_repos):
    """With the real model instead of the made repositories."""
    mock = Mock(tmp_path, [minilm_repos])
    yield mock
    mock.kill()


@pytest.fixture
def client(tmp_path, hub):
    client = Client("transformers", hub.url, tmp_path / "homes" / "first")
    client.home.mkdir(parents=True)
    return client


def load(repo_id, **more):
    return ["config_and_tokenizer", {"repo_id": repo_id, "text": TEXT, **more}]


def test_a_made_model_loads_cold_and_from_a_hub_without_upstream(client, mock):
    [cold] = client.calls(load(LLAMA))
    assert cold.value["model_type"] == "llama"
    assert cold.value["tokens"][:3] == ["hello", "world", ","]
    mock.kill()
    [hot] = client.fresh().calls(load(LLAMA))
    assert hot.value == cold.value


def test_a_real_model_loads_cold_and_from_a_hub_without_upstream(client, mock):
    [cold] = client.calls(load(MINILM))
    assert (cold.value["model_type"], cold.value["hidden_size"]) == ("bert", 384)
    assert cold.value["tokens"][:3] == ["[CLS]", "hello", "world"]
    mock.kill()
    [hot] = client.fresh().calls(load(MINILM))
    assert hot.value == cold.value


def test_the_real_weights_arrive_once_for_many(client, mock):
    download = ["hf_hub_download", {"repo_id": MINILM, "filename": "model.safetensors"}]
    running = [client.fresh().start(download) for _ in range(3)]
    for one in running:
        [answer] = one.answers()
        assert answer.value["sha256"] == MINILM_WEIGHTS_SHA256
    assert mock.stats()["cdn_body_bytes"] == 90_868_376
