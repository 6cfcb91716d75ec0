"""Fixtures: the mock Hub, and a real client that downloads through whatever hub a test has installed."""

import re
import subprocess

import pytest
import yaml
from client import environment_of
from services import START_DEADLINE, Mock, Service, plain_environment, wait_until

from places import ROOT, run

REPO = "demo/tiny-llama"
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def mock(tmp_path):
    with Mock(tmp_path, []) as mock:
        yield mock


@pytest.fixture
def mock_in(tmp_path):
    """Starts the mock at this test's own address in a `Net`."""
    environment_of("hub-2.4.0")  # before there is no way to the index any more
    return lambda net: Mock(tmp_path, [], f"{net.address}:0", f"{net.address}:0")


def interpolated(value, variables):
    """A value of a Compose file with its `${NAME:?message}` and `${NAME:-default}` replaced."""
    if isinstance(value, dict):
        return {key: interpolated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def replaced(found):
        name, operator, rest = found.groups()
        if variables.get(name):
            return variables[name]
        assert operator == ":-", f"{name} is not set: {rest}"
        return rest

    return re.sub(r"\$\{(\w+)(:[?-])([^}]*)\}", replaced, value)


@pytest.fixture
def compose():
    """The services of a Compose file."""

    def read(name, **variables):
        text = (ROOT / "docker" / name).read_text()
        return interpolated(yaml.safe_load(text)["services"], variables)

    return read


class Installed(Service):
    """A hub that was installed somewhere, with that place's own way to start it."""

    def __init__(self, log_dir, argv, environment):
        patterns = {"url": r"hub listening on (http://\S+)", "admin": r"admin listening on (http://\S+)"}
        super().__init__("installed", argv, environment, log_dir, patterns)
        self.url, self.admin = self.found["url"], self.found["admin"]


def upstream_is(mock):
    """The settings of a hub whose upstream is the mock: its CDN is another port, and it has no Xet store."""
    return {
        "MODELHUB_UPSTREAM_URL": mock.url,
        "MODELHUB_UPSTREAM_CDN_HOSTS": mock.address.rsplit(":", 1)[0],
        "MODELHUB_XET_FETCH": "never",
    }


def download(url, home, repo=REPO):
    """The files of a repository by `hf download`, as a user calls it: path → content."""
    home.mkdir()
    hf = environment_of("hub-2.4.0") / "bin" / "hf"
    environment = plain_environment() | {"HOME": str(home), "HF_HOME": str(home / "cache"), "HF_ENDPOINT": url}
    run([hf, "download", repo, "--local-dir", home / "files"], environment)
    files = [path for path in (home / "files").rglob("*") if path.is_file()]
    names = {str(path.relative_to(home / "files")): path.read_bytes() for path in files}
    return {name: content for name, content in names.items() if not name.startswith(".cache/")}


def assert_serves(url, mock, home):
    """The main job: a real client gets the right bytes; again, without upstream being asked for them."""
    right = {path: mock.source(f"{REPO}/resolve/main/{path}") for path in mock.files(REPO)}
    assert len(right) > 3
    assert download(url, home / "first") == right
    mock.clear()
    assert download(url, home / "second") == right
    assert mock.stats()["cdn_body_bytes"] == 0
    return right


def ready(check):
    """Asks a health check until it succeeds, as an orchestrator does."""

    def once():
        return subprocess.run(check, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0

    wait_until(once, f"{check} succeeds", START_DEADLINE)


def listens(unit):
    """What a systemd unit starts."""
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    return line.split()
