"""docker/Dockerfile: its root folder, made by its own steps, and the files beside it."""

import shutil
import sys
import urllib.error
from pathlib import Path

import pytest
from services import http, wait_until

from conftest import TOKEN, assert_serves, ready, upstream_is
from containers import Container, Image, Net, volume
from places import ROOT, run

BIN = Path(sys.executable).parent
PATTERNS = {"url": r"hub listening on (http://\S+)", "admin": r"admin listening on (http://\S+)"}


def program():
    """What the wheel and the packages carry."""
    (found,) = (ROOT / "target/dist/tarball").glob("*/modelhub")
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    image = Image(tmp_path_factory.mktemp("image") / "root", program())
    yield image
    shutil.rmtree(image.root)


def test_the_files_are_well_formed():
    run([BIN / "hadolint", ROOT / "docker/Dockerfile"])
    files = sorted((ROOT / "docker").glob("compose*.yaml"))
    assert len(files) == 3
    run([BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files])


def test_the_context_has_all_that_is_compiled(tmp_path):
    """Copies what .dockerignore lets through and asks Cargo and the list of what the program was made of."""
    excluded, context = [], tmp_path / "context"
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            name = line[1:]
            tracked = run(["git", "-C", ROOT, "ls-files", "--", name]).split()
            assert tracked, f".dockerignore names {name}, which does not exist"
            for path in tracked:
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, context / path)
        elif line.strip("*") and not line.startswith("#"):
            excluded.append(line)
    assert excluded == ["admin-ui/dist", "**/node_modules", "**/__pycache__"]
    run(["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", context / "Cargo.toml"])
    profile = (ROOT / "target/dist/built").read_text().split()[0]
    listed = ROOT / {"release": "target/dist/release/modelhub.d", "dev": "target/debug/modelhub.d"}[profile]
    sources = listed.read_text().split(": ", 1)[1].split()
    own = [Path(path).relative_to(ROOT) for path in sources if path.startswith(str(ROOT))]
    own = [path for path in own if path.parts[0] != "target" and path.parts[:2] != ("admin-ui", "dist")]
    assert len(own) > 100
    assert [path for path in own if path.is_file() and not (context / path).exists()] == []


def test_the_image_is_small_and_has_no_shell(image):
    assert image.size() < 80_000_000, f"{image.size() / 1e6:.0f} MB"
    assert [*image.root.glob("bin/*sh"), *image.root.glob("usr/bin/*sh")] == []


def test_a_container_serves_with_a_read_only_root(image, tmp_path, mock_in):
    with Net(tmp_path) as net, mock_in(net) as mock, volume(tmp_path / "data", image) as data:
        settings = upstream_is(mock)
        hub = Container(image, net, "hub", volume=data, environment=settings, log_dir=tmp_path)
        code, said = hub.health()
        assert code == 4, said
        with hub.start(PATTERNS) as running:
            ready(hub.argv(hub.image.health))
            assert running.found["url"] == "http://0.0.0.0:8484"
            # Nobody else reaches the admin API of an image that was told nothing.
            assert running.found["admin"] == "http://127.0.0.1:8485"
            assert_serves(f"http://{hub.address}:8484", mock, tmp_path)
            with pytest.raises(urllib.error.URLError, match="refused"):
                http("GET", f"http://{hub.address}:8485/readyz")
            running.stop()
            assert running.process.returncode == 0
        # A new container with the same volume has everything.
        hub = Container(image, net, "again", volume=data, environment=settings, log_dir=tmp_path)
        mock.clear()
        with hub.start(PATTERNS) as running:
            (tmp_path / "later").mkdir()
            assert_serves(f"http://{hub.address}:8484", mock, tmp_path / "later")
            assert mock.stats()["cdn_body_bytes"] == 0
            running.stop()


def test_compose_starts_a_hub_that_its_token_opens(image, tmp_path, mock_in, compose):
    (service,) = compose("compose.yaml", MODELHUB_ADMIN_TOKEN=TOKEN).values()
    with Net(tmp_path) as net, mock_in(net) as mock, volume(tmp_path / "data", image) as data:
        settings = upstream_is(mock) | service["environment"]
        hub = Container(image, net, "hub", volume=data, environment=settings, log_dir=tmp_path)
        with hub.start(PATTERNS, service.get("command")) as running:
            wait_until(lambda: hub.health()[0] == 0, "the hub is healthy")
            assert_serves(f"http://{hub.address}:8484", mock, tmp_path)
            overview = f"http://{hub.address}:8485/v1/overview"
            assert http("GET", overview).status == 401
            assert int(http("GET", overview, headers={"Authorization": f"Bearer {TOKEN}"}).json()["blobs"]) > 0
            running.stop()
