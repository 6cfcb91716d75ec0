"""The wheels: pip installs the program, and the client of its admin API, on a machine without a toolchain."""

import json
import sys
import zipfile

from services import plain_environment

from conftest import Installed, assert_serves, upstream_is
from places import ROOT, built, commands, run


def install(folder, *wheels):
    run([sys.executable, "-m", "venv", folder])
    run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *wheels])
    return folder


def test_the_program_is_installed_by_pip_and_serves(tmp_path, mock):
    # As the README says, which names any version.
    script = commands("README.md", "## Install", "modelhub_server")
    run(["bash", "-euc", script.replace("modelhub-env", str(tmp_path / "env"))], plain_environment(), cwd=ROOT)
    modelhub = tmp_path / "env/bin/modelhub"
    assert run([modelhub, "--version"]).startswith("modelhub ")
    environment = plain_environment() | upstream_is(mock)
    environment |= {"HOME": str(tmp_path), "MODELHUB_HUB_LISTEN": "127.0.0.1:0", "MODELHUB_ADMIN_LISTEN": "127.0.0.1:0"}
    with Installed(tmp_path, [modelhub, "serve"], environment) as hub:
        right = assert_serves(hub.url, mock, tmp_path)
        run([modelhub, "healthcheck", "--url", hub.admin])

        # The client's own wheel, with what it needs from the index.
        env = install(tmp_path / "client", built("modelhub_client-*.whl"))
        script = """
import sys
from modelhub_client import Client
with Client(sys.argv[1]) as hub:
    model = hub.register("gpt2-mini")
    print(hub.wait(hub.download(model), timeout=60).status.name, len(list(hub.files(model, flat=True))))
"""
        said = run([env / "bin/python", "-c", script, hub.admin], plain_environment())
        assert said.split() == ["completed", str(len(right))]
        hub.stop()


def test_its_tag_is_what_auditwheel_finds(tmp_path):
    wheel = built("modelhub_server-*.whl")
    auditwheel = [sys.executable, "-m", "auditwheel", "show", "--json", wheel]
    found = run(auditwheel)
    tag = wheel.name.removesuffix(".whl").split("-")[-1]
    assert tag.startswith("manylinux_2_")
    assert f'"{tag}"' in found, found


def test_it_lists_what_it_is_made_of():
    with zipfile.ZipFile(built("modelhub_server-*.whl")) as wheel:
        (name,) = (name for name in wheel.namelist() if "/sboms/" in name)
        inside = wheel.read(name)
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    version = built("modelhub_server-*.whl").name.split("-")[1]
    assert inside == built(f"modelhub-{version}.cdx.json").read_bytes()
    bom = json.loads(inside)
    assert {"tokio", "hyper", "rustls", "sqlx"} <= {component["name"] for component in bom["components"]}
    assert str(ROOT) not in inside.decode()
    ui = json.loads(built("modelhub-ui-*.cdx.json").read_text())
    assert {"react", "radix-ui"} <= {component["name"] for component in ui["components"]}
