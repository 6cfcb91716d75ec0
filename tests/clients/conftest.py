"""Fixtures. Each test gets a mock, a hub with an empty store and a client with an empty cache of its own; nothing is
shared but the made repositories, which nobody changes."""

import contextlib
import urllib.error

import pytest

from client import VERSIONS, Client
from library import minilm, write_repos
from services import Hub, Mock


@pytest.fixture(scope="session")
def repos(tmp_path_factory):
    return write_repos(tmp_path_factory.mktemp("repos"))


@pytest.fixture(scope="session")
def minilm_repos():
    return minilm()


@pytest.fixture
def mock(tmp_path, repos):
    mock = Mock(tmp_path, [repos])
    yield mock
    with contextlib.suppress(urllib.error.URLError):  # some tests stop it themselves
        log = mock.log()
        xet = [line["path"] for line in log if "xet-read-token" in line["path"]]
        leaks = mock.stats()["cdn_calls_with_authorization"]
        assert not xet, f"the upstream was asked for Xet: {xet}"
        assert leaks == 0, "a token went to the CDN"
    mock.kill()


@pytest.fixture
def start_hub(tmp_path, mock):
    """Starts hubs on one data directory; `start_hub(listen=…, setting=…)`. Those still running at the end must
    stop when they are asked to."""
    started = []

    def start(**settings):
        hub = Hub(tmp_path, mock.url, tmp_path / "data", **settings)
        started.append(hub)
        return hub

    yield start
    for hub in started:
        hub.stop()


@pytest.fixture
def hub(start_hub):
    return start_hub()


@pytest.fixture(params=VERSIONS, ids=lambda way: f"hub-{way}")
def client(request, tmp_path, hub):
    client = Client.of(request.param, hub.url, tmp_path / "homes" / "first")
    client.home.mkdir(parents=True)
    return client


def only(*ways):
    """For tests of what some versions do not have, `@only("2.4.0")`, or what depends on how they download,
    `@only(*WAYS)`."""
    return pytest.mark.parametrize("client", ways, indirect=True, ids=lambda way: f"hub-{way}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and call.when == "call":
        add_evidence(report, item.funcargs)
    return report


def add_evidence(report, fixtures):
    """What the hub printed and which requests reached the mock, for the report of a failure."""
    folder = fixtures.get("tmp_path")
    for path in sorted(folder.glob("*.log")) if folder else ():
        lines = path.read_text(errors="replace").splitlines()
        report.sections.append((path.name, "\n".join(lines[-40:])))
    with contextlib.suppress(urllib.error.URLError, KeyError, OSError):
        lines = [
            f"{line['origin']} {line['method']} {line['path']}?{line['query']} range={line['range']}"
            f" -> {line['status']}, {line['body_bytes']} bytes, done={line['done']}"
            for line in fixtures["mock"].log()
        ]
        report.sections.append(("requests to the mock", "\n".join(lines[-60:])))
