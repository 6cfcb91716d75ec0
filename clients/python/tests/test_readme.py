"""The examples of README.md run."""

import re
from functools import partial
from pathlib import Path

import httpx2
import pytest

import modelhub_client
from fake import FakeServer

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transport = httpx2.MockTransport(FakeServer())
    for name in ("Client", "AsyncClient"):
        client = partial(getattr(modelhub_client, name), transport=transport)
        monkeypatch.setattr(modelhub_client, name, client)
    exec(compile(EXAMPLES[number], "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out or number == 3


def test_it_names_all_errors() -> None:
    for name in modelhub_client.errors.__dict__:
        value = getattr(modelhub_client, name, None)
        if isinstance(value, type) and issubclass(value, Exception):
            assert f"`{name}`" in README
